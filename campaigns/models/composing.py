"""Campaigns: what is written, and the frozen content that is sent."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models import FromAddress, Organization
from accounts.tenancy import OrgQuerySet
from compliance.models import ContactList, Segment


class CampaignState(models.TextChoices):
    """Life cycle of a campaign; campaigns.lifecycle holds the transition table."""

    DRAFT = "draft", "Draft"
    HELD = "held", "Waiting for check"
    SCHEDULED = "scheduled", "Scheduled"
    PLANNING = "planning", "Preparing"
    SENDING = "sending", "Sending"
    PAUSED = "paused", "Paused"
    SENT = "sent", "Sent"
    STOPPED = "stopped", "Stopped"


class Campaign(models.Model):
    """A message to the people of one or more lists."""

    class Format(models.TextChoices):
        MARKDOWN = "markdown", "Markdown"
        HTML = "html", "HTML"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="campaigns")
    name = models.CharField(max_length=120)
    state = models.CharField(max_length=10, choices=CampaignState.choices, default=CampaignState.DRAFT)
    subject = models.CharField(max_length=200, blank=True)
    preheader = models.CharField(max_length=200, blank=True)
    from_address = models.ForeignKey(FromAddress, models.PROTECT, null=True, blank=True, related_name="+")
    body_format = models.CharField(max_length=8, choices=Format.choices, default=Format.MARKDOWN)
    body = models.TextField(blank=True)
    offer_ends_at = models.DateField(null=True, blank=True)
    lists = models.ManyToManyField(ContactList, related_name="campaigns", blank=True)
    # Takes people away from the lists; frozen with the snapshot when approved. Segments are never deleted as rows.
    segment = models.ForeignKey(Segment, models.RESTRICT, null=True, blank=True, related_name="+", db_index=False)
    version = models.PositiveIntegerField(default=1)  # rises with every saved change; refuses lost updates
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    copied_from = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")
    # Sending
    snapshot = models.ForeignKey("campaigns.Snapshot", models.PROTECT, null=True, blank=True, related_name="+")
    scheduled_at = models.DateTimeField(null=True, blank=True)
    schedule_zone = models.CharField(max_length=64, blank=True)
    send_key = models.UUIDField(null=True, unique=True)  # idempotency of the Send button
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    # What a long list's approval rested on: {"people", "counted_at", "at_once"}; null where everybody was counted at
    # the press. The planner then looks once more (campaigns.approve.against_approval).
    approved_on = models.JSONField(null=True)
    look_again = models.TextField(blank=True, default="", db_default="")  # why the planner gave it back, for its author
    planned_at = models.DateTimeField(null=True, blank=True)
    planned_count = models.PositiveIntegerField(default=0)  # rows of delivery, left-out ones included
    mailable_count = models.PositiveIntegerField(default=0)  # of these, in chunks
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = OrgQuerySet["Campaign"].as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["organization", "-created_at"], name="campaign_by_organization"),
            models.Index(
                fields=["state"],
                condition=models.Q(state__in=["scheduled", "planning", "sending"]),
                name="campaign_live",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Snapshot(models.Model):
    """What was approved is what is sent: immutable, append-only, bound by its hash (rules CONTENT-SNAPSHOT)."""

    campaign_uid = models.UUIDField()
    version = models.PositiveIntegerField()
    sha256 = models.BinaryField(max_length=32)
    content = models.JSONField()  # subject, preheader, from, reply_to, html, text, lists, footer, links
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["campaign_uid", "version"], name="snapshot_once")]

    def __str__(self) -> str:
        return f"version {self.version} of {self.campaign_uid}"


class Link(models.Model):
    """A counted link of a campaign: constant for everybody, so no person stands in it (rules section 9.6)."""

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="links")
    number = models.PositiveSmallIntegerField()
    url = models.TextField(max_length=4000)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["campaign", "number"], name="link_once")]

    def __str__(self) -> str:
        return self.url


class ClickCount(models.Model):
    """Clicks of one link in one hour; automated ones apart."""

    link = models.ForeignKey(Link, models.CASCADE, related_name="counts")
    hour = models.DateTimeField()
    clicks = models.PositiveIntegerField(default=0)
    automated = models.PositiveIntegerField(default=0)  # scanners: see campaigns.tracking

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["link", "hour"], name="click_count_once")]

    def __str__(self) -> str:
        return f"{self.clicks} at {self.hour:%Y-%m-%d %H}"
