"""Segments: people picked by conditions; and counts that a worker makes."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from accounts.models import Organization
from accounts.tenancy import OrgQuerySet


class Segment(models.Model):
    """Saved conditions under a name. A deleted one keeps its row: a draft that asks for it must not widen."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="segments")
    name = models.CharField(max_length=120)
    conditions = models.JSONField()  # compliance.segments.conditions.Conditions.to_json()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True)

    objects = OrgQuerySet["Segment"].as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "organization", Lower("name"), condition=models.Q(deleted_at=None), name="segment_once_by_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class KeptCount(models.Model):
    """A count that a page asked for and a worker makes (compliance.counting); kept for a while, never decided by."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    digest = models.BinaryField(max_length=32)  # of kind and `asked`
    kind = models.CharField(max_length=20)
    asked = models.JSONField()
    lists = models.JSONField(default=list)  # keys of the lists whose change makes the answer old
    asked_at = models.DateTimeField()
    begun_at = models.DateTimeField(null=True)
    counted_at = models.DateTimeField(null=True)
    took = models.FloatField(null=True)  # seconds; null with a `counted_at`: given up
    state = models.TextField(blank=True)  # how those lists were when it was counted
    answer = models.JSONField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization", "digest"], name="kept_count_once")]

    def __str__(self) -> str:
        return f"{self.kind}, counted {self.counted_at or 'not yet'}"


class SegmentCount(models.Model):
    """Not used any more: KeptCount took its place. The next release drops it."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    digest = models.BinaryField(max_length=32)
    conditions = models.JSONField()
    asked_at = models.DateTimeField()
    begun_at = models.DateTimeField(null=True)
    counted_at = models.DateTimeField(null=True)
    took = models.FloatField(null=True)
    people = models.PositiveIntegerField(default=0)
    mailable = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization", "digest"], name="segment_count_once")]

    def __str__(self) -> str:
        return f"{self.people} people"
