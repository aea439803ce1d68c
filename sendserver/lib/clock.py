"""The one clock. Tests script it; leases and schedules use the database's own `now()` instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def now() -> datetime:
    """Return the current instant, aware, in UTC."""
    return datetime.now(UTC)


def business_days_after(start: datetime, days: int) -> datetime:
    """Return the instant `days` working days (Monday to Friday) after `start`.

    Public holidays are not known here, so a promise may fall on one.
    """
    moment = start
    while days > 0:
        moment += timedelta(days=1)
        if moment.weekday() < 5:
            days -= 1
    return moment
