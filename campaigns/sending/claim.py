# ruff: noqa: S608 (the pieces put together are our own SQL, never data)
"""Claiming work in PostgreSQL: a chunk or due retries, with lease, fence and everything that may forbid sending.

Standing, brakes, campaign state, the relay's breaker and the day's allowance are conditions of the claim itself;
suppression and consent are asked for every recipient at the fetch and again by `recheck`. No SMTP here, and no
transaction stays open behind a call.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from accounts.allowance import TODAY_SQL
from campaigns.brakes import live_brake_sql
from campaigns.sending import relays
from campaigns.sending.owners import Owner
from compliance.consent import mailable_sql
from compliance.suppression import live_suppression_sql
from sendserver.lib import clock

_MAY_SQL: Final = f"""o.standing IN ('good', 'warned') AND o.closed_at IS NULL
  AND NOT {live_brake_sql("c.id", "o.id")}"""
SENDABLE_SQL: Final = f"c.state = 'sending' AND {_MAY_SQL}"
# Doubt may be resent by order behind the end of a campaign; it has no chunks left then, only such retries.
RETRYABLE_SQL: Final = f"c.state IN ('sending', 'sent') AND {_MAY_SQL}"
_CANDIDATE: Final = f"""
SELECT ch.id, ch.campaign_id, ch.organization_id, ch.first_seq, ch.last_seq, {TODAY_SQL} AS allowance
FROM campaigns_chunk ch
JOIN campaigns_campaign c ON c.id = ch.campaign_id
JOIN accounts_organization o ON o.id = ch.organization_id
WHERE ch.state = 'ready' AND ch.relay = ANY(%(relays)s) AND {SENDABLE_SQL}
  AND NOT o.id = ANY(%(without)s) AND NOT c.id = ANY(%(without_campaigns)s)
-- Early chunks first: a small campaign does not wait for the end of a large one.
ORDER BY ch.first_seq, ch.id LIMIT 1 FOR UPDATE OF ch SKIP LOCKED
"""
_USED: Final = """
INSERT INTO campaigns_usage (organization_id, day, count) VALUES (%(o)s, (now() AT TIME ZONE 'UTC')::date, 0)
ON CONFLICT (organization_id, day) DO UPDATE SET count = campaigns_usage.count
RETURNING count + (SELECT COALESCE(sum(reserved), 0) FROM campaigns_chunk
                   WHERE organization_id = %(o)s AND state = 'leased')
"""  # locks the day's row: two lanes claiming for one organization count one after the other
_REASON: Final = f"""CASE WHEN {live_suppression_sql("d.address_hash", "d.organization_id")} THEN 'suppressed'
  WHEN m.id IS NULL THEN 'removed' ELSE {mailable_sql("m", "k", "l")} END"""
_PEOPLE: Final = """
LEFT JOIN compliance_listmembership m ON m.id = d.membership_id
LEFT JOIN compliance_contact k ON k.id = m.contact_id
LEFT JOIN compliance_contactlist l ON l.id = m.contact_list_id
"""
_FETCH: Final = f"""
SELECT d.id, d.address, d.merge, {_REASON} AS reason
FROM campaigns_delivery d {_PEOPLE}
WHERE d.campaign_id = %(campaign)s AND d.seq BETWEEN %(first)s AND %(last)s
  AND NOT EXISTS (SELECT 1 FROM campaigns_outcome x WHERE x.delivery_id = d.id)
ORDER BY d.seq LIMIT %(limit)s
"""
_LEASE: Final = """
UPDATE campaigns_chunk SET state = 'leased', fence = fence + 1, claims = claims + 1, reserved = %(reserved)s,
  lease_until = now() + make_interval(secs => %(seconds)s), relay = %(relay)s,
  owner_host = %(host)s, owner_boot = %(boot)s, owner_pid = %(pid)s, owner_started = %(started)s
WHERE id = %(chunk)s RETURNING fence
"""
_RETRIES: Final = f"""
WITH due AS (
  SELECT r.id FROM campaigns_retry r
  JOIN campaigns_campaign c ON c.id = r.campaign_id
  JOIN accounts_organization o ON o.id = r.organization_id
  WHERE r.relay = ANY(%(relays)s) AND r.due_at <= now() AND r.lease_until IS NULL AND {RETRYABLE_SQL}
    AND NOT c.id = ANY(%(without_campaigns)s)
  ORDER BY r.due_at LIMIT %(limit)s FOR UPDATE OF r SKIP LOCKED
), taken AS (
  UPDATE campaigns_retry r SET lease_until = now() + make_interval(secs => %(seconds)s), fence = fence + 1,
    owner = %(owner)s, relay = %(relay)s -- whoever holds it answers for it: recovery asks by relay and owner
  FROM due WHERE r.id = due.id RETURNING r.*
)
SELECT t.id AS retry_id, t.fence, t.attempt, t.first_at, d.id, d.campaign_id, d.organization_id, d.address, d.merge,
       {_REASON} AS reason,
       (SELECT x.state FROM campaigns_outcome x WHERE x.delivery_id = d.id ORDER BY x.id DESC LIMIT 1) AS previous
FROM taken t JOIN campaigns_delivery d ON d.id = t.delivery_id {_PEOPLE}
"""
_RECHECK: Final = f"""
SELECT d.id, {_REASON} FROM campaigns_delivery d {_PEOPLE} WHERE d.id = ANY(%s)
"""
_STILL: Final = f"""
SELECT c.id FROM campaigns_campaign c JOIN accounts_organization o ON o.id = c.organization_id
WHERE c.id = ANY(%s) AND {RETRYABLE_SQL}
"""


class Item(NamedTuple):
    """One recipient to be tried now. (A tuple: one a message.)"""

    delivery_id: int
    campaign_id: int
    organization_id: int
    address: str
    values: dict[str, str]
    attempt: int = 1
    previous: str = "planned"  # the state that its tally leaves
    first_at: datetime | None = None
    retry_id: int | None = None
    retry_fence: int = 0


@dataclass
class Claim:
    """What one lane holds: a chunk's recipients (`chunk_id`), or due retries (`chunk_id` None)."""

    relay: str
    chunk_id: int | None
    fence: int
    items: list[Item]
    left_out: list[tuple[Item, str]]
    is_complete: bool = True  # False: the allowance cut it short, the rest of the chunk waits
    campaigns: frozenset[int] = field(default_factory=frozenset)


@dataclass
class Without:
    """What a lane passes over for the rest of its slice: allowance used up, letter not loadable."""

    organizations: set[int] = field(default_factory=set)
    campaigns: set[int] = field(default_factory=set)


def served_relays(relay_key: str) -> list[str]:
    """Return whose chunks this lane takes: its own, and the other's while that one cannot be used or is drained."""
    other = relays.other(relay_key)
    return [relay_key, other] if relays.hands_over(other) else [relay_key]


def claim_chunk(relay_key: str, owner: Owner, without: Without) -> Claim | None:
    """Claim the next chunk that may be sent now and fetch its recipients; None when there is none.

    Organizations whose allowance is used up are added to `without`.
    """
    if relays.is_gated(relay_key):
        return None
    served = served_relays(relay_key)
    while True:
        with transaction.atomic():
            row = _one(_CANDIDATE, _filters(served, without))
            if row is None:
                return None
            claimed = _take(row, relay_key, owner)
        if claimed is not None:
            return claimed
        without.organizations.add(row["organization_id"])


def _filters(served: list[str], without: Without) -> dict[str, Any]:
    return {
        "relays": served,
        "without": list(without.organizations),
        "without_campaigns": list(without.campaigns),
    }


def _take(row: dict[str, Any], relay_key: str, owner: Owner) -> Claim | None:
    used = _one(_USED, {"o": row["organization_id"]})
    room = row["allowance"] - (next(iter(used.values())) if used else 0)
    if room <= 0:
        return None
    size = row["last_seq"] - row["first_seq"] + 1
    bounds = {"campaign": row["campaign_id"], "first": row["first_seq"], "last": row["last_seq"]}
    people = _people({**bounds, "limit": min(room, size)}, row["organization_id"])
    items = [item for item, reason in people if not reason]
    lease = _lease(row["id"], relay_key, owner, len(items))
    return Claim(
        relay=relay_key,
        chunk_id=row["id"],
        fence=lease,
        items=items,
        left_out=[(item, reason) for item, reason in people if reason],
        is_complete=len(people) < room or room >= size,
        campaigns=frozenset({row["campaign_id"]}),
    )


def _people(bounds: dict[str, Any], organization_id: int) -> list[tuple[Item, str]]:
    """Return the recipients of a chunk without an outcome, each with what keeps it from being sent ("" nothing)."""
    campaign_id = bounds["campaign"]
    with connection.cursor() as cursor:
        cursor.execute(_FETCH, bounds)
        return [
            (Item(pk, campaign_id, organization_id, address, _texts(merge)), reason)
            for pk, address, merge, reason in cursor.fetchall()
        ]


def _texts(merge: str) -> dict[str, str]:
    """Return the frozen merge values; a raw cursor gives JSON as text."""
    stored: dict[str, Any] = json.loads(merge)
    for name, value in list(stored.items()):
        if value is None:
            del stored[name]
        elif type(value) is not str:
            stored[name] = str(value)
    return stored


def _lease(chunk_id: int, relay_key: str, owner: Owner, reserved: int) -> int:
    values = {
        "chunk": chunk_id,
        "relay": relay_key,
        "reserved": reserved,
        "seconds": settings.SENDING["lease_seconds"],
        "host": owner.host,
        "boot": owner.boot,
        "pid": owner.pid,
        "started": owner.started,
    }
    row = _one(_LEASE, values)
    assert row is not None  # (the row is locked by this transaction)
    return int(row["fence"])


def claim_retries(relay_key: str, owner: Owner, without: Without, limit: int = 200) -> Claim | None:
    """Lease the retries that are due and may be sent now."""
    if relays.is_gated(relay_key):
        return None
    values = {
        **_filters(served_relays(relay_key), without),
        "limit": limit,
        "seconds": settings.SENDING["lease_seconds"],
        "owner": owner.as_text(),
        "relay": relay_key,
    }
    with transaction.atomic():
        rows = _all(_RETRIES, values)
    if not rows:
        return None
    pairs = [(_retry_item(row), row["reason"]) for row in rows]
    return Claim(
        relay=relay_key,
        chunk_id=None,
        fence=0,
        items=[item for item, reason in pairs if not reason],
        left_out=[(item, reason) for item, reason in pairs if reason],
        campaigns=frozenset(item.campaign_id for item, _ in pairs),
    )


def _retry_item(row: dict[str, Any]) -> Item:
    return Item(
        delivery_id=row["id"],
        campaign_id=row["campaign_id"],
        organization_id=row["organization_id"],
        address=row["address"],
        values=_texts(row["merge"]),
        attempt=row["attempt"],
        previous=row["previous"] or "planned",
        first_at=row["first_at"],
        retry_id=row["retry_id"],
        retry_fence=row["fence"],
    )


def still_sendable(campaign_ids: Collection[int]) -> set[int]:
    """Return which of these campaigns may still be sent: state, standing and brakes, as of now."""
    if not campaign_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_STILL, [list(campaign_ids)])
        return {row[0] for row in cursor.fetchall()}


def recheck(delivery_ids: Sequence[int]) -> dict[int, str]:
    """Return the reason that now keeps each of these deliveries from being sent; those that may go are not in it."""
    with connection.cursor() as cursor:
        cursor.execute(_RECHECK, [list(delivery_ids)])
        return {pk: reason for pk, reason in cursor.fetchall() if reason}


def renew(claims: Sequence[Claim]) -> list[bool]:
    """Move the leases of what this lane holds; tell for each claim whether it was still ours."""
    with connection.cursor() as cursor:
        return [_renew(cursor, held, settings.SENDING["lease_seconds"]) for held in claims]


def _renew(cursor: Any, held: Claim, seconds: float) -> bool:
    if held.chunk_id is not None:
        cursor.execute(
            "UPDATE campaigns_chunk SET lease_until = now() + make_interval(secs => %s)"
            " WHERE id = %s AND fence = %s AND state = 'leased'",
            [seconds, held.chunk_id, held.fence],
        )
    else:
        cursor.execute(
            "UPDATE campaigns_retry r SET lease_until = now() + make_interval(secs => %s)"
            " FROM unnest(%s::bigint[], %s::int[]) AS mine(id, fence)"
            " WHERE r.id = mine.id AND r.fence = mine.fence AND r.lease_until IS NOT NULL",
            [seconds, [i.retry_id for i in held.items], [i.retry_fence for i in held.items]],
        )
    return bool(cursor.rowcount)


def _one(statement: str, values: dict[str, Any]) -> dict[str, Any] | None:
    rows = _all(statement, values)
    return rows[0] if rows else None


def _all(statement: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def first_time(item: Item) -> datetime:
    """Return when the first attempt of this delivery was."""
    return item.first_at or clock.now()
