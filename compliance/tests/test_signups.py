"""Sign-up forms: two steps on record, one mail a week, nothing revealed, work or the slower path."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from itertools import count

import pytest
from django.core import mail
from django.urls import reverse

from accounts.models import Standing
from compliance import consent_events, lists, policy, signups, suppression
from compliance.models import ConsentEvent, ContactList, ListMembership, Signup, SignupForm
from compliance.signups import Asked, TooManySignupsError
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey

ADA = AddressKey("ada@reader.example")
SENT = "Look into your mailbox"


@pytest.fixture(autouse=True)
def _mail(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def form(larkfield):
    """Return the open form of an empty list."""
    found = ContactList.objects.create(organization=larkfield, name="Planting tips")
    return SignupForm.objects.create(
        organization=larkfield, contact_list=found, title="Planting tips", wording="Tips once a month from Larkfield."
    )


def solved(form):
    """Return a task and its solution."""
    task = signups.challenge(form)
    for nonce in count():
        digest = hashlib.sha256(f"{task}{nonce}".encode()).digest()
        if int.from_bytes(digest) >> (256 - policy.SIGNUP_WORK_BITS) == 0:
            return task, str(nonce)
    raise AssertionError


def ask(form, address="ada@reader.example", network="192.0.2.0/24"):
    signups.ask(form, Asked(address, network, *solved(form)))


def link():
    return re.search(r"http://localhost:8000(/\S+)", mail.outbox[-1].body).group(1)


def post(client, form, **data):
    task, nonce = solved(form)
    return client.post(reverse("signup", args=[form.uid]), {"task": task, "nonce": nonce, **data})


def test_both_steps_the_words_and_the_mail_are_kept(client, form):
    assert SENT in post(client, form, email="Ada@Reader.example").content.decode()
    assert mail.outbox[0].to == ["Ada@reader.example"]
    row = Signup.objects.get()
    assert (row.wording, row.worked, row.confirmed_at) == ("Tips once a month from Larkfield.", True, None)
    assert "Please confirm: Planting tips" in row.mail
    assert "[link]" in row.mail
    assert link() not in row.mail
    assert not ListMembership.objects.exists()
    assert "Yes, I want this" in client.get(link()).content.decode()
    assert not ListMembership.objects.exists()  # scanners follow links, they press nothing
    Signup.objects.update(asked_at=clock.now() - timedelta(minutes=9))  # the database's now() is the test's beginning
    assert "You are on the list" in client.post(link()).content.decode()
    row.refresh_from_db()
    membership = ListMembership.objects.get()
    assert (membership.basis, membership.signup, membership.attestation) == ("express_doi", row, None)
    assert (membership.consent_at, membership.confirmed_at) == (row.asked_at, row.confirmed_at)
    asked, confirmed = ConsentEvent.objects.order_by("pk")
    assert (asked.kind, asked.at, confirmed.kind, confirmed.at) == (
        "requested", row.asked_at, "confirmed", row.confirmed_at,
    )  # fmt: skip
    assert confirmed.request_uid == asked.uid
    assert consent_events.person_of(asked).mail == row.mail
    assert lists.mailable_count(form.contact_list) == 1
    assert ContactList.objects.get().people_count == 1


def test_confirming_twice_is_confirming_once(client, form):
    ask(form)
    client.post(link())
    first = Signup.objects.get().confirmed_at
    client.post(link())
    assert Signup.objects.get().confirmed_at == first
    assert ListMembership.objects.count() == 1


def test_one_mail_an_address_and_list_in_a_week(client, form):
    for address in ("ada@reader.example", "ADA@reader.example", "ada@reader.example"):
        assert SENT in post(client, form, email=address).content.decode()
    assert len(mail.outbox) == 1
    Signup.objects.update(asked_at=clock.now() - timedelta(days=policy.SIGNUP_AGAIN_D, seconds=1))
    post(client, form, email="ada@reader.example")
    assert len(mail.outbox) == 1  # the shared counter still says no


def test_an_address_is_not_bombed_by_many_customers(larkfield, form):
    for number in range(policy.SIGNUP_MAILS_PER_ADDRESS + 2):
        found = ContactList.objects.create(organization=larkfield, name=f"List {number}")
        other = SignupForm.objects.create(organization=larkfield, contact_list=found, title="x", wording="y")
        ask(other, network=f"198.51.{number}.0/24")
    assert len(mail.outbox) == policy.SIGNUP_MAILS_PER_ADDRESS


def test_known_unknown_and_stopped_addresses_get_the_same_answer(client, form, larkfield):
    suppression.suppress(AddressKey("never@reader.example"), organization=None, reason="complaint", source="arf")
    answers = {post(client, form, email=f"{name}@reader.example").content for name in ("new", "never", "other", "new")}
    assert len(answers) == 1
    assert sorted(one.to[0] for one in mail.outbox) == ["new@reader.example", "other@reader.example"]


@pytest.mark.parametrize(
    ("reason", "lifted"), [("unsubscribe", True), ("hard_bounce", True), ("complaint", True), ("staff", False)]
)
def test_a_newer_double_opt_in_takes_back_what_the_person_said_not_what_staff_did(
    client, form, larkfield, reason, lifted
):
    suppression.suppress(ADA, organization=larkfield, reason=reason, source="page")
    ask(form)
    assert suppression.is_suppressed(larkfield, ADA)  # asking alone changes nothing
    client.post(link())
    assert suppression.is_suppressed(larkfield, ADA) is not lifted


def test_who_stops_after_asking_stays_stopped(client, form, larkfield):
    ask(form)
    suppression.suppress(ADA, organization=larkfield, reason="unsubscribe", source="page")
    client.post(link())
    assert suppression.is_suppressed(larkfield, ADA)


def test_work_counts_once_for_its_form_and_for_an_hour(form, larkfield):
    task, nonce = solved(form)
    found = ContactList.objects.create(organization=larkfield, name="Other")
    other = SignupForm.objects.create(organization=larkfield, contact_list=found, title="x", wording="y")
    assert not signups.is_solved(other, task, nonce)
    assert not signups.is_solved(form, task, "no solution")
    assert not signups.is_solved(form, f"{task}x", nonce)
    assert signups.is_solved(form, task, nonce)
    assert not signups.is_solved(form, task, nonce)


def test_the_slower_path_takes_fewer(client, form):
    url = reverse("signup", args=[form.uid])
    codes = [
        client.post(url, {"email": f"p{number}@reader.example", "slow": "1"}).status_code
        for number in range(policy.SIGNUPS_PER_NETWORK_SLOW + 1)
    ]
    assert codes == [200] * policy.SIGNUPS_PER_NETWORK_SLOW + [429]
    assert len(mail.outbox) == policy.SIGNUPS_PER_NETWORK_SLOW
    assert not Signup.objects.filter(worked=True).exists()
    ask(form)  # with work it goes on


def test_a_network_with_work_is_limited_too(form, monkeypatch):
    monkeypatch.setattr(policy, "SIGNUPS_PER_NETWORK", 2)
    ask(form, "a@reader.example")
    ask(form, "b@reader.example")
    with pytest.raises(TooManySignupsError):
        ask(form, "c@reader.example")


def test_a_post_from_the_customer_s_site_leads_to_our_page(client, form):
    url = reverse("signup", args=[form.uid])
    answer = client.post(url, {"email": 'ada@reader.example"><b>'}, headers={"Origin": "https://larkfield.example"})
    page = answer.content.decode()
    assert (answer.status_code, len(mail.outbox)) == (200, 0)
    assert 'value="ada@reader.example&quot;&gt;&lt;b&gt;"' in page
    assert "Set-Cookie" not in answer.headers


def test_what_is_no_address_is_said(client, form):
    answer = post(client, form, email="not an address")
    assert answer.status_code == 422
    assert "No @ sign" in answer.content.decode()


@pytest.mark.parametrize("why", ["closed form", "closed list", "suspended"])
def test_closed_forms_take_nobody(client, form, larkfield, why):
    ask(form)
    if why == "closed form":
        SignupForm.objects.update(is_open=False)
    elif why == "closed list":
        ContactList.objects.update(closed_at=clock.now())
    else:
        type(larkfield).objects.filter(pk=larkfield.pk).update(standing=Standing.SUSPENDED)
    assert client.get(reverse("signup", args=[form.uid])).status_code == 410
    assert client.post(link()).status_code == 404
    assert not ListMembership.objects.exists()


def test_links_end_after_some_days_and_are_not_guessed(client, form):
    ask(form)
    Signup.objects.update(asked_at=clock.now() - timedelta(days=policy.SIGNUP_CONFIRM_D, seconds=1))
    assert client.post(link()).status_code == 404
    assert client.get(reverse("signup_confirm", args=["k1" + "a" * 26])).status_code == 404


def test_the_customer_makes_and_closes_a_form(larkfield, alice, eve, mallory):
    found = ContactList.objects.create(organization=larkfield, name="Open days")
    url = reverse("signup_form", args=[found.uid])
    assert alice.client.get(url).status_code == 200
    assert alice.client.post(url, {"title": "Open days", "wording": "", "is_open": "on"}).status_code == 422
    assert alice.client.post(url, {"title": "Open days", "wording": "Dates.", "is_open": "on"}).status_code == 302
    made = SignupForm.objects.get()
    assert (made.organization, made.contact_list, made.is_open) == (larkfield, found, True)
    page = alice.client.get(url).content.decode()
    assert f"http://localhost:8000/sign-up/{made.uid}/" in page
    assert "&lt;form action=" in page
    alice.client.post(url, {"title": "Open days", "wording": "Dates."})
    assert not SignupForm.objects.get().is_open
    assert eve.client.post(url, {"title": "x", "wording": "y"}).status_code == 403
    assert mallory.client.get(url).status_code == 404
