"""The public figures of both mail servers: counted at most once an hour, hidden while they rest on too little mail.

Volumes come from `Tally` (kept while sending), not from counting deliveries, so a page never scans a large table.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from django.core.cache import cache
from django.db import DatabaseError
from django.db.models import Min, QuerySet, Sum
from django.utils.safestring import SafeString
from redis.exceptions import RedisError

from abuse.models import Case, Complaint
from campaigns.models import Campaign, Event, EventKind, Outcome, Tally
from sendserver.lib import charts, clock

WINDOW: Final = timedelta(days=30)
LEAST_DAYS: Final = 7  # below this a rate says more about chance than about us
WEEKS: Final = 12
KEPT_SECONDS: Final = 3600
RELAYS: Final = ("relay-1", "relay-2")
COUNTED_GRADES: Final = (Complaint.Grade.A, Complaint.Grade.B)  # proven ours, rules 5.4
MOST_COMPLAINTS: Final = 50_000  # per chart; more would only mean that nobody reads it any more


@dataclass(frozen=True)
class Figures:
    """Thirty days of both servers. Counts are messages or people; `median_decision_s` is seconds or None."""

    counted_at: datetime
    enough: bool
    accepted: int
    bounced: int
    complaints: int
    unsubscribed: int
    median_decision_s: float | None
    weeks: tuple[tuple[str, tuple[float, ...]], ...]  # label, complaints per 10,000 for each relay
    least_days: int = LEAST_DAYS

    @property
    def complaints_per_10000(self) -> str:
        """Return complaints per 10,000 accepted messages, one decimal."""
        return f"{10_000 * self.complaints / self.accepted:.1f}" if self.accepted else "0"


def public() -> Figures | None:
    """Return the figures, at most an hour old; None when they cannot be had, so that the page stays."""
    try:
        found: Figures | None = cache.get("figures")
        if found is None:
            found = count(clock.now())
            cache.set("figures", found, KEPT_SECONDS)
    except (DatabaseError, RedisError):
        return None
    return found


def count(now: datetime) -> Figures:
    """Count the figures of the thirty days before `now`."""
    since = now - WINDOW
    first = Campaign.objects.filter(started_at__isnull=False).aggregate(first=Min("started_at"))["first"]
    events = Event.objects.filter(at__gte=since)
    return Figures(
        counted_at=now,
        enough=first is not None and now - first >= timedelta(days=LEAST_DAYS),
        accepted=_accepted(since),
        bounced=events.filter(kind=EventKind.BOUNCED).count(),
        complaints=_counted(since).count(),
        unsubscribed=events.filter(kind=EventKind.UNSUBSCRIBED).count(),
        median_decision_s=_median_decision(since),
        weeks=_weeks(now),
    )


def weekly_chart(figures: Figures, names: tuple[str, str]) -> SafeString:
    """Return the chart of complaints per 10,000 for both servers, named as outsiders know them."""
    labels = [label for label, _ in figures.weeks]
    series = [
        charts.Series(name, [rates[place] for _, rates in figures.weeks], f"c{place + 1}")
        for place, name in enumerate(names)
    ]
    return charts.lines("Complaints per 10,000 accepted", labels, series)


def _accepted(since: datetime) -> int:
    total = Tally.objects.filter(campaign__started_at__gte=since, state=Outcome.State.ACCEPTED)
    return total.aggregate(sum=Sum("count"))["sum"] or 0


def _counted(since: datetime) -> QuerySet[Complaint]:
    return Complaint.objects.filter(received_at__gte=since, grade__in=COUNTED_GRADES)


def _median_decision(since: datetime) -> float | None:
    spans = Case.objects.filter(decided_at__gte=since).values_list("opened_at", "decided_at")
    seconds = [(decided - opened).total_seconds() for opened, decided in spans if decided]
    return median(seconds) if seconds else None


def _weeks(now: datetime) -> tuple[tuple[str, tuple[float, ...]], ...]:
    start = now - timedelta(weeks=WEEKS)
    sent, complained = _sent_by_week(start), _complaints_by_week(start)
    rows = []
    for week in range(WEEKS):
        begins = start + timedelta(weeks=week)
        rates = tuple(
            round(10_000 * complained[week, relay] / sent[week, relay], 1) if sent[week, relay] else 0.0
            for relay in RELAYS
        )
        rows.append((f"{begins.day} {begins:%b}", rates))
    return tuple(rows)


def _sent_by_week(start: datetime) -> Counter[tuple[int, str]]:
    """Count accepted messages by week number since `start` and relay; a campaign counts in the week it began."""
    rows = Tally.objects.filter(campaign__started_at__gte=start, state=Outcome.State.ACCEPTED)
    counted: Counter[tuple[int, str]] = Counter()
    for began, relay, number in rows.values_list("campaign__started_at", "relay", "count"):
        if began:
            counted[(began - start).days // 7, relay] += number
    return counted


def _complaints_by_week(start: datetime) -> Counter[tuple[int, str]]:
    rows = _counted(start).filter(delivery_id__isnull=False).values_list("delivery_id", "received_at")
    when = {delivery: at for delivery, at in rows[:MOST_COMPLAINTS] if delivery}
    handed = Outcome.objects.filter(delivery_id__in=when, state=Outcome.State.ACCEPTED)
    counted: Counter[tuple[int, str]] = Counter()
    for delivery, relay in handed.values_list("delivery_id", "relay"):
        counted[(when[delivery] - start).days // 7, relay] += 1
    return counted
