"""The one door for what comes back: bounces, complaints, unsubscribes, clicks, automatic replies.

Events are append-only and told twice count once. What an event does to the do-not-mail list happens here, in the same
transaction, so that an unsubscribe is in force when its page answers (rules UNSUB-EFFECT). Rates are judged in abuse,
which reads the rows; nothing here changes a standing or a campaign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Count, Max, Min
from psycopg.types.json import Jsonb

from accounts.models import Organization
from campaigns.bounces import HARD, BounceClass
from campaigns.models import Delivery, Event, EventKind
from campaigns.sending.resolve import by_evidence
from compliance import policy
from compliance.lists import record_bounced
from compliance.models import Contact, Suppression
from compliance.suppression import suppress
from sendserver.lib.addresses import AddressKey, Who

Reason = Suppression.Reason

FULL_SPAN: Final = timedelta(days=14)  # rules section 4: that many events count only when spread this far
SOFT_SPAN: Final = timedelta(days=30)
SOFT_REST: Final = timedelta(days=policy.SOFT_SUPPRESS_D)

_INSERT: Final = """
INSERT INTO campaigns_event (kind, at, recorded_at, organization_id, campaign_id, delivery_id, source, dedupe,
                             bounce_class, detail, inbound_id)
VALUES (%s, %s, now(), %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (dedupe) DO NOTHING RETURNING id
"""


@dataclass(frozen=True)
class EventData:
    """One thing that came back. `dedupe` names the thing itself, so that hearing it twice counts once."""

    kind: str  # an EventKind
    source: str  # smtp, dsn, arf, one_click, page, mailto, preferences, abuse_form, click, reply
    dedupe: str  # at most 80 characters, such as "dsn:<delivery>:5.1.1"
    at: datetime
    delivery: Delivery | None = None
    organization_id: int | None = None  # taken from the delivery when there is one
    campaign_id: int | None = None
    bounce_class: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    inbound_id: int | None = None
    platform: bool = False  # "never from Sendserver again": suppress for every sender


def record_event(data: EventData) -> Event | None:
    """Write the event and do what follows from it; None when it was told before.

    What follows: a hard bounce, complaint or unsubscribe suppresses the address for that sender (with `platform` for
    all); full and soft bounces do so for a while once they repeat. It is done again for a repeated telling, which
    is harmless; only SUBSCRIBED (an undo) has no effect here, its caller lifts the entry first.
    """
    with transaction.atomic():
        pk = _insert(data)
        if data.delivery is not None:
            _follow(data, data.delivery)
    return Event.objects.get(pk=pk) if pk else None


def _insert(data: EventData) -> int | None:
    delivery = data.delivery
    values: list[Any] = [
        EventKind(data.kind).value,
        data.at,
        delivery.organization_id if delivery else data.organization_id,
        delivery.campaign_id if delivery else data.campaign_id,
        delivery.pk if delivery else None,
        data.source,
        data.dedupe[:80],
        data.bounce_class,
        Jsonb(dict(data.detail)),
        data.inbound_id,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, values)
        row = cursor.fetchone()
    return row[0] if row else None


def _follow(data: EventData, delivery: Delivery) -> None:
    if data.source != "smtp":  # whoever got something back from a message proves that it arrived
        by_evidence(delivery, f"{data.kind} by {data.source}", at=data.at)
    if data.kind == EventKind.BOUNCED:
        # Behind the commit, alone: a lane's transaction must hold no locks on people that another lane wants too.
        noted = (delivery.contact_id, bytes(delivery.address_hash), data.at)
        transaction.on_commit(lambda: record_bounced(*noted), robust=True)
    reason = _reason(data)
    if reason is not None:
        _suppress(data, delivery, reason)
    elif data.kind == EventKind.BOUNCED:
        _judge_repeated(data, delivery)


def _reason(data: EventData) -> str | None:
    """Return why the address must not be mailed after this, or None."""
    if data.kind == EventKind.COMPLAINED:
        return Reason.COMPLAINT
    if data.kind == EventKind.UNSUBSCRIBED:
        return Reason.UNSUBSCRIBE
    if data.kind == EventKind.BOUNCED and data.bounce_class in HARD:
        return Reason.HARD_BOUNCE
    return None


def who(delivery: Delivery) -> Who:
    """Return whose message it was: the address, or that of whoever has its hash once retention took it, else the hash.

    Not by the message's contact, which the sender may have corrected to somebody else's address. Of an erased person
    the hash is left: they are on the do-not-mail list, and what they say now is written there too.
    """
    if delivery.address:
        return AddressKey(delivery.address.lower())
    held = Contact.objects.filter(organization_id=delivery.organization_id, address_hash=delivery.address_hash)
    contact = held.first()
    return AddressKey(contact.address_key) if contact else bytes(delivery.address_hash)


def _suppress(data: EventData, delivery: Delivery, reason: str, until: datetime | None = None) -> None:
    suppress(
        who(delivery),
        organization=Organization.objects.get(pk=delivery.organization_id),
        reason=reason,
        source=data.source,
        delivery_id=delivery.pk,
        until=until,
        platform=data.platform,
    )


def _judge_repeated(data: EventData, delivery: Delivery) -> None:
    """Suppress for a while, or for good, what bounced softly again and again (rules section 4)."""
    if data.bounce_class == BounceClass.POLICY_RECIPIENT and _times(delivery, data.bounce_class)["campaigns"] >= 2:
        _suppress(data, delivery, Reason.SOFT_BOUNCE)
    elif data.bounce_class == BounceClass.FULL:
        _rest(data, delivery, policy.FULL_EVENTS, FULL_SPAN)
    elif data.bounce_class == BounceClass.SOFT:
        _rest(data, delivery, policy.SOFT_EVENTS, SOFT_SPAN)


def _rest(data: EventData, delivery: Delivery, needed: int, span: timedelta) -> None:
    seen = _times(delivery, data.bounce_class)
    if seen["campaigns"] >= needed and seen["last"] - seen["first"] >= span:
        _suppress(data, delivery, Reason.SOFT_BOUNCE, until=data.at + SOFT_REST)


def _times(delivery: Delivery, bounce_class: str) -> dict[str, Any]:
    """Return campaigns, first and last of this contact's bounces of one class within the resting time."""
    siblings = Delivery.objects.filter(organization_id=delivery.organization_id, contact_id=delivery.contact_id)
    bounces = Event.objects.filter(
        delivery_id__in=siblings.values("pk"), kind=EventKind.BOUNCED, bounce_class=bounce_class
    )
    return bounces.aggregate(campaigns=Count("campaign_id", distinct=True), first=Min("at"), last=Max("at"))
