"""The staff's review page, groups, and commands."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django import Settings as SettingsWrapper

from accounts import audit, checks, denylist, verification
from accounts.models import AuditEntry, CollectionPractice, DenyEntry, Organization, User, Verification
from accounts.tests.test_verification import applicant, submitted  # noqa: F401 (the fixture)
from sendserver.testing.personas import Persona, make_user, sign_in

pytestmark = pytest.mark.django_db
XSS = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def _outbox(settings: SettingsWrapper) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def review(applicant: Organization) -> Verification:  # noqa: F811
    """Return a review that waits for staff."""
    return submitted(applicant)


def page_of(review: Verification) -> str:
    """Return the review page's address."""
    return reverse("admin:accounts_verification_change", args=[review.pk])


def decide_url(review: Verification) -> str:
    """Return where the decision is posted."""
    return reverse("admin:accounts_verification_decide", args=[review.pk])


RULING = {"answer": "approve", "allowance": "500", "reason": "Welcome.", "conditions": ""}


def test_the_queue_shows_the_oldest_promise_first(moderator: Persona, review: Verification) -> None:
    """And not what was never handed in."""
    other = Organization.objects.create(name="Not yet", standing="unverified")
    Verification.objects.create(organization=other)
    page = moderator.client.get("/staff/accounts/verification/").content.decode()
    assert "Hollin Hill Pottery" in page
    assert "Not yet" not in page


def test_the_queue_opens_with_what_waits_and_searches_everything(moderator: Persona, review: Verification) -> None:
    """A decided one stands behind its state, or is found by name."""
    queue = "/staff/accounts/verification/"
    assert review.reference in moderator.client.get(queue).content.decode()
    Verification.objects.filter(pk=review.pk).update(state="approved")
    assert review.reference not in moderator.client.get(queue).content.decode()
    for way in ("?is=approved", "?is=all", "?q=Hollin"):
        assert review.reference in moderator.client.get(queue + way).content.decode(), way


def test_the_page_says_its_place_in_the_queue(moderator: Persona, review: Verification) -> None:
    """And leads to its neighbours."""
    later = Organization.objects.create(name="Later", standing="unverified")
    until = review.promised_until + timedelta(hours=1) if review.promised_until else None
    following = Verification.objects.create(organization=later, state="submitted", promised_until=until)
    page = moderator.client.get(page_of(review)).content.decode()
    assert "1 of 2, oldest promise first" in page
    assert page_of(following) in page
    assert "2 of 2, oldest promise first" in moderator.client.get(page_of(following)).content.decode()


def test_opening_a_page_again_adds_one_line_to_its_history(moderator: Persona, review: Verification) -> None:
    """The audit log keeps every opening."""
    for _ in range(3):
        page = moderator.client.get(page_of(review)).content.decode()
    assert page.count("Opened by staff") == 1
    assert AuditEntry.objects.filter(action="verification.opened").count() == 3


def test_the_page_claims_nothing_that_was_not_looked_up(moderator: Persona, review: Verification) -> None:
    """Said and found side by side; opening it is written down."""
    page = moderator.client.get(page_of(review)).content.decode()
    assert "Hollin Hill Pottery Ltd" in page
    assert "All records found by both resolvers" in page
    assert "Not checked: no look-up of registers is connected" in page
    assert "No match on owner, domain or register number" in page
    assert AuditEntry.objects.get(action="verification.opened").actor_uid == moderator.user.uid


def test_a_match_on_the_deny_list_speaks_against(moderator: Persona, review: Verification) -> None:
    """In words."""
    denylist.deny(DenyEntry.Kind.DOMAIN, "hollin.example", reason="blocked")
    assert "Match on hollin.example" in moderator.client.get(page_of(review)).content.decode()


def test_approving(
    moderator: Persona, review: Verification, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    """The decision, the letter, and the next one in the queue."""
    with django_capture_on_commit_callbacks(execute=True):
        answer = moderator.client.post(decide_url(review), RULING)
    assert answer["Location"] == "/staff/accounts/verification/"
    review.refresh_from_db()
    assert (review.state, review.decided_by) == ("approved", moderator.user)
    assert len(mail.outbox) == 1


def test_the_panel_offers_what_was_agreed_and_not_what_is_wished(moderator: Persona, review: Verification) -> None:
    """The longest list they name stands beside the panel; agreeing to it is typed, and bounded by it."""
    CollectionPractice.objects.update(longest_list=8000)
    page = moderator.client.get(page_of(review)).content.decode()
    assert "8,000 people" in page
    assert 'value="8000"' not in page
    page = moderator.client.post(decide_url(review), {**RULING, "agreed_list": "8001"}).content.decode()
    assert "agree to no more than that" in page
    assert 'value="8001"' in page
    moderator.client.post(decide_url(review), {**RULING, "agreed_list": "7000"})
    review.refresh_from_db()
    assert (review.state, review.agreed_list) == ("approved", 7000)
    again = submitted(review.organization)
    assert 'value="7000"' in moderator.client.get(page_of(again)).content.decode()


def test_reading_the_letter_first_sends_nothing(moderator: Persona, review: Verification) -> None:
    """The letter with what is typed; the state stays."""
    url = reverse("admin:accounts_verification_letter", args=[review.pk])
    page = moderator.client.post(url, {**RULING, "reason": "Welcome to the kiln."}).content.decode()
    assert "Welcome to the kiln." in page
    assert "Verified: you can send from hollin.example" in page
    review.refresh_from_db()
    assert (review.state, mail.outbox) == ("submitted", [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reason": ""}, "Enter what the customer reads"),
        ({"allowance": "123456"}, "Select a valid choice"),
        ({"answer": "lift"}, "Select a valid choice"),
    ],
)
def test_a_decision_that_is_not_complete(
    moderator: Persona, review: Verification, change: dict[str, str], words: str
) -> None:
    """Nothing is decided; what was typed stays on the page."""
    page = moderator.client.post(decide_url(review), {**RULING, **change}).content.decode()
    assert words in page
    review.refresh_from_db()
    assert review.state == "submitted"


def test_deciding_twice(moderator: Persona, review: Verification) -> None:
    """The second press is told that it is too late."""
    moderator.client.post(decide_url(review), RULING)
    page = moderator.client.post(decide_url(review), {**RULING, "answer": "refuse"}).content.decode()
    assert "This was decided already." in page
    assert Organization.objects.get(pk=review.organization_id).standing == "good"


def test_decisions_are_posts(moderator: Persona, review: Verification) -> None:
    """A followed link decides nothing."""
    assert moderator.client.get(decide_url(review)).status_code == 405
    assert moderator.client.get(reverse("admin:accounts_verification_letter", args=[review.pk])).status_code == 405


def test_the_stock_save_changes_nothing(administrator: Persona, review: Verification) -> None:
    """Not even for an administrator."""
    answer = administrator.client.post(page_of(review), {"state": "approved", "granted_allowance": "50000"})
    assert answer.status_code == 403
    review.refresh_from_db()
    assert review.state == "submitted"
    for url in ("/staff/accounts/verification/add/", reverse("admin:accounts_verification_delete", args=[review.pk])):
        assert administrator.client.get(url).status_code == 403


def test_customers_and_visitors_stay_out(alice: Persona, review: Verification) -> None:
    """Owner of another organization, and nobody."""
    for browser in (alice.client, Client()):
        for url in (page_of(review), "/staff/accounts/user/"):
            assert browser.get(url).status_code == 302
        assert browser.post(decide_url(review), RULING).status_code == 302
    review.refresh_from_db()
    assert review.state == "submitted"


def test_staff_without_the_right_may_not_decide(moderator: Persona, review: Verification) -> None:
    """Looking is another right."""
    moderator.user.groups.clear()
    assert moderator.client.post(decide_url(review), RULING).status_code == 403
    assert moderator.client.get(page_of(review)).status_code == 403


def test_what_customers_typed_is_text(moderator: Persona, review: Verification) -> None:
    """Names, wording and addresses reach the staff's browser as text."""
    organization = review.organization
    Organization.objects.filter(pk=organization.pk).update(name=f"Pots {XSS}")
    organization.profile.legal_name = organization.profile.street = XSS
    organization.profile.save()
    organization.practice.wording = organization.practice.topics = XSS
    organization.practice.page_url = "javascript:alert(1)"
    organization.practice.save()
    for url in (page_of(review), "/staff/accounts/verification/"):
        page = moderator.client.get(url).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert not re.search(r'href="\s*javascript:', page)


def test_the_groups_have_their_rights() -> None:
    """Moderators decide, administrators also manage staff; neither adds or deletes."""
    moderators, administrators = (
        set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))
        for name in ("Moderators", "Administrators")
    )
    assert {"view_verification", "change_verification", "view_case", "change_case"} <= moderators
    assert administrators - moderators == {"view_user", "change_user", "view_group"}
    assert not [name for name in administrators if name.startswith(("add_", "delete_"))]


def test_moderators_do_not_make_staff(moderator: Persona, administrator: Persona, alice: Persona) -> None:
    """Administrators do, and it is written down."""
    url = reverse("admin:accounts_user_change", args=[alice.user.pk])
    assert moderator.client.post(url, {"is_active": "on", "is_staff": "on"}).status_code == 403
    assert administrator.client.post(url, {"is_active": "on", "is_staff": "on"}).status_code == 302
    assert User.objects.get(pk=alice.user.pk).is_staff
    entry = AuditEntry.objects.get(action="staff.rights")
    assert (entry.actor_uid, entry.subject) == (administrator.user.uid, f"user:{alice.user.uid}")


def test_an_administrator_cannot_make_superusers(db: None) -> None:
    """The page has no such field."""
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    user = make_user("Ada", "ada@staff.example", staff=True)
    user.groups.add(Group.objects.get(name="Administrators"))
    TOTP.activate(user, generate_totp_secret())
    url = reverse("admin:accounts_user_change", args=[user.pk])
    sign_in(user).post(url, {"is_active": "on", "is_staff": "on", "is_superuser": "on", "groups": []})
    assert not User.objects.get(pk=user.pk).is_superuser


# --- commands


def run(command: str, *args: str, **options: object) -> str:
    """Return what a command printed."""
    out = io.StringIO()
    call_command(command, *args, stdout=out, **options)
    return out.getvalue()


def test_the_first_administrator(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a confirmed address and a password read from standard input; a second one is refused."""
    monkeypatch.setattr("sys.stdin", io.StringIO("three plain words\n"))
    run("first_admin", "Ada@platform.example", name="Ada", password_stdin=True)
    person = User.objects.get()
    assert (person.email, person.is_staff, person.is_superuser) == ("ada@platform.example", True, True)
    assert person.check_password("three plain words")
    assert EmailAddress.objects.get(user=person).verified
    with pytest.raises(CommandError, match="There is an administrator already"):
        run("first_admin", "bo@platform.example", password_stdin=True)


@pytest.mark.parametrize("password", ["short", "1234567890"])
def test_a_weak_password_makes_no_administrator(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """The same rules as for everybody."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
    with pytest.raises(CommandError):
        run("first_admin", "ada@platform.example", password_stdin=True)
    assert User.objects.count() == 0


def test_an_existing_person_is_lifted(alice: Persona) -> None:
    """Password and memberships stay as they are."""
    run("first_admin", "ALICE@larkfield.example")
    person = User.objects.get(pk=alice.user.pk)
    assert (person.is_superuser, person.password) == (True, alice.user.password)


def test_walking_the_ledger(larkfield: Organization) -> None:
    """Every chain on a line."""
    audit.record("test.done", actor=None, subject="x")
    assert "accounts_auditentry: 1 records, sound" in run("verify_ledger")


# --- checks


def test_a_production_start_is_checked(settings: SettingsWrapper) -> None:
    """Identity, HTTPS, keys, two resolvers."""
    from dataclasses import replace

    settings.PLATFORM = replace(settings.PLATFORM, legal_name="", postal_address="", responsible_person="")
    settings.BASE_URL, settings.TOKEN_KEYS, settings.DNS_SERVERS = "http://x.example", {}, ["1.1.1.1:53"]
    found = [
        message.id
        for check in (checks.identity_is_set, checks.address_is_https, checks.keys_are_set, checks.two_resolvers)
        for message in check()
    ]
    assert found == ["accounts.E001", "accounts.E002", "accounts.E003", "accounts.W001"]


def test_a_sound_production_start_passes(settings: SettingsWrapper) -> None:
    """Nothing to say."""
    from dataclasses import replace

    settings.PLATFORM = replace(settings.PLATFORM, legal_name="P", postal_address="A 1, B", responsible_person="Ada")
    settings.BASE_URL = "https://x.example"
    every = (
        checks.identity_is_set,
        checks.address_is_https,
        checks.keys_are_set,
        checks.two_resolvers,
        checks.two_roles,
    )
    assert [message for check in every for message in check()] == []


def test_denied_is_used_by_the_review(review: Verification) -> None:
    """The owner's address counts too."""
    denylist.deny(DenyEntry.Kind.ADDRESS, "nell@hollin.example", reason="blocked")
    assert verification.denied(review.organization) == ["owner’s address"]


def test_each_answer_has_its_key_and_its_button(moderator: Persona, review: Verification) -> None:
    """The script names the button after the answer; without it the button keeps its own words."""
    page = moderator.client.get(page_of(review)).content.decode()
    for key, words in (("a", "Approve"), ("q", "Ask"), ("r", "Refuse")):
        assert f'data-key="{key}"' in page
        assert f'data-button="{words} and send the letter"' in page
    assert "Decide and send the letter" in page
