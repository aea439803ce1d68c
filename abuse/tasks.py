"""Thin tasks of the abuse desk; the schedule stands in sendserver.celery."""

from __future__ import annotations

from celery import shared_task

from abuse import judging, reminders, transparency


@shared_task(name="abuse.judge_reputation")
def judge_reputation() -> None:
    """Take in new reports and judge the figures."""
    judging.run()


@shared_task(name="abuse.remind")
def remind() -> None:
    """Look after promises."""
    reminders.run()


@shared_task(name="abuse.count_months")
def count_months() -> int:
    """Count the public figures of this month and the last one."""
    return transparency.count_recent()
