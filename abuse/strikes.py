"""Strikes: what counts against an organization, for how long, and what the figures and strikes suggest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from abuse.models import Appeal, Decision, DecisionKind
from abuse.reputation import Judgement, Level
from accounts.models import Organization, Standing
from compliance import policy
from sendserver.lib import clock

COUNTING = (DecisionKind.WARN, DecisionKind.SUSPEND, DecisionKind.BLOCK)


@dataclass(frozen=True)
class Strike:
    """A decision that counts, and until when."""

    decision: Decision
    until: datetime


@dataclass(frozen=True)
class Suggestion:
    """What the rules suggest to the person who decides."""

    kind: str
    why: str


def live(organization: Organization) -> list[Strike]:
    """Return the strikes that count now, newest first; a reversed decision is none."""
    since = clock.now() - timedelta(days=policy.STRIKE_D)
    rows = _measures(organization, since)
    return [Strike(row, row.at + timedelta(days=policy.STRIKE_D)) for row in rows]


def suspensions(organization: Organization) -> int:
    """Return how often the organization was suspended within SUSPENSIONS_MONTHS."""
    since = clock.now() - timedelta(days=policy.SUSPENSIONS_MONTHS * 365 // 12)
    return sum(row.kind == DecisionKind.SUSPEND for row in _measures(organization, since))


def _measures(organization: Organization, since: datetime) -> list[Decision]:
    # A confirmation is the same measure as the decision it confirms.
    rows = Decision.objects.for_org(organization).filter(kind__in=COUNTING, at__gte=since, confirms=None)
    return list(rows.exclude(appeal__state=Appeal.State.REVERSED).order_by("-pk"))


def suggest(organization: Organization, judgement: Judgement, *, proven: int, answered: bool) -> Suggestion:
    """Return what strikes and figures suggest; `proven` is the case's reports of grade A or B."""
    earlier = len(live(organization))
    if suspensions(organization) >= policy.SUSPENSIONS_BLOCK:
        return Suggestion(DecisionKind.BLOCK, f"{policy.SUSPENSIONS_BLOCK} suspensions in a year.")
    if judgement.level >= Level.SUSPEND:
        return Suggestion(DecisionKind.SUSPEND, judgement.reasons[0] + ".")
    if not proven:
        return Suggestion(DecisionKind.NO_ACTION, "nothing here is proven by a signature of ours.")
    if organization.standing == Standing.WARNED and earlier:
        return Suggestion(DecisionKind.SUSPEND, f"second strike in {policy.STRIKE_D} days.")
    if judgement.level >= Level.WARN:
        return Suggestion(DecisionKind.WARN, judgement.reasons[0] + ".")
    if not answered:
        return Suggestion(DecisionKind.ASK, f"no strike in {policy.STRIKE_D} days, the sender was not heard yet.")
    return Suggestion(DecisionKind.WARN, f"first case in {policy.STRIKE_D} days, answered.")
