"""What retention did: one row a night, and one line for each personal part of a chained record."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class RetentionRun(models.Model):
    """One run that deleted; `results` has code, rows and rest of each rule."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    results = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"


class DeletedPart(models.Model):
    """A side row that retention deleted, so that a missing one is told from a lost one; append-only."""

    record_table = models.CharField(max_length=63)
    record_uid = models.UUIDField()
    rule = models.CharField(max_length=32)
    deleted_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["record_table", "record_uid"], name="deleted_part_once")
        ]

    def __str__(self) -> str:
        return f"{self.record_table} {self.record_uid}"
