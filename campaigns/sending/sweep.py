"""Endings: finish campaigns, close the books of stopped ones, lift brakes whose cause is gone, forget idle pace."""

from __future__ import annotations

import logging
from typing import Final

from django.db import connection, transaction

from accounts.domains import is_ready_to_send
from campaigns import brakes, canary, lifecycle
from campaigns.models import Brake, Campaign, CampaignState, Chunk, Retry, Tally
from campaigns.sending import tokens
from campaigns.sending.outcomes import retally
from compliance.lists import record_mailed
from sendserver.lib import clock
from sendserver.lib.states import TransitionRefusedError

log = logging.getLogger(__name__)
MAILED_BATCH: Final = 20_000  # memberships noted at once
_MAILED: Final = """
SELECT d.membership_id FROM delivery_state s JOIN campaigns_delivery d ON d.id = s.delivery_id
WHERE s.campaign_id = %s AND s.state = 'accepted' AND d.membership_id IS NOT NULL
"""


def sweep() -> int:
    """Do all of it; return how many campaigns ended."""
    canary.look()
    ended = sum(finish(campaign) for campaign in _perhaps_done())
    for campaign in _stopped_with_open_books():
        close_books(campaign)
    _lift_domain_brakes()
    tokens.forget_idle()
    return ended


def _perhaps_done() -> list[Campaign]:
    running = Campaign.objects.filter(state__in=[CampaignState.SENDING, CampaignState.PAUSED])
    open_chunks = Chunk.objects.exclude(state=Chunk.State.DONE).values("campaign_id")
    return list(running.exclude(pk__in=open_chunks).exclude(pk__in=Retry.objects.values("campaign_id")))


def finish(campaign: Campaign) -> bool:
    """End a campaign when planned = sum of final outcomes, counted from the deliveries; tell whether it ended."""
    with transaction.atomic():
        retally(campaign.pk)
        counts = dict(Tally.objects.filter(campaign=campaign).values_list("state", "count"))
        total = sum(Tally.objects.filter(campaign=campaign).values_list("count", flat=True))
        if counts.get("planned") or counts.get("deferred") or total != campaign.planned_count:
            log.error("campaign %s has no work left but open deliveries: %s of %s", campaign.pk, counts, total)
            return False
        try:
            lifecycle.move(
                campaign, CampaignState.SENT, actor=None, reason="Everybody was served", finished_at=clock.now()
            )
        except TransitionRefusedError:
            return False
        _note_mailed(campaign)
    return True


def _note_mailed(campaign: Campaign) -> None:
    """Tell compliance who was mailed, so that their permission does not fade."""
    with connection.cursor() as cursor:
        cursor.execute(_MAILED, [campaign.pk])
        while rows := cursor.fetchmany(MAILED_BATCH):
            record_mailed([row[0] for row in rows], clock.now())


def _stopped_with_open_books() -> list[Campaign]:
    # Not zero rather than more: a lane's last words may come behind an earlier count.
    waiting = Tally.objects.filter(state__in=["planned", "deferred"]).exclude(count=0).values("campaign_id")
    leased = Chunk.objects.filter(state=Chunk.State.LEASED).values("campaign_id")
    retried = Retry.objects.exclude(lease_until=None).values("campaign_id")
    stopped = Campaign.objects.filter(state=CampaignState.STOPPED, pk__in=waiting)
    return list(stopped.exclude(pk__in=leased).exclude(pk__in=retried))


def close_books(campaign: Campaign) -> None:
    """Count a stopped campaign anew: whoever was not reached is cancelled, and nothing of it is due any more."""
    with transaction.atomic():
        Retry.objects.filter(campaign=campaign, lease_until=None).delete()
        # Ready chunks of what is over would be looked at by every claim, for ever.
        Chunk.objects.filter(campaign=campaign, state__in=[Chunk.State.READY, Chunk.State.LATER]).update(
            state=Chunk.State.DONE
        )
        retally(campaign.pk)


def _lift_domain_brakes() -> None:
    on = Brake.objects.filter(kind=Brake.Kind.DOMAIN, lifted_at=None).exclude(campaign=None)
    for brake in on.select_related("campaign__from_address__domain", "organization"):
        sender = brake.campaign.from_address if brake.campaign else None
        if sender is not None and is_ready_to_send(sender.domain):
            brakes.lift(brake, actor=None, reason="The domain's records are right again")
