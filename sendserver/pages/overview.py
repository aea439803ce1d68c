"""The portal's first page: what is being sent, what needs the customer, thirty days in figures, standing, allowance.

Reads counters that are kept elsewhere (`Tally`, `Usage`, import counts); never counts deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import F, Sum

from abuse import figures as reported
from abuse.reputation import Counts, wilson_lower
from accounts import allowance
from accounts.models import Organization
from campaigns.models import (
    Brake,
    Campaign,
    CampaignState,
    Chunk,
    ClickCount,
    Outcome,
    Tally,
    Usage,
)
from compliance import policy
from compliance.models import ImportJob
from sendserver.lib import words

MONTH: Final = timedelta(days=30)
LIVE: Final = (CampaignState.PLANNING, CampaignState.SENDING, CampaignState.PAUSED)
SHOWN_LIVE: Final = 3
SHOWN_RECENT: Final = 5
# States that end a delivery; deferred ones are still on their way.
ENDED: Final = (
    Outcome.State.ACCEPTED,
    Outcome.State.REJECTED,
    Outcome.State.IN_DOUBT,
    Outcome.State.SUPPRESSED,
    Outcome.State.CANCELLED,
    Outcome.State.RENDER_FAILED,
)
LEAST_FOR_PACE: Final = 50  # messages before a time left is said


@dataclass(frozen=True)
class Lane:
    """One mail server's part of a campaign."""

    number: int
    name: str
    done: int
    total: int


@dataclass(frozen=True)
class Running:
    """A campaign on its way; `seconds_left` is None while nothing sure can be said."""

    campaign: Campaign
    lanes: tuple[Lane, ...]
    done: int
    total: int
    seconds_left: int | None
    paused_because: str


@dataclass(frozen=True)
class Month:
    """Thirty days of campaigns: messages, clicks and people. `counts` are those that staff and reputation use."""

    counts: Counts
    clicks: int
    added: int


@dataclass(frozen=True)
class Gauge:
    """A rate against the limit where action starts, both in percent."""

    name: str
    value: float
    mark: float
    shown: str
    mark_text: str
    reached: bool
    base: int  # messages counted
    least: int  # messages before it is judged


@dataclass(frozen=True)
class Recent:
    """A finished campaign in the list."""

    campaign: Campaign
    counts: Counts
    clicks: int


def running(organization: Organization, now: datetime) -> list[Running]:
    """Return the campaigns on their way, newest first, at most three."""
    live = Campaign.objects.for_org(organization).filter(state__in=LIVE).order_by("-started_at", "-pk")
    return [_running(campaign, now) for campaign in live[:SHOWN_LIVE]]


def _running(campaign: Campaign, now: datetime) -> Running:
    lanes = _lanes(campaign)
    done = sum(lane.done for lane in lanes)
    total = max(campaign.mailable_count, done)
    return Running(campaign, lanes, done, total, _seconds_left(campaign, done, total, now), _why_paused(campaign))


def _lanes(campaign: Campaign) -> tuple[Lane, ...]:
    sizes = Chunk.objects.filter(campaign=campaign).values("relay").annotate(n=Sum(F("last_seq") - F("first_seq") + 1))
    wanted = {row["relay"]: row["n"] or 0 for row in sizes}
    ended = Tally.objects.filter(campaign=campaign, state__in=ENDED).values("relay").annotate(n=Sum("count"))
    done = {row["relay"]: row["n"] or 0 for row in ended}
    return tuple(
        Lane(relay.number, relay.name.split(".")[0], done.get(key, 0), max(wanted.get(key, 0), done.get(key, 0)))
        for key, relay in settings.RELAYS.items()
    )


def _seconds_left(campaign: Campaign, done: int, total: int, now: datetime) -> int | None:
    if campaign.state != CampaignState.SENDING or campaign.started_at is None or done < LEAST_FOR_PACE:
        return None
    elapsed = (now - campaign.started_at).total_seconds()
    return round((total - done) * elapsed / done) if elapsed > 0 else None


def _why_paused(campaign: Campaign) -> str:
    if campaign.state != CampaignState.PAUSED:
        return ""
    brake = Brake.objects.filter(campaign=campaign, lifted_at=None).order_by("-set_at").first()
    return brake.get_kind_display() if brake else "Paused"


def month(organization: Organization, now: datetime) -> Month:
    """Return the figures of the campaigns that began in the last thirty days."""
    since = now - MONTH
    imports = ImportJob.objects.for_org(organization).filter(finished_at__gte=since)
    return Month(
        counts=reported.of_organization(organization, MONTH.days),
        clicks=_clicks(organization, since),
        added=imports.aggregate(n=Sum("added_count"))["n"] or 0,
    )


def _clicks(organization: Organization, since: datetime) -> int:
    rows = ClickCount.objects.filter(link__campaign__organization=organization, hour__gte=since)
    return rows.aggregate(n=Sum("clicks"))["n"] or 0


def gauges(organization: Organization) -> list[Gauge]:
    """Return complaints and dead addresses over the days that count, against the limits where staff step in."""
    counts = reported.of_organization(organization)
    return [_complaints(counts), _dead_addresses(counts)]


def _complaints(counts: Counts) -> Gauge:
    lower = wilson_lower(counts.complaints, counts.base)
    reached = counts.base >= policy.N_MIN and counts.complaints >= policy.C_WARN and lower >= policy.L_WARN
    shown = words.rate(counts.complaints, counts.base)
    return _gauge(
        "Complaints", (counts.complaints, counts.base), policy.L_WARN, shown=shown, reached=reached, least=policy.N_MIN
    )


def _dead_addresses(counts: Counts) -> Gauge:
    share = counts.hard_bounces / counts.attempts if counts.attempts else 0.0
    reached = counts.attempts >= policy.HB_N_MIN and share >= policy.HB_WARN
    shown = words.rate(counts.hard_bounces, counts.attempts, "mailboxes", "mailbox")
    return _gauge(
        "Bounces",
        (counts.hard_bounces, counts.attempts),
        policy.HB_WARN,
        shown=shown,
        reached=reached,
        least=policy.HB_N_MIN,
    )


def _gauge(name: str, counted: tuple[int, int], limit: float, **judged: Any) -> Gauge:
    part, base = counted
    value = 100 * part / base if base else 0.0
    return Gauge(name, value, 100 * limit, mark_text=f"warned at {words.percent(limit, 1)}", base=base, **judged)


def recent(organization: Organization) -> list[Recent]:
    """Return the last finished campaigns with their figures; the number of queries does not grow with them."""
    ended = Campaign.objects.for_org(organization).filter(state__in=[CampaignState.SENT, CampaignState.STOPPED])
    rows = list(ended.exclude(started_at=None).order_by("-started_at")[:SHOWN_RECENT])
    keys = [row.pk for row in rows]
    counts = reported.of_campaigns(keys)
    clicked = ClickCount.objects.filter(link__campaign__in=keys).values("link__campaign").annotate(n=Sum("clicks"))
    clicks = {row["link__campaign"]: row["n"] for row in clicked}
    return [Recent(row, counts[row.pk], clicks.get(row.pk, 0)) for row in rows]


def used_today(organization: Organization, now: datetime) -> tuple[int, int]:
    """Return messages used today (UTC) and the allowance that counts today."""
    used = Usage.objects.filter(organization=organization, day=now.date()).values_list("count", flat=True).first()
    return used or 0, allowance.today(organization)
