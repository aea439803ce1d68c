"""Counts for reputation and for the standing page, read from reports, events and tallies. Changes nothing.

A report counts once for each person and only when it is proven ours (grades A and B); BURST_REPORTS or more from one
network within an hour count as one (rules 5.4, false-report defence). The base is a cohort: campaigns started in the
window, so late bounces and complaints meet the messages they belong to.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db import connection

from abuse.reputation import Counts
from accounts.models import Organization
from campaigns.models import Campaign
from compliance import policy
from sendserver.lib import clock

_COMPLAINTS = """
SELECT campaign_id, count(DISTINCT who) FROM (
  SELECT c.campaign_id, CASE
      WHEN c.source IN ('form', 'link') AND c.network <> '' AND
           count(*) OVER (PARTITION BY c.network, date_trunc('hour', c.received_at)) >= %(burst)s
      THEN c.network || date_trunc('hour', c.received_at)::text
      ELSE encode(d.address_hash, 'hex') END AS who
  FROM abuse_complaint c JOIN campaigns_delivery d ON d.id = c.delivery_id
  WHERE c.campaign_id = ANY(%(ids)s) AND c.grade IN ('A', 'B') AND c.withdrawn_at IS NULL
) AS reports GROUP BY campaign_id
"""
_EVENTS = """
SELECT campaign_id, CASE WHEN kind = 'bounced' AND source = 'smtp' THEN 'refused' ELSE kind END, bounce_class,
       count(DISTINCT delivery_id) FROM campaigns_event
WHERE campaign_id = ANY(%(ids)s) AND kind IN ('bounced', 'unsubscribed') GROUP BY 1, 2, 3
"""
_TALLY = """
SELECT campaign_id, state, sum(count) FROM campaigns_tally
WHERE campaign_id = ANY(%(ids)s) AND state IN ('accepted', 'rejected') GROUP BY 1, 2
"""
HARD = "hard"  # bounce classes of dead addresses start with it: hard_recipient, hard_domain


def of_campaigns(ids: Iterable[int]) -> dict[int, Counts]:
    """Return the counts of each campaign."""
    wanted = list(ids)
    complaints = {row[0]: int(row[1]) for row in _rows(_COMPLAINTS, wanted)}
    tally = {(row[0], row[1]): int(row[2]) for row in _rows(_TALLY, wanted)}
    events = _rows(_EVENTS, wanted)
    return {pk: _counts(pk, complaints, tally, [row for row in events if row[0] == pk]) for pk in wanted}


def of_organization(organization: Organization, days: int = policy.JUDGED_D) -> Counts:
    """Return the counts of the campaigns that an organization started in the last `days` days."""
    since = clock.now() - timedelta(days=days)
    ids = Campaign.objects.for_org(organization).filter(started_at__gte=since).values_list("pk", flat=True)
    return sum(of_campaigns(ids).values(), Counts())


def _counts(
    pk: int,
    complaints: dict[int, int],
    tally: dict[tuple[int, str], int],
    events: list[tuple[int, str, str, int]],
) -> Counts:
    # A refusal in the SMTP dialogue was never accepted, so only later bounces leave the base.
    bounced = sum(count for _, kind, _, count in events if kind == "bounced")
    hard = sum(count for _, kind, what, count in events if kind != "unsubscribed" and what.startswith(HARD))
    gone = sum(count for _, kind, _, count in events if kind == "unsubscribed")
    accepted = tally.get((pk, "accepted"), 0)
    attempts = accepted + tally.get((pk, "rejected"), 0)
    return Counts(max(0, accepted - bounced), complaints.get(pk, 0), hard, attempts, gone)


def _rows(statement: str, ids: list[int]) -> list[tuple[int, str, str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"ids": ids, "burst": policy.BURST_REPORTS})
        return cursor.fetchall()
