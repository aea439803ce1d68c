"""Uploads that nobody went on with: the file goes after KEPT, the list stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from accounts.models import User
from compliance.imports import files, lifecycle
from compliance.models import ImportJob, ImportState

KEPT: Final = timedelta(days=30)


def cancel(job: ImportJob, *, actor: User | None, reason: str = "") -> bool:
    """End an upload before its signature and delete its file."""
    with transaction.atomic():
        if not lifecycle.move(job, ImportState.CANCELLED, actor=actor, reason=reason):
            return False
        transaction.on_commit(lambda: files.forget(job.stored_name))
    return True


def clear(now: datetime) -> int:
    """Cancel what lay open for KEPT; return how many."""
    old = ImportJob.objects.filter(state__in=lifecycle.OPEN, created_at__lt=now - KEPT).select_related("organization")
    return sum(cancel(job, actor=None, reason=f"Not finished in {KEPT.days} days") for job in old[:100])
