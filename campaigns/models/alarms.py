"""Alarms: a condition that a person must know of, from its first sight to its end."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Alarm(models.Model):
    """One condition while it lasts. Seen first, open once it has lasted long enough, paged until somebody answers."""

    key = models.CharField(max_length=60)  # what and where: "relay-1:fault", "journal:relay-1@host"
    text = models.CharField(max_length=500)
    since = models.DateTimeField()
    seen_at = models.DateTimeField()
    is_reported = models.BooleanField(default=False, db_default=False)  # by a lane; over when it is not heard of again
    opened_at = models.DateTimeField(null=True)
    paged_at = models.DateTimeField(null=True)  # the last time
    pages = models.PositiveIntegerField(default=0, db_default=0)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    closed_at = models.DateTimeField(null=True)
    over_paged_at = models.DateTimeField(null=True)  # whoever was paged was told that it is over

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key"], condition=models.Q(closed_at=None), name="alarm_once")
        ]

    def __str__(self) -> str:
        return self.key
