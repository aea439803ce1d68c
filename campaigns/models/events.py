"""What comes back: append-only events in anymail's vocabulary, and the raw mail behind them."""

from __future__ import annotations

from typing import ClassVar

from anymail.signals import EventType
from django.db import models

from accounts.models import Organization


class EventKind(models.TextChoices):
    """anymail's closed set, as far as we know such events, plus automatic replies."""

    BOUNCED = EventType.BOUNCED, "Bounced"
    DEFERRED = EventType.DEFERRED, "Delayed"
    DELIVERED = EventType.DELIVERED, "Taken by the receiver"
    COMPLAINED = EventType.COMPLAINED, "Complained"
    UNSUBSCRIBED = EventType.UNSUBSCRIBED, "Unsubscribed"
    SUBSCRIBED = EventType.SUBSCRIBED, "Took the unsubscribe back"
    CLICKED = EventType.CLICKED, "Clicked"
    OPENED = EventType.OPENED, "Opened"
    AUTORESPONDED = EventType.AUTORESPONDED, "Automatic reply"
    INBOUND = EventType.INBOUND, "Reply"
    UNKNOWN = EventType.UNKNOWN, "Not understood"


class Event(models.Model):
    """One thing that came back, written by campaigns.events.record_event only. Bounces are events, not states."""

    kind = models.CharField(max_length=16, choices=EventKind.choices)
    at = models.DateTimeField()
    recorded_at = models.DateTimeField(auto_now_add=True)
    organization = models.ForeignKey(Organization, models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
    campaign_id = models.BigIntegerField(null=True)
    delivery_id = models.BigIntegerField(null=True)
    source = models.CharField(max_length=20)  # smtp, dsn, arf, one_click, page, mailto, abuse_form, click, webhook
    dedupe = models.CharField(max_length=80, unique=True)  # the same thing told twice is one event
    bounce_class = models.CharField(max_length=20, blank=True)  # rules section 4
    detail = models.JSONField(default=dict)
    inbound_id = models.BigIntegerField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["delivery_id"], name="event_by_delivery"),
            models.Index(fields=["campaign_id", "kind", "at"], name="event_by_campaign"),
            models.Index(fields=["organization", "kind", "at"], name="event_by_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M}"


class LinkRequest(models.Model):
    """Somebody asked for the links of an address; deleted when the work is done (campaigns.lost_links)."""

    address = models.CharField(max_length=254)
    asked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"asked at {self.asked_at:%Y-%m-%d %H:%M}"


class InboundMail(models.Model):
    """A mail that came to one of our addresses, kept raw for RET_RAW_D days (rules 1.12)."""

    received_at = models.DateTimeField()
    mail_from = models.CharField(max_length=254, blank=True)
    rcpt_to = models.CharField(max_length=254)
    peer = models.CharField(max_length=45)
    raw = models.BinaryField()
    sha256 = models.BinaryField(max_length=32)
    kind = models.CharField(
        max_length=20, blank=True
    )  # bounce, complaint, unsubscribe, auto_reply, reply, forged, unreadable
    delivery_id = models.BigIntegerField(null=True)
    processed_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["id"], condition=models.Q(processed_at=None), name="inbound_waiting")]

    def __str__(self) -> str:
        return f"{self.kind or 'new'} at {self.received_at:%Y-%m-%d %H:%M}"
