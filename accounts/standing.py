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
        change = _write(
            StandingChange(
                organization=organization,
                source=source,
                target=target,
                actor=actor,
                reason=reason,
                decision_ref=decision_ref,
                at=clock.now(),
            )
        )
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


def _write(change: StandingChange) -> StandingChange:
    """Move the column if it still says `source`, then keep the change."""
    rows = Organization.objects.filter(pk=change.organization_id, standing=change.source)
    if not rows.update(standing=change.target, standing_since=change.at):
        raise StandingMovedError("The standing changed meanwhile. Look at the page again.")
    change.save(force_insert=True)
    return change


def may_send(organization: Organization) -> bool:
    """Tell whether the organization may send now; asks the database, not the object in hand."""
    return Organization.objects.filter(pk=organization.pk, closed_at=None, standing__in=MAY_SEND).exists()
