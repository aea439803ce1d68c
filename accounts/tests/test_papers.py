"""The papers of verification, domains and From addresses, as pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts import domains, invitations, notices, policy, senders, verification
from accounts.models import (
    CollectionPractice,
    FromAddress,
    Invitation,
    Organization,
    Role,
    SendingDomain,
    User,
    Verification,
)
from accounts.tests.test_domains import _world, key_pairs  # noqa: F401 (fixtures: real keys made once, letters kept)
from accounts.tests.test_verification import add_domain, add_practice, add_profile
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db


@pytest.fixture
def domain(larkfield: Organization, alice: Persona) -> SendingDomain:
    """Return a domain of Larkfield."""
    return domains.add(larkfield, "larkfield.example", actor=alice.user)


@pytest.fixture
def sender(domain: SendingDomain, alice: Persona) -> FromAddress:
    """Return a From address of Larkfield."""
    return senders.add(domain, display_name="Larkfield", local_part="news", reply_to="", actor=alice.user)


@pytest.fixture
def invitation(larkfield: Organization, alice: Persona) -> Invitation:
    """Return an open invitation."""
    return invitations.invite(larkfield, email="may@larkfield.example", role=Role.EDITOR, actor=alice.user)


# --- verification


BUSINESS = {
    "legal_name": "Larkfield Garden Co. Ltd", "legal_form": "Ltd", "register_number": "123", "country": "GB",
    "address_kind": "street", "street": "4 Mill Lane", "city": "Exampleton", "responsible_person": "Alice",
    "contact_email": "alice@larkfield.example", "website": "https://larkfield.example",
}  # fmt: skip
PRACTICE = {
    "sources": ["own_form"], "page_url": "https://larkfield.example/news", "wording": "Send me news",
    "topics": "Garden tips", "monthly_volume": "2000", "no_bought_lists": "on",
}  # fmt: skip


def test_filling_in_the_papers(alice: Persona, larkfield: Organization) -> None:
    """Both forms lead back to the list and are shown there."""
    Organization.objects.filter(pk=larkfield.pk).update(standing="unverified")
    assert alice.client.post("/portal/verify/business/", BUSINESS)["Location"] == "/portal/verify/"
    assert alice.client.post("/portal/verify/practice/", PRACTICE)["Location"] == "/portal/verify/"
    page = alice.client.get("/portal/verify/").content.decode()
    assert "4 Mill Lane, Exampleton, GB" in page
    assert "3 of 5 done" in page
    add_domain(larkfield)
    alice.client.post("/portal/verify/business/", {**BUSINESS, "city": "Elsewhere"})
    assert Verification.objects.get().state == "submitted"
    assert "With staff" in alice.client.get("/portal/verify/").content.decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"legal_name": ""}, "Enter legal name"),
        ({"street": "123 Main St, Anytown"}, "Enter the address where post reaches you."),
        ({"register_number": ""}, "sole trader"),
        ({"country": "DE", "address_kind": "po_box"}, "the law asks for a street address"),
        ({"country": "XX"}, "Select a valid choice"),
        ({"website": "javascript:alert(1)"}, "Enter a valid URL"),
        ({"city": "Exampleton\r\nBcc: x"}, "Take out line breaks"),
    ],
)
def test_a_business_profile_that_is_not_right(alice: Persona, change: dict[str, str], words: str) -> None:
    """Nothing is kept, the text says what to do."""
    page = alice.client.post("/portal/verify/business/", {**BUSINESS, **change}).content.decode()
    assert words in page
    assert not hasattr(Organization.objects.get(name="Larkfield Garden Co."), "profile")


@pytest.mark.parametrize(("typed", "kept"), [("", None), ("0", None), ("12000", 12_000)])
def test_the_longest_list_may_be_named(alice: Persona, typed: str, kept: int | None) -> None:
    """Nobody has to bring one."""
    alice.client.post("/portal/verify/practice/", {**PRACTICE, "longest_list": typed})
    assert CollectionPractice.objects.get().longest_list == kept


def test_a_profile_cannot_be_given_to_another_organization(alice: Persona, hollin: Organization) -> None:
    """A typed organization id is ignored."""
    alice.client.post(
        "/portal/verify/business/", {**BUSINESS, "organization": str(hollin.pk), "organization_id": str(hollin.pk)}
    )
    assert not hasattr(Organization.objects.get(pk=hollin.pk), "profile")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"no_bought_lists": ""}, "Tick the box to go on"),
        ({"page_url": ""}, "Enter the address of the page"),
        ({"monthly_volume": "0"}, "Enter a number of messages"),
        ({"longest_list": "-5"}, "greater than or equal to 0"),
        ({"longest_list": "99999999999"}, "less than or equal to"),
        ({"sources": ["bought"]}, "Select a valid choice"),
    ],
)
def test_a_practice_that_is_not_right(alice: Persona, change: dict[str, object], words: str) -> None:
    """Bought lists get no further than here."""
    page = alice.client.post("/portal/verify/practice/", {**PRACTICE, **change}).content.decode()
    assert words in page


@pytest.mark.parametrize("state", ["collecting", "submitted", "questions", "approved", "refused"])
def test_the_task_list_in_every_state(alice: Persona, larkfield: Organization, state: str) -> None:
    """Renders, and offers the button only where it does something."""
    add_profile(larkfield)
    add_practice(larkfield)
    add_domain(larkfield)
    now = clock.now()
    Verification.objects.create(
        organization=larkfield, state=state, submitted_at=now, promised_until=now, decided_at=now, reason="Because <b>."
    )
    page = alice.client.get("/portal/verify/").content.decode()
    assert ("Send for review" in page) is (state in ("collecting", "questions", "refused"))
    assert "Because <b>" not in page


def test_asking_for_more(
    alice: Persona,
    larkfield: Organization,
    moderator: Persona,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    """The next step, once; the letter speaks of the allowance and not of verification."""
    add_profile(larkfield)
    add_practice(larkfield)
    add_domain(larkfield)
    Verification.objects.create(organization=larkfield, state="approved", granted_allowance=500)
    assert "Ask for 1,000 a day" in alice.client.get("/portal/verify/").content.decode()
    for _ in range(2):
        alice.client.post("/portal/verify/more/")
    review = Verification.objects.get(state="submitted")
    assert review.requested_allowance == 1_000
    ruling = verification.Ruling(verification.Answer.APPROVE, "Well done.", 1_000)
    with django_capture_on_commit_callbacks(execute=True):
        verification.decide(review, ruling, actor=moderator.user)
    assert Organization.objects.get(pk=larkfield.pk).daily_allowance == 1_000
    assert mail.outbox[0].subject == "More messages a day: 1,000 for Larkfield Garden Co."


@pytest.mark.parametrize("standing", ["unverified", "warned", "suspended", "blocked"])
def test_no_more_while_standing_is_not_good(alice: Persona, larkfield: Organization, standing: str) -> None:
    """Neither offered nor taken."""
    Organization.objects.filter(pk=larkfield.pk).update(standing=standing)
    Verification.objects.create(organization=larkfield, state="approved", granted_allowance=500)
    assert "Ask for" not in alice.client.get("/portal/verify/").content.decode()
    alice.client.post("/portal/verify/more/")
    assert not Verification.objects.filter(state="submitted").exists()


@pytest.mark.parametrize(
    ("change", "reviews"), [({"legal_name": "Someone Else Ltd"}, 1), ({"contact_phone": "+44 1632 960114"}, 0)]
)
def test_a_verified_sender_who_becomes_another_is_read_again(
    alice: Persona, larkfield: Organization, change: dict[str, str], reviews: int
) -> None:
    """A new name goes to staff, a new phone number does not; sending goes on meanwhile."""
    alice.client.post("/portal/verify/business/", BUSINESS)
    for _ in range(2):
        alice.client.post("/portal/verify/business/", {**BUSINESS, **change})
    assert Verification.objects.filter(state="submitted").count() == reviews
    assert Organization.objects.get(pk=larkfield.pk).standing == "good"


def test_the_letter_of_a_second_look(
    alice: Persona,
    larkfield: Organization,
    moderator: Persona,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    """Speaks of changed papers."""
    Verification.objects.create(organization=larkfield, state="approved", granted_allowance=500)
    alice.client.post("/portal/verify/business/", BUSINESS)
    alice.client.post("/portal/verify/business/", {**BUSINESS, "legal_name": "Other Ltd"})
    ruling = verification.Ruling(verification.Answer.REFUSE, "Nobody of that name.")
    with django_capture_on_commit_callbacks(execute=True):
        verification.decide(Verification.objects.get(state="submitted"), ruling, actor=moderator.user)
    assert mail.outbox[0].subject == "Not accepted: the changed papers of Larkfield Garden Co."


@pytest.mark.parametrize("name", ["Win at evil.example/now", "see https://evil.example", "a@evil.example"])
def test_names_carry_no_addresses(alice: Persona, larkfield: Organization, name: str) -> None:
    """An invitation's subject would carry them to strangers."""
    page = alice.client.post("/portal/new/", {"name": name}).content.decode()
    assert "Enter a name without web or e-mail addresses in it." in page
    assert Organization.objects.count() == 1


def test_only_our_own_addresses_become_links() -> None:
    """The words of customers and staff are text, in HTML too."""
    html = notices.html_of("See http://localhost:8000/portal/ and https://evil.example/ <b>now</b>.\n\nBye")
    assert html.count("<a href=") == 1
    assert '<a href="http://localhost:8000/portal/">' in html
    assert "&lt;b&gt;now" in html


def test_times_are_shown_in_the_persons_zone(alice: Persona, larkfield: Organization) -> None:
    """And in UTC for everybody else's eyes."""
    User.objects.filter(pk=alice.user.pk).update(time_zone="Asia/Tokyo")
    domains.add(larkfield, "larkfield.example", actor=alice.user)
    assert "JST" in alice.client.get("/portal/audit/").content.decode()


# --- domains and From addresses


def test_adding_a_domain(alice: Persona) -> None:
    """The page shows the records to add."""
    answer = alice.client.post("/portal/domains/add/", {"name": "Mail.Larkfield.example"})
    added = SendingDomain.objects.get()
    assert answer["Location"] == f"/portal/domains/{added.uid}/"
    page = alice.client.get(answer["Location"]).content.decode()
    for wanted in (
        f"portal-verify={added.challenge}",
        f"p1.{added.key8}.dkim.sendserver.example",
        "rp.sendserver.example",
    ):
        assert wanted in page


def test_a_free_mailbox_is_no_domain(alice: Persona) -> None:
    """The form says why."""
    page = alice.client.post("/portal/domains/add/", {"name": "gmail.com"}).content.decode()
    assert "it is a free mailbox" in page


def test_checking_is_limited(alice: Persona, domain: SendingDomain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two presses, one look."""
    looks: list[str] = []
    monkeypatch.setattr("accounts.watching.watch", lambda row: looks.append(row.name))
    for _ in range(2):
        alice.client.post(reverse("domain_check", args=[domain.uid]))
    assert looks == ["larkfield.example"]


def test_mailing_the_records(alice: Persona, domain: SendingDomain) -> None:
    """To whoever manages the DNS; three letters a day and mailbox at most."""
    url = reverse("domain_mail", args=[domain.uid])
    for _ in range(policy.LETTERS_PER_ADDRESS[0] + 2):
        alice.client.post(url, {"email": "dns@larkfield.example"})
    alice.client.post(url, {"email": "nobody"})
    assert len(mail.outbox) == policy.LETTERS_PER_ADDRESS[0]
    assert f"portal-verify={domain.challenge}" in str(mail.outbox[0].body)


def test_removing_a_domain(alice: Persona, sender: FromAddress) -> None:
    """Its From addresses go with it."""
    alice.client.post(reverse("domain_remove", args=[sender.domain.uid]))
    sender.refresh_from_db()
    assert sender.removed_at is not None
    assert alice.client.get(reverse("domain_detail", args=[sender.domain.uid])).status_code == 404


def test_a_from_address_is_confirmed_by_its_mailbox(
    alice: Persona, domain: SendingDomain, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    """The link's page does nothing by itself; the button does."""
    with django_capture_on_commit_callbacks(execute=True):
        alice.client.post(
            reverse("from_add", args=[domain.uid]),
            {"display_name": "Larkfield", "local_part": "News", "reply_to": "shop@larkfield.example"},
        )
    sender = FromAddress.objects.get()
    assert (sender.address, mail.outbox[0].to) == ("news@larkfield.example", ["shop@larkfield.example"])
    url = f"/confirm/from/{senders.token_of(sender)}/"
    assert url in str(mail.outbox[0].body)
    assert Client().get(url).status_code == 200
    assert not senders.is_confirmed(FromAddress.objects.get())
    assert Client().post(url).status_code == 200
    assert senders.is_confirmed(FromAddress.objects.get())


def test_a_link_for_an_older_mailbox_confirms_nothing(alice: Persona, sender: FromAddress) -> None:
    """Change where answers go, then press the old letter's button."""
    old = senders.token_of(sender)
    alice.client.post(
        reverse("from_change", args=[sender.uid]), {"display_name": "L", "reply_to": "other@larkfield.example"}
    )
    assert Client().post(f"/confirm/from/{old}/").status_code == 404
    assert not senders.is_confirmed(FromAddress.objects.get())


def test_links_and_confirmations_grow_old(sender: FromAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link after a week, the confirmation after 180 days."""
    token, now = senders.token_of(sender), clock.now()
    senders.confirm(sender)
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=8))
    assert senders.from_token(token) is None
    assert senders.is_confirmed(sender)
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=policy.REPLY_CONFIRM_DAYS + 1))
    assert not senders.is_confirmed(sender)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"local_part": "a b"}, "Enter the part before the @ only"),
        ({"local_part": "news@x"}, "Enter the part before the @ only"),
        ({"local_part": "abuse"}, "is where complaints arrive"),
        ({"local_part": "noreply"}, "Somebody has to read the answers"),
        ({"display_name": "a@b.example"}, "Enter a name without an e-mail address"),
        ({"display_name": "X\r\nBcc: y"}, "Take out line breaks"),
        ({"display_name": "evil\u202egnp"}, "Take out line breaks"),
        ({"reply_to": "no-reply@larkfield.example"}, "Somebody has to read the answers"),
    ],
)
def test_from_addresses_that_are_refused(
    alice: Persona, domain: SendingDomain, change: dict[str, str], words: str
) -> None:
    """Each says what to do instead."""
    data = {"display_name": "Larkfield", "local_part": "news", "reply_to": "", **change}
    page = alice.client.post(reverse("from_add", args=[domain.uid]), data).content.decode()
    assert words in page
    assert FromAddress.objects.count() == 0


def test_noreply_with_a_read_mailbox_is_fine(alice: Persona, domain: SendingDomain) -> None:
    """As long as somebody answers."""
    data = {"display_name": "Larkfield", "local_part": "noreply", "reply_to": "shop@larkfield.example"}
    alice.client.post(reverse("from_add", args=[domain.uid]), data)
    assert senders.mailbox(FromAddress.objects.get()) == "shop@larkfield.example"
