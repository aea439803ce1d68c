"""Figures of a campaign for its progress page and report. Reads tallies and events; writes nothing.

Words are honest: "accepted" is what our servers took over, rates are of what was accepted and did not bounce.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import Count, Sum

from campaigns.models import Campaign, CampaignState, ClickCount, Event, EventKind, Outcome, Tally
from compliance import policy
from sendserver.lib import clock

State = Outcome.State
FINAL: Final = (State.ACCEPTED, State.REJECTED, State.IN_DOUBT, State.SUPPRESSED, State.CANCELLED, State.RENDER_FAILED)
LEFT_OUT: Final = (State.SKIPPED, State.SUPPRESSED)
HOURS: Final = 48
STEP_HOURS: Final = 2


@dataclass(frozen=True)
class Lane:
    """One relay's part of a campaign."""

    key: str
    name: str
    number: int
    done: int
    total: int


@dataclass(frozen=True)
class Progress:
    """How far a campaign is: people, not attempts."""

    planned: int  # to be mailed, left-out people apart
    done: int
    accepted: int
    waiting: int
    rejected: int
    in_doubt: int
    failed: int
    stopped: int
    left_out: int
    per_minute: int
    seconds_left: int | None
    lanes: tuple[Lane, ...]

    @property
    def percent(self) -> int:
        """Return whole percent; 100 only when nothing is left."""
        return 100 if self.planned and self.done >= self.planned else int(100 * self.done / max(1, self.planned))


def progress(campaign: Campaign) -> Progress:
    """Return how far the campaign is, from its tallies (a handful of rows, however many people)."""
    rows = list(Tally.objects.filter(campaign=campaign).values_list("relay", "state", "count"))
    total: Counter[str] = Counter()
    for _, state, count in rows:
        total[state] += count
    left = sum(count for relay, state, count in rows if not relay and state in LEFT_OUT)
    done = sum(total[state] for state in FINAL) + total[State.SKIPPED] - left
    planned = campaign.mailable_count
    pace = _pace(campaign, done)
    return Progress(
        planned=planned,
        done=done,
        accepted=total[State.ACCEPTED],
        waiting=total[State.DEFERRED],
        rejected=total[State.REJECTED],
        in_doubt=total[State.IN_DOUBT],
        failed=total[State.RENDER_FAILED],
        stopped=total[State.CANCELLED],
        left_out=campaign.planned_count - planned,
        per_minute=pace,
        seconds_left=60 * (planned - done) // pace if pace and planned > done else None,
        lanes=_lanes(campaign, rows),
    )


def _pace(campaign: Campaign, done: int) -> int:
    """Return messages a minute since the start; 0 before anything is known."""
    if campaign.started_at is None:
        return 0
    seconds = ((campaign.finished_at or clock.now()) - campaign.started_at).total_seconds()
    return round(60 * done / seconds) if seconds >= 1 and done else 0


def _lanes(campaign: Campaign, rows: Sequence[tuple[str, str, int]]) -> tuple[Lane, ...]:
    """Return both lanes; a lane's total is what its chunks hold, so lanes that help each other move it."""
    done: Counter[str] = Counter()
    for relay, state, count in rows:
        if relay and (state in FINAL or state == State.SKIPPED):
            done[relay] += count
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relay, sum(last_seq - first_seq + 1) FROM campaigns_chunk WHERE campaign_id = %s GROUP BY relay",
            [campaign.pk],
        )
        totals = {relay: int(people) for relay, people in cursor.fetchall()}
    return tuple(
        Lane(key, relay.name.partition(".")[0], relay.number, done[key], max(totals.get(key, 0), done[key]))
        for key, relay in settings.RELAYS.items()
    )


@dataclass(frozen=True)
class Reactions:
    """What came back, counted in people (clicks in clicks)."""

    bounced: int
    bounced_hard: int
    complained: int
    unsubscribed: int
    clicks: int
    automated: int


def reactions(campaign: Campaign) -> Reactions:
    """Return counts of what came back; a person who bounced twice counts once."""
    rows = Event.objects.filter(campaign_id=campaign.pk).values_list("kind", "bounce_class")
    people = {
        (kind, kind_class): count for kind, kind_class, count in rows.annotate(n=Count("delivery_id", distinct=True))
    }
    clicks = ClickCount.objects.filter(link__campaign=campaign).aggregate(n=Sum("clicks"), a=Sum("automated"))
    bounced = {kind_class: n for (kind, kind_class), n in people.items() if kind == EventKind.BOUNCED}
    return Reactions(
        bounced=sum(bounced.values()),
        bounced_hard=sum(n for name, n in bounced.items() if name.startswith("hard")),
        complained=sum(n for (kind, _), n in people.items() if kind == EventKind.COMPLAINED),
        unsubscribed=sum(n for (kind, _), n in people.items() if kind == EventKind.UNSUBSCRIBED),
        clicks=clicks["n"] or 0,
        automated=clicks["a"] or 0,
    )


def bounce_reasons(campaign: Campaign) -> list[tuple[str, int]]:
    """Return (class, people) of bounces and refusals, most frequent first."""
    found: Counter[str] = Counter()
    events = Event.objects.filter(campaign_id=campaign.pk, kind=EventKind.BOUNCED).values_list("bounce_class")
    found.update(dict(events.annotate(n=Count("delivery_id", distinct=True))))
    return found.most_common()


def links(campaign: Campaign) -> list[tuple[str, int]]:
    """Return (address, clicks) of each counted link, most clicked first; unclicked ones too."""
    rows = campaign.links.annotate(n=Sum("counts__clicks")).values_list("url", "n")
    return sorted(((url, n or 0) for url, n in rows), key=lambda row: (-row[1], row[0]))


def reaction_hours(campaign: Campaign) -> tuple[list[str], list[int]]:
    """Return labels and clicks of each two-hour step in the first 48 hours."""
    if campaign.started_at is None:
        return [], []
    begin = campaign.started_at.replace(minute=0, second=0, microsecond=0)
    rows = ClickCount.objects.filter(link__campaign=campaign, hour__gte=begin, hour__lt=begin + timedelta(hours=HOURS))
    steps = [0] * (HOURS // STEP_HOURS)
    for hour, clicks in rows.values_list("hour", "clicks"):
        steps[int((hour - begin).total_seconds() // 3600 // STEP_HOURS)] += clicks
    return [_label(begin, step) for step in range(len(steps))], steps


def _label(begin: datetime, step: int) -> str:
    moment = begin + timedelta(hours=STEP_HOURS * step)
    return f"{moment.day} {moment:%b %H:%M}"


def verdict(campaign: Campaign, reached: int, sent: int, back: Reactions) -> tuple[str, str, str]:
    """Return (kind of notice, headline, sentence) that sums a finished campaign up."""
    if campaign.state == CampaignState.STOPPED:
        return "warn", "Stopped before the end.", f"{sent:,} messages had left when it was stopped."
    if not sent:
        return "info", "First figures in about 10 minutes.", "Nothing has been counted yet."
    hard, complaints = back.bounced_hard / sent, back.complained / max(1, reached)
    sentence = (
        f"{100 * reached / sent:.1f}% were accepted and did not bounce, {back.clicks:,} clicks, "
        f"{back.unsubscribed:,} unsubscribed, {back.complained:,} complained."
    )
    if complaints >= policy.L_WARN or hard >= policy.HB_NOTICE:
        return "warn", "Look at this before the next one.", sentence
    return "ok", "A healthy send.", sentence
