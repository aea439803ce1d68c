"""The portal's first page: what is being sent, what needs the customer, thirty days in figures, standing, allowance.

Reads counters that are kept elsewhere (`Tally`, `Usage`, import counts); never counts deliveries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import F, Sum

from abuse.models import Complaint
from accounts import allowance
from accounts.models import Organization
from campaigns.models import (
    Brake,
    Campaign,
    CampaignState,
    Chunk,
    ClickCount,
    Event,
    EventKind,
    Outcome,
    Tally,
    Usage,
)
from compliance import policy
from compliance.models import ImportJob

MONTH: Final = timedelta(days=30)
FORTNIGHT: Final = timedelta(days=14)
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
    """Thirty days of campaigns: messages, clicks and people."""

    sent: int
    accepted: int
    bounced: int
    clicks: int
    unsubscribed: int
    added: int

    @property
    def arrived(self) -> int:
        """Return accepted messages that did not come back."""
        return max(0, self.accepted - self.bounced)


@dataclass(frozen=True)
class Gauge:
    """A rate against the limit where action starts, both in percent."""

    name: str
    value: float
    mark: float
    shown: str
    mark_text: str


@dataclass(frozen=True)
class Recent:
    """A finished campaign in the list."""

    campaign: Campaign
    accepted: int
    arrived: int
    sent: int
    clicks: int
    complaints: int


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
    states = _tallied(organization, since)
    events = Event.objects.filter(organization=organization, at__gte=since)
    imports = ImportJob.objects.for_org(organization).filter(finished_at__gte=since)
    return Month(
        sent=sum(states.get(state, 0) for state in ("accepted", "rejected", "in_doubt")),
        accepted=states.get("accepted", 0),
        bounced=events.filter(kind=EventKind.BOUNCED).count(),
        clicks=_clicks(organization, since),
        unsubscribed=events.filter(kind=EventKind.UNSUBSCRIBED).count(),
        added=imports.aggregate(n=Sum("added_count"))["n"] or 0,
    )


def _tallied(organization: Organization, since: datetime) -> dict[str, int]:
    rows = Tally.objects.filter(campaign__organization=organization, campaign__started_at__gte=since)
    return {row["state"]: row["n"] for row in rows.values("state").annotate(n=Sum("count"))}


def _clicks(organization: Organization, since: datetime) -> int:
    rows = ClickCount.objects.filter(link__campaign__organization=organization, hour__gte=since)
    return rows.aggregate(n=Sum("clicks"))["n"] or 0


def gauges(organization: Organization, now: datetime) -> list[Gauge]:
    """Return complaints and dead addresses of fourteen days against the limits where staff step in."""
    since = now - FORTNIGHT
    accepted = _tallied(organization, since).get("accepted", 0)
    complaints = Complaint.objects.filter(
        organization=organization, received_at__gte=since, grade__in=[Complaint.Grade.A, Complaint.Grade.B]
    ).count()
    dead = Event.objects.filter(
        organization=organization, at__gte=since, kind=EventKind.BOUNCED, bounce_class__startswith="hard"
    ).count()
    return [
        _gauge("Complaints", complaints, accepted, policy.L_WARN, 2),
        _gauge("Dead addresses", dead, accepted, policy.HB_WARN, 1),
    ]


def _gauge(name: str, part: int, base: int, limit: float, places: int) -> Gauge:
    value = 100 * part / base if base else 0.0
    mark = 100 * limit
    shown = f"{value:.{places}f}%" if base else "nothing sent"
    return Gauge(name, value, mark, shown, f"warned at {mark:.{places}f}%")


def recent(organization: Organization) -> list[Recent]:
    """Return the last finished campaigns with their figures, in five queries for any number of them."""
    ended = Campaign.objects.for_org(organization).filter(state__in=[CampaignState.SENT, CampaignState.STOPPED])
    rows = list(ended.exclude(started_at=None).order_by("-started_at")[:SHOWN_RECENT])
    keys = [row.pk for row in rows]
    states = _by_campaign(Tally.objects.filter(campaign__in=keys).values_list("campaign_id", "state", "count"))
    events = Event.objects.filter(campaign_id__in=keys, kind__in=[EventKind.BOUNCED, EventKind.COMPLAINED])
    happened = _by_campaign((campaign or 0, kind, 1) for campaign, kind in events.values_list("campaign_id", "kind"))
    clicked = ClickCount.objects.filter(link__campaign__in=keys).values_list("link__campaign_id", "clicks")
    clicks = _by_campaign((campaign, "clicks", number) for campaign, number in clicked)
    return [
        _recent(row, {**states.get(row.pk, {}), **happened.get(row.pk, {}), **clicks.get(row.pk, {})}) for row in rows
    ]


def _by_campaign(rows: Iterable[tuple[int, str, int]]) -> dict[int, dict[str, int]]:
    summed: dict[int, dict[str, int]] = {}
    for campaign, name, number in rows:
        counts = summed.setdefault(campaign, {})
        counts[name] = counts.get(name, 0) + number
    return summed


def _recent(campaign: Campaign, counts: dict[str, int]) -> Recent:
    accepted = counts.get("accepted", 0)
    return Recent(
        campaign=campaign,
        accepted=accepted,
        arrived=max(0, accepted - counts.get(EventKind.BOUNCED, 0)),
        sent=accepted + counts.get("rejected", 0) + counts.get("in_doubt", 0),
        clicks=counts.get("clicks", 0),
        complaints=counts.get(EventKind.COMPLAINED, 0),
    )


def used_today(organization: Organization, now: datetime) -> tuple[int, int]:
    """Return messages used today (UTC) and the allowance that counts today."""
    used = Usage.objects.filter(organization=organization, day=now.date()).values_list("count", flat=True).first()
    return used or 0, allowance.today(organization)
