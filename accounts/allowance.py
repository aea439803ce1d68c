"""Messages a day: the granted figure, what of it counts today, and the steps it grows by (rules SEND-RAMP).

`Organization.daily_allowance` keeps what was granted; a warning halves it only while it lasts. How much of it is used
is counted in campaigns.
"""

from __future__ import annotations

from typing import Final

from django.db import transaction

from accounts import audit, policy
from accounts.errors import ReasonMissingError
from accounts.models import Organization, Standing, User

# What `today` says, for lanes that claim in SQL; expects the organization's row under the alias `o`.
TODAY_SQL: Final = (
    "CASE WHEN o.closed_at IS NOT NULL THEN 0 WHEN o.standing = 'good' THEN o.daily_allowance "
    f"WHEN o.standing = 'warned' THEN o.daily_allowance / {policy.WARNED_DIVISOR} ELSE 0 END"
)


def today(organization: Organization) -> int:
    """Return the messages a day that count now: all when good, a part when warned, else none."""
    if organization.closed_at is not None:
        return 0
    if organization.standing == Standing.GOOD:
        return organization.daily_allowance
    if organization.standing == Standing.WARNED:
        return organization.daily_allowance // policy.WARNED_DIVISOR
    return 0


def next_step(current: int) -> int:
    """Return the next larger step of the ramp, or `current` at its end."""
    return next((step for step in policy.RAMP_STEPS if step > current), current)


def domain_limit(days_sent: int) -> int:
    """Return the messages a day that a domain may carry after `days_sent` earlier days with mail."""
    return policy.RAMP_STEPS[min(days_sent, len(policy.RAMP_STEPS) - 1)]


def grant(organization: Organization, amount: int, *, actor: User | None, reason: str) -> None:
    """Set the granted messages a day and write down who did it and why."""
    if not reason.strip():
        raise ReasonMissingError("Say why the allowance changes.")
    before = organization.daily_allowance
    with transaction.atomic():
        Organization.objects.filter(pk=organization.pk).update(daily_allowance=amount)
        audit.record(
            "allowance.granted",
            actor=actor,
            organization=organization,
            subject=f"organization:{organization.uid}",
            reason=reason,
            detail={"from": before, "to": amount},
        )
    organization.daily_allowance = amount
