"""The nightly run of retention."""

from __future__ import annotations

from celery import shared_task

from sendserver.pages import retention


@shared_task(name="pages.retention")
def delete_what_is_over() -> int:
    """Delete what is kept no longer; return how many rows were ended."""
    return sum(result.rows for result in retention.run(dry=False))
