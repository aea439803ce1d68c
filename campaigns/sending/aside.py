"""What ends its process again and again: found by trying one recipient at a time, and set aside at last (row 34).

A process that died with a chunk says nothing about which message did it. So the chunk is tried one by one from then
on, with nothing else in the lane's hands; whoever was tried when the process dies again is cut out of the chunk, and
after two lonely deaths set aside, visible, until a person orders one more try. Orderly endings are no deaths.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts import audit
from accounts.models import User
from campaigns import brakes
from campaigns.errors import CampaignError
from campaigns.models import Brake, Campaign, CampaignState, Chunk, Delivery, Outcome, Retry, SetAside
from campaigns.sending.outcomes import Result, State
from campaigns.sending.poke import poke_after_commit
from campaigns.sending.record import write
from compliance import policy
from sendserver.lib import clock

DEATHS_MAX: Final = 3  # one among others, two alone
CALM_SECONDS: Final = 60  # between lonely tries of what ended two processes, so that the others get on meanwhile
NOTE: Final = "Set aside: writing or sending this message ended the sending process"


class NotAsideError(CampaignError):
    """The delivery is not set aside (any more), or its campaign was stopped."""


def after_death(chunks: Sequence[Chunk], retries: Sequence[Retry], relay: str) -> None:
    """Give back what a dead process held, as what it now is; the caller's transaction has written what is known."""
    for chunk in chunks:
        _chunk_back(chunk, relay)
    ids = [row.pk for row in retries]
    Retry.objects.filter(pk__in=ids).update(deaths=F("deaths") + 1, lease_until=None, owner="")
    for row in Retry.objects.filter(pk__in=ids, deaths__gte=2).select_related("delivery__campaign__organization"):
        if row.deaths >= DEATHS_MAX:
            _set_aside(row.delivery, relay, row.deaths, row)
        else:
            Retry.objects.filter(pk=row.pk).update(due_at=Now() + timedelta(seconds=CALM_SECONDS))


def _chunk_back(chunk: Chunk, relay: str) -> None:
    tried = _tried_alone(chunk)
    fields: dict[str, object] = {"state": Chunk.State.READY, "lease_until": None, "reserved": 0, "trial_seq": None}
    if tried is not None:
        _cut_out(chunk)
        fields |= {"deaths": chunk.deaths + 1, "died_at": Now()}
        if chunk.deaths + 1 >= DEATHS_MAX:
            fields["state"] = Chunk.State.DONE
            _set_aside(tried, relay, chunk.deaths + 1, None)
    elif not chunk.deaths:
        fields |= {"deaths": 1, "died_at": Now()}
    Chunk.objects.filter(pk=chunk.pk).update(**fields)


def _tried_alone(chunk: Chunk) -> Delivery | None:
    """Return whom the dead process was trying alone, unless it is known what became of that."""
    if chunk.trial_seq is None:
        return None
    found = Delivery.objects.select_related("campaign__organization").get(
        campaign_id=chunk.campaign_id, seq=chunk.trial_seq
    )
    return None if Outcome.objects.filter(delivery_id=found.pk).exists() else found


def _cut_out(chunk: Chunk) -> None:
    """Make the chunk the one recipient who was tried; the people before and behind become chunks of their own."""
    seq, first, last = chunk.trial_seq, chunk.first_seq, chunk.last_seq
    assert seq is not None
    Chunk.objects.filter(pk=chunk.pk).update(first_seq=seq, last_seq=seq)
    Chunk.objects.bulk_create(
        Chunk(
            campaign_id=chunk.campaign_id,
            organization_id=chunk.organization_id,
            first_seq=start,
            last_seq=end,
            relay=chunk.relay,
            deaths=1,
            died_at=chunk.died_at,
        )
        for start, end in ((first, seq - 1), (seq + 1, last))
        if start <= end
    )


def _set_aside(delivery: Delivery, relay: str, deaths: int, retry: Retry | None) -> None:
    campaign, now = delivery.campaign, clock.now()
    last = Outcome.objects.filter(delivery_id=delivery.pk).order_by("-pk").first()
    result = Result(
        delivery_id=delivery.pk,
        campaign_id=campaign.pk,
        organization_id=delivery.organization_id,
        attempt=retry.attempt if retry else 1,
        state=State.RENDER_FAILED,
        at=now,
        first_at=retry.first_at if retry else now,
        relay=relay,
        previous=last.state if last else "planned",
        reply=NOTE,
        retry_id=retry.pk if retry else None,
    )
    write([result])
    SetAside.objects.update_or_create(
        delivery=delivery,
        defaults={
            "campaign": campaign,
            "organization_id": delivery.organization_id,
            "relay": relay,
            "deaths": deaths,
            "set_at": now,
            "ordered_at": None,
            "ordered_by": None,
        },
    )
    _audit("delivery.set_aside", delivery, None, NOTE)
    if waiting(campaign) >= policy.ASIDE_PAUSE_COUNT:
        brakes.set_brake(
            Brake.Kind.RENDER, f"{waiting(campaign)} messages ended our sending process.", campaign=campaign
        )


def waiting(campaign: Campaign) -> int:
    """Return how many messages of a campaign are set aside now."""
    return SetAside.objects.filter(campaign=campaign, ordered_at=None).count()


def try_again(row: SetAside, *, actor: User, reason: str) -> Retry:
    """Order one more lonely try of what was set aside; if it ends its process again, it is set aside again.

    Raises NotAsideError when it was ordered already or the campaign was stopped.
    """
    with transaction.atomic():
        moved = SetAside.objects.filter(pk=row.pk, ordered_at=None).update(ordered_at=clock.now(), ordered_by=actor)
        campaign = row.delivery.campaign
        if not moved or campaign.state == CampaignState.STOPPED:
            raise NotAsideError("This message does not wait for an order any more.")
        last = Outcome.objects.filter(delivery_id=row.delivery_id).order_by("-pk").first()
        retry = Retry.objects.create(
            delivery=row.delivery,
            campaign=campaign,
            organization_id=row.organization_id,
            relay=row.relay,
            attempt=(last.attempt if last else 0) + 1,
            first_at=clock.now(),
            due_at=clock.now(),
            reason="Tried again by a person's order",
            deaths=DEATHS_MAX - 1,
        )
        _audit("delivery.tried_again", row.delivery, actor, reason)
        poke_after_commit([retry.relay])
    return retry


def _audit(action: str, delivery: Delivery, actor: User | None, reason: str) -> None:
    audit.record(
        action,
        actor=actor,
        organization=delivery.organization,
        subject=f"campaign:{delivery.campaign.uid}",
        reason=reason,
        detail={"delivery": delivery.pk},
    )
