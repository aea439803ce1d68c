"""An organization's standing: the one table, the one function that moves it.

Verification lifts *unverified* to *good*; every other move is a named person's decision, made in abuse. Sending lanes
read `accounts_organization.standing` in SQL, so a move acts on mail that is already queued.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db import transaction

from accounts import audit
from accounts.errors import ReasonMissingError, StandingMovedError
from accounts.models import Organization, Standing, StandingChange, User
from sendserver.lib import clock, states

TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    Standing.UNVERIFIED: frozenset({Standing.GOOD}),
    Standing.GOOD: frozenset({Standing.WARNED, Standing.SUSPENDED, Standing.BLOCKED}),
    Standing.WARNED: frozenset({Standing.GOOD, Standing.SUSPENDED, Standing.BLOCKED}),
    Standing.SUSPENDED: frozenset({Standing.GOOD, Standing.WARNED, Standing.BLOCKED}),
    Standing.BLOCKED: frozenset({Standing.GOOD}),
}
MAY_SEND: Final = frozenset({Standing.GOOD, Standing.WARNED})


def move(
    organization: Organization, target: str, *, actor: User | None, reason: str, decision_ref: str = ""
) -> StandingChange:
    """Move the standing and write down who, when and why; `organization` carries the new value afterwards.

    Raises TransitionRefusedError when the table has no such arrow, StandingMovedError when somebody else moved it
    since `organization` was read, ReasonMissingError without a reason.
    """
    source = organization.standing
    if not reason.strip():
        raise ReasonMissingError("Say why the standing changes.")
    states.require(TRANSITIONS, source, target)
    with transaction.atomic():
        change = _write(organization, source, target, actor, reason, decision_ref)
        audit.record(
            "standing.moved",
            actor=actor,
            organization=organization,
            subject=f"organization:{organization.uid}",
            reason=reason,
            detail={"from": str(source), "to": str(target), "decision": decision_ref},
        )
    organization.standing, organization.standing_since = target, change.at
    return change


def _write(
    organization: Organization, source: str, target: str, actor: User | None, reason: str, decision_ref: str
) -> StandingChange:
    at = clock.now()
    moved = Organization.objects.filter(pk=organization.pk, standing=source).update(standing=target, standing_since=at)
    if not moved:
        raise StandingMovedError("The standing changed meanwhile. Look at the page again.")
    return StandingChange.objects.create(
        organization=organization,
        source=source,
        target=target,
        actor=actor,
        reason=reason,
        decision_ref=decision_ref,
        at=at,
    )


def may_send(organization: Organization) -> bool:
    """Tell whether the organization may send now; asks the database, not the object in hand."""
    return Organization.objects.filter(pk=organization.pk, closed_at=None, standing__in=MAY_SEND).exists()
