"""Names that are taken for others: what resembles, what does not, and that staff read it before it sends."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts import domain_keys, domains, lookalikes, review, verification
from accounts.models import AuditEntry, Organization, SendingDomain, Standing, Verification, VerificationState
from accounts.tests.test_verification import add_domain, add_practice, add_profile
from accounts.verification import Answer, Ruling
from sendserver.lib import clock
from sendserver.lib.addresses import to_ascii_domain
from sendserver.testing.personas import Persona

PAIR = ("private", "public")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making keys is slow, and no key is used here."""
    monkeypatch.setattr(domain_keys, "generate", lambda: PAIR)


@pytest.mark.parametrize(
    ("name", "brand"),
    [
        ("paypal.example", "paypal"),
        ("paypa1.com", "paypal"),
        ("paypaI.com", "paypal"),
        ("рaypal.com", "paypal"),  # the first letter is Cyrillic
        ("раураl.com", "paypal"),
        ("pay-pal.co.uk", "paypal"),
        ("paypal-login.example", "paypal"),
        ("secure.paypal.account.example", "paypal"),
        ("paypall.com", "paypal"),
        ("papyal.com", "paypal"),
        ("rnicrosoft.com", "microsoft"),
        ("micr0s0ft.net", "microsoft"),
        ("arnazon.de", "amazon"),
        ("gооgle.example", "google"),
        ("dhl-paket.example", "dhl"),
        ("app1e.com", "apple"),
        ("fácebook.com", "facebook"),
        ("gmai1.com", "gmail"),
        ("0utlook.com", "outlook"),
    ],
)
def test_what_resembles(name: str, brand: str) -> None:
    assert lookalikes.resembled(to_ascii_domain(name) or "") == brand


@pytest.mark.parametrize(
    "name",
    [
        "larkfield.example", "mail.larkfield.example", "pay.example", "gardenpals.com", "email.example", "visage.fr",
        "pineapples.example", "dhlx.example", "goggles-and-masks.example", "a.example", "xn--bcher-kva.example",
    ],
)  # fmt: skip
def test_what_does_not(name: str) -> None:
    assert lookalikes.resembled(name) == ""


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("abc", "abc", True), ("abc", "abcd", True), ("abcd", "abc", True), ("abc", "xbc", True), ("abc", "acb", True),
        ("abcd", "abdc", True), ("abc", "abx", True), ("", "a", True), ("abc", "ab", True), ("abc", "cba", False),
        ("abc", "abcde", False), ("abcd", "badc", False), ("abc", "xyz", False), ("abab", "baba", False),
    ],
)  # fmt: skip
def test_one_step_apart(one: str, other: str, near: bool) -> None:
    assert lookalikes.is_near(one, other) is near
    assert lookalikes.is_near(other, one) is near


def test_a_broken_label_is_no_error() -> None:
    assert lookalikes.resembled("xn--\x7f.example") == ""


# ---------- in the portal


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["1arkfield.example", "lark-field.com", "mail.larkfield.com", "larkfıeld.example"])
def test_another_customers_name_is_found(larkfield: Organization, mallory: Persona, name: str) -> None:
    SendingDomain.objects.create(
        organization=larkfield,
        name="mail.larkfield.example",
        challenge="x",
        verified_at=clock.now(),
        skeleton=lookalikes.skeleton("larkfield"),
    )
    mine = mallory.user.memberships.get().organization
    assert domains.add(mine, name, actor=mallory.user).resembles == "mail.larkfield.example"


@pytest.mark.django_db
def test_an_own_name_and_one_that_nobody_proved_resemble_nothing(
    larkfield: Organization, alice: Persona, mallory: Persona
) -> None:
    first = domains.add(larkfield, "mail.larkfield.example", actor=alice.user)
    mine = mallory.user.memberships.get().organization
    assert domains.add(mine, "1arkfield.example", actor=mallory.user).resembles == ""
    SendingDomain.objects.filter(pk=first.pk).update(verified_at=clock.now())
    assert domains.add(larkfield, "larkfield.com", actor=alice.user).resembles == ""


@pytest.mark.django_db
def test_a_verified_sender_adds_one_and_staff_read_it_first(
    larkfield: Organization, alice: Persona, moderator: Persona
) -> None:
    alice.client.post(reverse("domain_add"), {"name": "paypa1.example"})
    domain = SendingDomain.objects.get()
    now = clock.now()
    SendingDomain.objects.update(verified_at=now, last_good_at=now)
    domain.records.update(ok=True)
    domain.refresh_from_db()
    assert (domains.records_stand(domain), domains.is_ready_to_send(domain)) == (True, False)
    page = alice.client.get(reverse("domain_detail", args=[domain.uid])).content.decode()
    assert "Our staff read this name first." in page
    assert "paypal" not in page  # which name it is stays between staff
    waiting = Verification.objects.get()
    assert waiting.state == VerificationState.SUBMITTED
    assert "Domain: Resembles paypal" in review.sheet(waiting).against
    verification.decide(waiting, Ruling(Answer.APPROVE, "Their own name."), actor=moderator.user)
    domain.refresh_from_db()
    assert domains.is_ready_to_send(domain)
    row = AuditEntry.objects.get(action="domain.cleared")
    assert row.detail == {"name": "paypa1.example", "resembles": "paypal"}


@pytest.mark.django_db
@pytest.mark.parametrize("answer", [Answer.REFUSE, Answer.ASK])
def test_any_other_answer_leaves_it_waiting(
    larkfield: Organization, alice: Persona, moderator: Persona, answer: Answer
) -> None:
    alice.client.post(reverse("domain_add"), {"name": "paypa1.example"})
    verification.decide(Verification.objects.get(), Ruling(answer, "No."), actor=moderator.user)
    assert SendingDomain.objects.get().waits_for_staff


@pytest.mark.django_db
def test_an_ordinary_domain_asks_nobody(larkfield: Organization, alice: Persona) -> None:
    alice.client.post(reverse("domain_add"), {"name": "mail.larkfield.example"})
    assert not SendingDomain.objects.get().waits_for_staff
    assert not Verification.objects.exists()


@pytest.mark.django_db
def test_a_new_customer_with_such_a_domain_still_gets_to_staff(
    larkfield: Organization, alice: Persona, moderator: Persona
) -> None:
    """Else nobody could ever clear it; approval of the papers, in which it is named, does."""
    Organization.objects.update(standing=Standing.UNVERIFIED, daily_allowance=0)
    larkfield.refresh_from_db()
    add_profile(larkfield)
    add_practice(larkfield)
    domain = add_domain(larkfield, "paypa1.example")
    SendingDomain.objects.update(resembles="paypal")
    verification.advance(larkfield)
    waiting = Verification.objects.get()
    assert any("Resembles paypal" in line for line in review.sheet(waiting).against)
    verification.decide(waiting, Ruling(Answer.APPROVE, "Seen."), actor=moderator.user)
    domain.refresh_from_db()
    assert not domain.waits_for_staff
