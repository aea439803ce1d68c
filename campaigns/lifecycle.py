"""The life cycle of a campaign: one table, one function that moves it, one audit row a move.

Brakes, standing and allowance are no states: they stop lanes without moving the campaign (campaigns.brakes).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from accounts import audit
from accounts.models import User
from campaigns.models import Campaign, CampaignState
from sendserver.lib.states import TransitionRefusedError, require

S = CampaignState

TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    S.DRAFT: frozenset({S.HELD, S.SCHEDULED, S.PLANNING}),
    S.HELD: frozenset({S.DRAFT, S.SCHEDULED, S.PLANNING, S.STOPPED}),
    S.SCHEDULED: frozenset({S.DRAFT, S.PLANNING, S.STOPPED}),
    # SENT: nobody was left to mail. DRAFT: it is not what was approved any more (approve.against_approval).
    S.PLANNING: frozenset({S.SENDING, S.PAUSED, S.STOPPED, S.SENT, S.DRAFT}),
    S.SENDING: frozenset({S.PAUSED, S.SENT, S.STOPPED}),
    S.PAUSED: frozenset({S.PLANNING, S.SENDING, S.SENT, S.STOPPED}),  # SENT: the last answer came during the pause
    S.SENT: frozenset(),
    S.STOPPED: frozenset(),
}
EDITABLE: Final = frozenset({S.DRAFT})
LIVE: Final = frozenset({S.PLANNING, S.SENDING, S.PAUSED})


def move(campaign: Campaign, target: str, *, actor: User | None, reason: str, **fields: Any) -> Campaign:
    """Move `campaign` to `target` and return it; one conditional UPDATE, which also writes `fields`, and one audit row.

    Raises TransitionRefusedError when the table has no such arrow or when another hand moved it first; `campaign`
    is unchanged then.
    """
    source = campaign.state
    require(TRANSITIONS, source, target)
    with transaction.atomic():
        moved = Campaign.objects.filter(pk=campaign.pk, state=source).update(state=target, **fields)
        if not moved:
            raise TransitionRefusedError(source, target)
        audit.record(
            "campaign.moved",
            actor=actor,
            organization=campaign.organization,
            subject=f"campaign:{campaign.uid}",
            reason=reason,
            detail={"from": str(source), "to": str(target)},
        )
    campaign.refresh_from_db()
    return campaign
