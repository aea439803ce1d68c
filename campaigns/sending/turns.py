# ruff: noqa: S608 (the pieces put together are our own SQL, never data)
"""Whose turn it is: a lane serves the organizations in turn, whatever the size or number of their campaigns.

Deficit round robin, kept as one number an organization and lane: the people it was served. The one served least is
next; one that had nothing waiting starts level with whoever was served last, so that idling saves up nothing. The
numbers stand in PostgreSQL, next to the work: a restart forgets no turn, and lanes on two hosts share them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from accounts.allowance import TODAY_SQL
from campaigns.brakes import live_brake_sql
from sendserver.lib import prepared

_MAY_SQL: Final = f"""o.standing IN ('good', 'warned') AND o.closed_at IS NULL
  AND NOT {live_brake_sql("c.id", "o.id")}"""
SENDABLE_SQL: Final = f"c.state = 'sending' AND {_MAY_SQL}"
# Doubt may be resent by order behind the end of a campaign; it has no chunks left then, only such retries.
RETRYABLE_SQL: Final = f"c.state IN ('sending', 'sent') AND {_MAY_SQL}"
CHUNK, RETRY = "chunk", "retry"
LOOK_AT: Final = 20  # campaigns whose work is tried before the list is made anew: another lane may hold the first

# Both indexes are walked from campaign to campaign: the cost is that of campaigns with work, not of their chunks.
# OFFSET 0 keeps the planner from another order of joins, which it takes for better without statistics: 60 times slower.
_WAITING: Final = """
WITH RECURSIVE ready(relay, campaign_id) AS (
  SELECT lane.relay, (SELECT min(ch.campaign_id) FROM campaigns_chunk ch WHERE ch.relay = lane.relay AND {ready})
  FROM unnest(%(relays)s::text[]) AS lane(relay)
  UNION ALL
  SELECT w.relay, (SELECT min(ch.campaign_id) FROM campaigns_chunk ch
                   WHERE ch.relay = w.relay AND ch.campaign_id > w.campaign_id AND {ready})
  FROM ready w WHERE w.campaign_id IS NOT NULL
), due(relay, campaign_id) AS (
  SELECT lane.relay, (SELECT min(r.campaign_id) FROM campaigns_retry r WHERE r.relay = lane.relay AND {free})
  FROM unnest(%(relays)s::text[]) AS lane(relay)
  UNION ALL
  SELECT w.relay, (SELECT min(r.campaign_id) FROM campaigns_retry r
                   WHERE r.relay = w.relay AND r.campaign_id > w.campaign_id AND {free})
  FROM due w WHERE w.campaign_id IS NOT NULL
), work(kind, relay, campaign_id, first_seq) AS MATERIALIZED (
  SELECT 'retry', due.relay, due.campaign_id, 0 FROM due
  WHERE EXISTS (SELECT 1 FROM campaigns_retry r WHERE r.relay = due.relay AND r.campaign_id = due.campaign_id
                AND {free} AND r.due_at <= now())
  UNION ALL
  SELECT 'chunk', ready.relay, ready.campaign_id,
         (SELECT min(ch.first_seq) FROM campaigns_chunk ch
          WHERE ch.relay = ready.relay AND ch.campaign_id = ready.campaign_id AND {ready})
  FROM ready WHERE ready.campaign_id IS NOT NULL
)
SELECT k.kind, k.relay, c.id, o.id
FROM work k
CROSS JOIN LATERAL (SELECT id, state, organization_id FROM campaigns_campaign WHERE id = k.campaign_id OFFSET 0) c
CROSS JOIN LATERAL (SELECT id, standing, closed_at, daily_allowance FROM accounts_organization
                    WHERE id = c.organization_id OFFSET 0) o
LEFT JOIN campaigns_turn t ON t.organization_id = o.id AND t.relay = %(lane)s
LEFT JOIN campaigns_usage u ON u.organization_id = o.id AND u.day = (now() AT TIME ZONE 'UTC')::date
WHERE k.kind = ANY(%(kinds)s) AND {retryable} AND NOT c.id = ANY(%(without_campaigns)s)
  AND NOT o.id = ANY(%(paced)s)
  AND (k.kind = 'retry' OR (
    c.state = 'sending' AND NOT o.id = ANY(%(without)s) AND {allowance} > COALESCE(u.count, 0)))
ORDER BY GREATEST(COALESCE(t.served, 0), {level}), t.at NULLS FIRST, o.id, k.kind DESC, k.first_seq, c.id
LIMIT %(look_at)s
"""
_LEVEL: Final = "(SELECT COALESCE(max(l.began), 0) FROM campaigns_turn l WHERE l.relay = %(lane)s)"
_SERVED: Final = f"""
INSERT INTO campaigns_turn AS t (organization_id, relay, began, served, at)
SELECT %(organization)s, %(lane)s, level, level + %(people)s, clock_timestamp() FROM (SELECT {_LEVEL} AS level) AS now
ON CONFLICT (organization_id, relay) DO UPDATE
SET began = GREATEST(t.served, excluded.began), served = GREATEST(t.served, excluded.began) + %(people)s,
    at = excluded.at
"""


@dataclass(frozen=True)
class Turn:
    """Work of one campaign that may be claimed now: a chunk, or due retries, that stand at `relay`."""

    kind: str
    relay: str
    campaign_id: int
    organization_id: int


@dataclass(frozen=True)
class Look:
    """What a lane looks for: `alone` what ended a process before, else all the rest."""

    lane: str
    relays: Collection[str]
    kinds: Collection[str]
    without: Collection[int]  # organizations whose allowance is used up
    without_campaigns: Collection[int]
    paced: Collection[int] = ()  # organizations whose pace is used up for the moment
    alone: bool = False
    most: int = LOOK_AT  # pieces of work returned


def waiting(look: Look) -> list[Turn]:
    """Return work that may be claimed now, the organization that was served least first."""
    deaths = "> 0" if look.alone else "= 0"
    statement = _WAITING.format(
        ready=f"ch.state = 'ready' AND ch.deaths {deaths}",
        free=f"r.lease_until IS NULL AND r.deaths {deaths}",
        retryable=RETRYABLE_SQL,
        allowance=TODAY_SQL,
        level=_LEVEL,
    )
    values: dict[str, Any] = {
        "lane": look.lane,
        "relays": list(look.relays),
        "kinds": list(look.kinds),
        "without": list(look.without),
        "without_campaigns": list(look.without_campaigns),
        "paced": list(look.paced),
        "look_at": look.most,
    }
    return [Turn(*row) for row in prepared.ask(statement, values)]


def note_served(lane: str, organization_id: int, people: int) -> None:
    """Count people as served, in the transaction of their claim."""
    with connection.cursor() as cursor:
        cursor.execute(_SERVED, {"lane": lane, "organization": organization_id, "people": max(1, people)})
