"""What retention did: one row a night."""

from __future__ import annotations

from django.db import models


class RetentionRun(models.Model):
    """One run that deleted; `results` has code, rows and rest of each rule."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    results = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"
