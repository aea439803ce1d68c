"""The do-not-mail list: keyed hashes that outlive the contact (rules DATA-ERASURE, UNSUB-NO-RESURRECT)."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from accounts.models import Organization


class Suppression(models.Model):
    """An address that must not be mailed: by one organization, or with none named by the whole platform."""

    class Reason(models.TextChoices):
        UNSUBSCRIBE = "unsubscribe", "Unsubscribed"
        COMPLAINT = "complaint", "Complained"
        HARD_BOUNCE = "hard_bounce", "Address does not exist"
        SOFT_BOUNCE = "soft_bounce", "Bounced again and again"
        OBJECTION = "objection", "Asked us to stop"
        STAFF = "staff", "By our staff"
        OWNER = "owner", "Added by the sender"
        PAUSE = "pause", "Taking a break"
        BROUGHT = "brought", "Said no before you came here"

    organization = models.ForeignKey(Organization, models.CASCADE, null=True, related_name="suppressions")
    address_hash = models.BinaryField(max_length=32)
    key_id = models.CharField(max_length=8)
    act = models.UUIDField(default=uuid.uuid4)  # one act has a row for each key; they are lifted together
    reason = models.CharField(max_length=12, choices=Reason.choices)
    source = models.CharField(
        max_length=40
    )  # one_click, page, mailto, dsn, arf, abuse_form, staff, preferences, brought_along
    delivery_id = models.BigIntegerField(null=True)  # the message that led here, when known
    created_at = models.DateTimeField()
    until = models.DateTimeField(null=True)  # null: for ever
    lifted_at = models.DateTimeField(null=True)
    lifted_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization", "address_hash", "reason"],
                condition=models.Q(lifted_at=None),
                nulls_distinct=False,
                name="suppression_once",
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["address_hash", "organization"], condition=models.Q(lifted_at=None), name="suppression_live"
            ),
            models.Index(fields=["organization", "-created_at"], name="suppression_by_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.reason} since {self.created_at:%Y-%m-%d}"


class Trap(models.Model):
    """An address of ours that signed up nowhere: a list that holds it was collected or bought (rules SRC-TRAP)."""

    address_hash = models.BinaryField(max_length=32, unique=True)
    key_id = models.CharField(max_length=8)
    note = models.CharField(max_length=200)  # where it was laid out
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.note
