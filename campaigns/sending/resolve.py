"""Deliveries in doubt: settled by evidence, or by a person's audited choice; never by guessing."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts import audit
from accounts.models import User
from campaigns.errors import CampaignError
from campaigns.models import Campaign, CampaignState, Delivery, Outcome, Retry
from campaigns.sending.outcomes import Result, State, settle
from campaigns.sending.poke import poke_after_commit
from sendserver.lib import clock


class NotInDoubtError(CampaignError):
    """The delivery is not in doubt (any more), or its campaign was stopped."""


def in_doubt(campaign: Campaign) -> QuerySet[Outcome]:
    """Return the outcomes that are in doubt now, newest first."""
    later = Outcome.objects.filter(delivery_id=OuterRef("delivery_id"), pk__gt=OuterRef("pk"))
    doubts = Outcome.objects.filter(campaign_id=campaign.pk, state=State.IN_DOUBT)
    return doubts.filter(~Exists(later)).order_by("-at")


def by_evidence(delivery: Delivery, evidence: str, *, at: datetime) -> bool:
    """Settle doubt because something came back that only a delivered message can cause; tell whether there was any."""
    last = _last(delivery)
    if last is None or last.state != State.IN_DOUBT:
        return False
    return settle(delivery.pk, _accepted(delivery, last, f"Arrived: {evidence}", at))


def resend(delivery: Delivery, *, actor: User, reason: str) -> Retry:
    """Queue a delivery in doubt once more; it may arrive twice, so a person orders it with a reason.

    Raises NotInDoubtError when there is no doubt or the campaign was stopped.
    """
    with transaction.atomic():
        Delivery.objects.select_for_update().get(pk=delivery.pk)
        last = _last(delivery)
        campaign = delivery.campaign
        if last is None or last.state != State.IN_DOUBT or campaign.state == CampaignState.STOPPED:
            raise NotInDoubtError("This message is not in doubt any more.")
        if Retry.objects.filter(delivery=delivery).exists():
            raise NotInDoubtError("This message is being sent again already.")
        retry = _order(delivery, last, campaign)
        _audit("delivery.resent", delivery, actor, reason)
        poke_after_commit([retry.relay])
    return retry


def _order(delivery: Delivery, last: Outcome, campaign: Campaign) -> Retry:
    now = clock.now()
    return Retry.objects.create(
        delivery=delivery,
        campaign=campaign,
        organization_id=delivery.organization_id,
        relay=last.relay or "relay-1",
        attempt=last.attempt + 1,
        first_at=now,
        due_at=now,
        reason="Sent again by a person's order",
    )


def call_accepted(delivery: Delivery, *, actor: User, reason: str) -> bool:
    """Call a delivery in doubt accepted because a person saw proof, such as the relay's log; audited."""
    last = _last(delivery)
    if last is None or last.state != State.IN_DOUBT:
        raise NotInDoubtError("This message is not in doubt any more.")
    with transaction.atomic():
        done = settle(delivery.pk, _accepted(delivery, last, f"Settled by a person: {reason}", clock.now()))
        _audit("delivery.settled", delivery, actor, reason)
    return done


def _last(delivery: Delivery) -> Outcome | None:
    return Outcome.objects.filter(delivery_id=delivery.pk).order_by("-pk").first()


def _accepted(delivery: Delivery, last: Outcome, text: str, at: datetime) -> Result:
    return Result(
        delivery_id=delivery.pk,
        campaign_id=delivery.campaign_id,
        organization_id=delivery.organization_id,
        attempt=last.attempt,
        state=State.ACCEPTED,
        at=at,
        first_at=last.at,
        relay=last.relay,
        previous=State.IN_DOUBT,
        reply=text[:300],
        host=last.host,
    )


def _audit(action: str, delivery: Delivery, actor: User, reason: str) -> None:
    audit.record(
        action,
        actor=actor,
        organization=delivery.organization,
        subject=f"campaign:{delivery.campaign.uid}",
        reason=reason,
        detail={"delivery": delivery.pk},
    )
