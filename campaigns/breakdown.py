"""Figures of a campaign for which all its people are read: for few of them at once, for many by a worker.

By receiver, by minute, by reason for being left out, and what the relays' logs say. The worker's figures are shown with
their moment, as those of long lists are (decision 0042); nothing is decided by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection

from accounts.models import Organization
from campaigns import left_out
from campaigns.models import Campaign, Delivery, RelayTrace
from campaigns.providers import PROVIDERS, name_of, provider_of
from campaigns.sending import relay_log
from compliance import counting, policy
from compliance.counting import Question
from sendserver.lib import clock

MINUTES: Final = 60

_BY_DOMAIN: Final = """
SELECT d.domain, count(*) FILTER (WHERE d.state <> 'planned'),
       count(*) FILTER (WHERE d.state = 'accepted'), count(*) FILTER (WHERE d.state = 'deferred'),
       count(*) FILTER (WHERE d.complained)
FROM (SELECT s.state, y.domain,
             EXISTS (SELECT 1 FROM campaigns_event e WHERE e.delivery_id = y.id AND e.kind = 'complained') AS complained
      FROM delivery_state s JOIN campaigns_delivery y ON y.id = s.delivery_id
      WHERE s.campaign_id = %s AND s.seq IS NOT NULL) d
GROUP BY d.domain
"""
_BY_MINUTE: Final = """
SELECT date_trunc('minute', at AT TIME ZONE 'UTC'), relay, count(*) FROM campaigns_outcome
WHERE campaign_id = %s AND at > now() - make_interval(mins => %s) AND relay <> '' GROUP BY 1, 2
"""


@dataclass(frozen=True)
class Receiver:
    """One mailbox provider's part."""

    name: str
    sent: int
    accepted: int
    waiting: int
    complaints: int


@dataclass(frozen=True)
class Breakdown:
    """A campaign's people by several things; all empty while `is_known` is False.

    `minutes` are labels, `attempts` those of each relay in each of them. `taken` is to how many people's servers our
    relays' logs show the message delivered, None where they say nothing. `at` is None for figures of this moment.
    """

    receivers: tuple[Receiver, ...] = ()
    left_out: tuple[left_out.Reason, ...] = ()
    minutes: tuple[str, ...] = ()
    attempts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    taken: int | None = None
    is_known: bool = True
    at: datetime | None = None
    waits: bool = False
    failed: bool = False


def known(campaign: Campaign) -> Breakdown:
    """Return what may be shown without reading more people than a page may; asks the worker for what is old."""
    if campaign.planned_at is None:
        return Breakdown()
    if campaign.planned_count <= policy.COUNTED_AT_ONCE:
        return _of(_read(campaign))
    kept = counting.look(campaign.organization, [Question("campaign", {"campaign": campaign.pk})])[0]
    return _of(kept.answer, at=kept.at, waits=kept.waits, failed=kept.failed)


def _of(
    answer: counting.Answer | None, *, at: datetime | None = None, waits: bool = False, failed: bool = False
) -> Breakdown:
    if answer is None:
        return Breakdown(is_known=False, waits=waits, failed=failed)
    labels, attempts = answer["minutes"]
    return Breakdown(
        receivers=tuple(Receiver(*row) for row in answer["receivers"]),
        left_out=tuple(left_out.reason(*row) for row in answer["left_out"]),
        minutes=tuple(labels),
        attempts=tuple((relay, tuple(counts)) for relay, counts in attempts),
        taken=answer["taken"],
        at=at,
        waits=waits,
        failed=failed,
    )


@counting.answers("campaign")
def _count(organization: Organization, asked: counting.Answer) -> counting.Answer:
    campaign = Campaign.objects.for_org(organization).filter(pk=asked["campaign"]).first()
    return _read(campaign) if campaign else {"receivers": [], "left_out": [], "minutes": [[], []], "taken": None}


def _read(campaign: Campaign) -> counting.Answer:
    return {
        "receivers": _receivers(campaign),
        "left_out": [[one.code, one.planned, one.sending] for one in left_out.by_reason(campaign)],
        "minutes": _minutes(campaign),
        "taken": _taken(campaign),
    }


def _receivers(campaign: Campaign) -> list[list[str | int]]:
    """Return figures by receiver, biggest first, small ones together as "Others"."""
    sums: dict[str, list[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_BY_DOMAIN, [campaign.pk])
        for domain, *counts in cursor.fetchall():
            row = sums.setdefault(_receiver(domain), [0, 0, 0, 0])
            for place, count in enumerate(counts):
                row[place] += count
    found = sorted(sums.items(), key=lambda one: (one[0] == "Others", -one[1][0]))
    return [[name, *counts] for name, counts in found]


def _receiver(domain: str) -> str:
    provider = provider_of(domain)
    return name_of(provider) if provider in PROVIDERS else "Others"


def _minutes(campaign: Campaign) -> tuple[list[str], list[tuple[str, list[int]]]]:
    """Return labels and, for each relay, attempts a minute in the last hour of a campaign, gaps as 0."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_MINUTE, [campaign.pk, MINUTES])
        rows = cursor.fetchall()
    if not rows:
        return [], []
    first, last = min(row[0] for row in rows), max(row[0] for row in rows)
    length = int((last - first).total_seconds() // 60) + 1
    found = {key: [0] * length for key in settings.RELAYS}
    for minute, relay, count in rows:
        if relay in found:
            found[relay][int((minute - first).total_seconds() // 60)] = count
    return [f"{first + timedelta(minutes=place):%H:%M}" for place in range(length)], list(found.items())


def _taken(campaign: Campaign) -> int | None:
    """Count by log lines only; a relay's log is kept for KEPT_DAYS, and what is older is not counted down."""
    planned = campaign.planned_at
    if planned is None or clock.now() - planned > timedelta(days=relay_log.KEPT_DAYS):
        return None
    since = planned - timedelta(seconds=relay_log.SLACK_SECONDS)
    own = Delivery.objects.filter(campaign=campaign).values("pk")
    traces = RelayTrace.objects.filter(status="sent", taken_at__gte=since, delivery_id__in=own)
    return traces.values("delivery_id").distinct().count() or None
