"""A case handed to a named colleague: by its holder only, to whoever may decide it, with a mail."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.urls import reverse

from abuse import cases, handing
from abuse.errors import CaseTakenError, DecisionRefusedError
from abuse.models import Case, CaseEntry
from abuse.tests import make
from accounts.models import AuditEntry, Organization, User
from compliance import policy
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db


@pytest.fixture
def ruth(db: None) -> Persona:
    return make.staff("Ruth")


@pytest.fixture
def tomas(db: None) -> Persona:
    return make.staff("Tomas")


@pytest.fixture
def held(larkfield: Organization, ruth: Persona) -> Case:
    case = make.case_of(larkfield)
    cases.claim(case, ruth.user)
    mail.outbox.clear()
    return case


def hand(persona: Persona, case: Case, colleague: User, note: str = "") -> None:
    url = reverse("admin:abuse_case_hand", args=[case.pk])
    assert persona.client.post(url, {"colleague": str(colleague.pk), "note": note}).status_code == 302


def holder(case: Case) -> User | None:
    return cases.holder(Case.objects.select_related("claimed_by").get(pk=case.pk))


def test_the_colleague_holds_it_and_is_told(
    held: Case, ruth: Persona, tomas: Persona, django_capture_on_commit_callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        hand(ruth, held, tomas.user, "You know this sender.")
    assert holder(held) == tomas.user
    (letter,) = mail.outbox
    assert letter.to == [tomas.user.email]
    assert "You know this sender." in letter.body
    assert reverse("admin:abuse_case_change", args=[held.pk]) in letter.body
    entry = held.entries.filter(kind=CaseEntry.Kind.CLAIMED).order_by("-pk")[0]
    assert (entry.text, entry.actor) == ("Handed to Tomas. You know this sender.", ruth.user)
    row = AuditEntry.objects.get(action="case.handed")
    assert (row.detail, row.reason) == ({"to": str(tomas.user.uid)}, "You know this sender.")
    assert (entry.visible_to_customer, entry.visible_to_reporter) == (False, False)


def test_it_is_free_again_when_the_colleague_is_away(
    held: Case, ruth: Persona, tomas: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand(ruth, held, tomas.user)
    later = clock.now() + timedelta(minutes=policy.CLAIM_LOCK_MIN, seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert holder(held) is None


def test_only_the_holder_hands_over(held: Case, tomas: Persona, ruth: Persona) -> None:
    other = make.moderator_user("Ursula")
    with pytest.raises(CaseTakenError):
        handing.hand_to(held, tomas.user, other)
    hand(tomas, held, other)
    assert holder(held) == ruth.user


def test_a_lapsed_hold_hands_nothing_over(held: Case, ruth: Persona, tomas: Persona) -> None:
    past = clock.now() - timedelta(minutes=policy.CLAIM_LOCK_MIN, seconds=1)
    Case.objects.filter(pk=held.pk).update(claimed_at=past)
    hand(ruth, held, tomas.user)
    assert holder(held) is None


@pytest.mark.parametrize("who", ["nobody", "oneself", "customer", "member", "away", "no right"])
def test_nobody_else_can_be_chosen(
    held: Case, ruth: Persona, tomas: Persona, alice: Persona, larkfield: Organization, who: str
) -> None:
    """A member of the organization, a customer, somebody switched off, staff of no group, oneself, nobody."""
    if who == "member":
        larkfield.memberships.create(user=tomas.user, role="viewer")
    if who == "away":
        User.objects.filter(pk=tomas.user.pk).update(is_active=False)
    if who == "no right":
        tomas.user.groups.clear()
    chosen = {"nobody": None, "oneself": ruth.user, "customer": alice.user}.get(who, tomas.user)
    with pytest.raises(DecisionRefusedError):
        handing.hand_to(held, ruth.user, chosen)
    assert holder(held) == ruth.user


def test_administrators_can_be_chosen_and_each_is_listed_once(
    held: Case, ruth: Persona, administrator: Persona
) -> None:
    found = handing.colleagues(held, ruth.user)
    assert [person for person in found if person == administrator.user] == [administrator.user]


@pytest.mark.parametrize("value", ["", "x", "²", "9" * 40, "0"])
def test_what_is_no_person_changes_nothing(held: Case, ruth: Persona, value: str) -> None:
    url = reverse("admin:abuse_case_hand", args=[held.pk])
    page = ruth.client.post(url, {"colleague": value}, follow=True).content.decode()
    assert "Choose a colleague" in page
    assert holder(held) == ruth.user


def test_the_page_offers_it_to_the_holder_only(held: Case, ruth: Persona, tomas: Persona) -> None:
    url = reverse("admin:abuse_case_change", args=[held.pk])
    assert "Hand to a colleague" in ruth.client.get(url).content.decode()
    assert "Hand to a colleague" not in tomas.client.get(url).content.decode()
