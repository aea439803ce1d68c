"""What a match tells the person who pasted a message: whether we sent it, who the sender is, and no more.

Details of a delivery are shown only for a signed token, since whoever holds it holds the message. A weak match names
the sender alone, so the form cannot be used to ask whether somebody is on a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from abuse.matching import Match
from abuse.models import Complaint
from campaigns.models import Delivery, Event, EventKind, Outcome
from sendserver.lib.addresses import masked


@dataclass(frozen=True)
class Found:
    """What the report form shows."""

    ours: bool
    proven: bool
    altered: bool = False
    sender: str = ""
    domain: str = ""
    sent_at: datetime | None = None
    server: str = ""
    recipient: str = ""
    left_at: datetime | None = None  # unsubscribed before this message went out
    days_after: int = 0


def describe(match: Match) -> Found:
    """Return what may be shown of a match."""
    if match.grade == Complaint.Grade.X:
        return Found(ours=False, proven=False)
    if match.delivery is None:
        name = match.organization.name if match.organization and match.grade == Complaint.Grade.B else ""
        return Found(ours=True, proven=False, sender=name)
    return _proven(match, match.delivery)


def _proven(match: Match, delivery: Delivery) -> Found:
    outcome = accepted(delivery)
    sent_at = outcome.at if outcome else delivery.campaign.started_at
    relay = settings.RELAYS.get(outcome.relay) if outcome else None
    left = left_before(delivery, sent_at)
    sender = delivery.campaign.from_address
    return Found(
        ours=True,
        proven=True,
        altered=match.altered,
        sender=delivery.organization.name,
        domain=sender.domain.name if sender else "",
        sent_at=sent_at,
        server=relay.name if relay else "",
        recipient=masked(delivery.address),
        left_at=left,
        days_after=(sent_at - left).days if sent_at and left else 0,
    )


def accepted(delivery: Delivery) -> Outcome | None:
    """Return when and by which relay a message was accepted."""
    rows = Outcome.objects.filter(delivery_id=delivery.pk, state=Outcome.State.ACCEPTED)
    return rows.order_by("-pk").first()


def left_before(delivery: Delivery, moment: datetime | None) -> datetime | None:
    """Return when the person last unsubscribed from this sender before `moment`, if they did."""
    if moment is None:
        return None
    theirs = Delivery.objects.filter(organization_id=delivery.organization_id, address_hash=delivery.address_hash)
    rows = Event.objects.filter(
        delivery_id__in=theirs.values("pk"), kind=EventKind.UNSUBSCRIBED, at__lt=moment
    ).order_by("-at")
    return rows.values_list("at", flat=True).first()
