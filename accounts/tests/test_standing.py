"""Standing: the whole table, the race, and what may send."""

from __future__ import annotations

import pytest

from accounts import standing
from accounts.errors import ReasonMissingError, StandingMovedError
from accounts.models import AuditEntry, Organization, Standing, StandingChange
from sendserver.lib.states import TransitionRefusedError
from sendserver.testing.personas import Persona, make_organization

ALLOWED = {
    ("unverified", "good"),
    ("good", "warned"),
    ("good", "suspended"),
    ("good", "blocked"),
    ("warned", "good"),
    ("warned", "suspended"),
    ("warned", "blocked"),
    ("suspended", "good"),
    ("suspended", "warned"),
    ("suspended", "blocked"),
    ("blocked", "good"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("source", Standing.values)
@pytest.mark.parametrize("target", Standing.values)
def test_every_pair_of_the_table(source: str, target: str) -> None:
    """An arrow moves and is written down; anything else changes nothing."""
    organization = make_organization("Alder", standing=source)
    if (source, target) in ALLOWED:
        change = standing.move(organization, target, actor=None, reason="because")
        assert (change.source, change.target, change.reason) == (source, target, "because")
        assert organization.standing == target
    else:
        with pytest.raises(TransitionRefusedError):
            standing.move(organization, target, actor=None, reason="because")
    stored = Organization.objects.get(pk=organization.pk).standing
    assert stored == (target if (source, target) in ALLOWED else source)


def test_a_move_names_person_reason_and_decision(larkfield: Organization, moderator: Persona) -> None:
    """One change row and one audit row say who, when, why."""
    standing.move(larkfield, "suspended", actor=moderator.user, reason="rule 2.1", decision_ref="D-1")
    change = StandingChange.objects.get()
    assert (change.actor, change.decision_ref, change.at) == (moderator.user, "D-1", larkfield.standing_since)
    entry = AuditEntry.objects.get(action="standing.moved")
    assert entry.actor_uid == moderator.user.uid
    assert entry.detail == {"from": "good", "to": "suspended", "decision": "D-1"}


def test_a_stale_object_moves_nothing(larkfield: Organization) -> None:
    """Two people decide at once: the second is told."""
    stale = Organization.objects.get(pk=larkfield.pk)
    standing.move(larkfield, "suspended", actor=None, reason="first")
    with pytest.raises(StandingMovedError):
        standing.move(stale, "warned", actor=None, reason="second")
    assert Organization.objects.get(pk=larkfield.pk).standing == "suspended"
    assert StandingChange.objects.count() == 1


def test_a_move_needs_a_reason(larkfield: Organization) -> None:
    """Blanks are no reason."""
    with pytest.raises(ReasonMissingError):
        standing.move(larkfield, "warned", actor=None, reason="  ")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("value", "expected"),
    [("unverified", False), ("good", True), ("warned", True), ("suspended", False), ("blocked", False)],
)
def test_who_may_send(value: str, *, expected: bool) -> None:
    """Good and warned may; the database is asked, not the object in hand."""
    organization = make_organization("Alder")
    Organization.objects.filter(pk=organization.pk).update(standing=value)
    assert standing.may_send(organization) is expected


def test_a_closed_organization_may_not_send(larkfield: Organization) -> None:
    """Whatever its standing."""
    Organization.objects.filter(pk=larkfield.pk).update(closed_at=larkfield.created_at)
    assert standing.may_send(larkfield) is False
