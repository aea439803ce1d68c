"""Alarms: one row a condition from its first sight to its end, and who is called for it until somebody answers.

The beat looks every half minute (`watch`). What only a lane can know, a journal or a database that cannot be written,
it reports itself; where not even that can be written down, it calls by the webhook from where it stands.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Final

from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, QuerySet

from accounts import audit
from accounts.models import User
from campaigns import conditions, paging
from campaigns.conditions import Condition
from campaigns.models import Alarm
from sendserver.lib import clock

log = logging.getLogger(__name__)
REPEAT: Final = timedelta(minutes=15)  # an alarm that nobody acknowledged calls again (architecture, decisions)
QUIET: Final = timedelta(seconds=120)  # what a lane reported is over when it was not reported again for so long
_LOCK: Final = 7_316_304
_told: dict[str, float] = {}  # key -> when this process called past the database, on the monotonic clock


def watch() -> list[Alarm]:
    """Look at everything, open and close alarms, call whoever is to be called; return what is open."""
    _note(conditions.present())
    for alarm in _due():
        _page(alarm)
    for alarm in Alarm.objects.exclude(closed_at=None).filter(pages__gt=0, over_paged_at=None):
        _page_over(alarm)
    return list(live())


def live() -> QuerySet[Alarm]:
    """Return the open alarms, oldest first."""
    return Alarm.objects.filter(closed_at=None).exclude(opened_at=None).order_by("opened_at")


def report(key: str, text: str) -> None:
    """Open an alarm at once, from a lane; never raises: whoever reports has troubles enough."""
    log.critical("%s: %s", key, text)
    try:
        _keep_report(key[:60], text[:500])
    except DatabaseError:
        _call_past_the_database(key, text)


def acknowledge(alarm: Alarm, *, actor: User | None, name: str) -> bool:
    """Say that a person looks at it, so that it calls nobody again; audited. False when it was done or is over."""
    with transaction.atomic():
        rows = Alarm.objects.filter(pk=alarm.pk, acknowledged_at=None, closed_at=None)
        if not rows.update(acknowledged_at=clock.now(), acknowledged_by=name[:150]):
            return False
        audit.record("alarm.acknowledged", actor=actor, subject="platform", reason=alarm.key, detail={"by": name[:150]})
    return True


# --- rows
def _note(found: list[Condition]) -> None:
    now = clock.now()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [_LOCK])
        known = {alarm.key: alarm for alarm in Alarm.objects.filter(closed_at=None)}
        for condition in found:
            _see(known.pop(condition.key, None), condition, now)
        for alarm in known.values():
            if not alarm.is_reported or now - alarm.seen_at > QUIET:
                _end(alarm, now)


def _see(alarm: Alarm | None, condition: Condition, now: datetime) -> None:
    if alarm is None:
        alarm = Alarm(key=condition.key, since=now)
    alarm.text, alarm.seen_at = condition.text[:500], now
    if alarm.opened_at is None and (now - alarm.since).total_seconds() >= condition.patience:
        alarm.opened_at = now
    alarm.save()


def _end(alarm: Alarm, now: datetime) -> None:
    """Close an alarm; what never lasted long enough to be one leaves no trace."""
    if alarm.opened_at is None:
        alarm.delete()
    else:
        Alarm.objects.filter(pk=alarm.pk).update(closed_at=now)


def _keep_report(key: str, text: str) -> None:
    now = clock.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO campaigns_alarm (key, text, since, seen_at, opened_at, is_reported)"
            " VALUES (%(key)s, %(text)s, %(now)s, %(now)s, %(now)s, true)"
            " ON CONFLICT (key) WHERE closed_at IS NULL"
            " DO UPDATE SET seen_at = excluded.seen_at, text = excluded.text,"
            " opened_at = COALESCE(campaigns_alarm.opened_at, excluded.opened_at)",
            {"key": key, "text": text, "now": now},
        )


# --- calling
def _due() -> list[Alarm]:
    """Return what calls now: open, not acknowledged, and not called for within REPEAT."""
    silent = Q(paged_at=None) | Q(paged_at__lte=clock.now() - REPEAT)
    return list(live().filter(silent, acknowledged_at=None))


def _page(alarm: Alarm) -> None:
    paging.call(alarm.key, alarm.text, since=alarm.since, number=alarm.pages + 1)
    Alarm.objects.filter(pk=alarm.pk).update(paged_at=clock.now(), pages=F("pages") + 1)


def _page_over(alarm: Alarm) -> None:
    paging.call(alarm.key, alarm.text, since=alarm.since, over=alarm.closed_at)
    Alarm.objects.filter(pk=alarm.pk).update(over_paged_at=clock.now())


def _call_past_the_database(key: str, text: str) -> None:
    """Call by the webhook alone, once in REPEAT a process: neither a row nor a mail can be written."""
    now = time.monotonic()
    if now - _told.get(key, -REPEAT.total_seconds()) >= REPEAT.total_seconds():
        _told[key] = now
        paging.hook(key, text, since=clock.now())
