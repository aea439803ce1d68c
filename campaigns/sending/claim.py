# ruff: noqa: S608 (the pieces put together are our own SQL, never data)
"""Claiming work in PostgreSQL: a chunk or due retries, with lease, fence and everything that may forbid sending.

Standing, brakes, campaign state, the relay's breaker and the day's allowance are conditions of the claim itself;
suppression and consent are asked for every recipient at the fetch and again by `recheck`. No SMTP here, and no
transaction stays open behind a call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from accounts.allowance import TODAY_SQL
from campaigns.sending import questions, relays, tokens, turns
from campaigns.sending.owners import Owner
from campaigns.sending.turns import CHUNK, RETRY, RETRYABLE_SQL, SENDABLE_SQL, Look, Turn
from sendserver.lib import clock, prepared

RETRIES_AT_ONCE: Final = 200
_ONLY_TEXT: Final = {str}
_read: Final = json.JSONDecoder().raw_decode  # what the database wrote begins with its brace
_CANDIDATE: Final = f"""
SELECT ch.id, ch.campaign_id, ch.organization_id, ch.first_seq, ch.last_seq, {TODAY_SQL} AS allowance
FROM campaigns_chunk ch
JOIN campaigns_campaign c ON c.id = ch.campaign_id
JOIN accounts_organization o ON o.id = ch.organization_id
WHERE ch.state = 'ready' AND ch.relay = %(from)s AND ch.campaign_id = %(campaign)s AND {SENDABLE_SQL}
  AND ch.deaths {{deaths}} AND (ch.deaths < 2 OR ch.died_at < now() - make_interval(secs => %(calm)s))
ORDER BY ch.first_seq LIMIT 1 FOR UPDATE OF ch SKIP LOCKED
"""
_USED: Final = """
INSERT INTO campaigns_usage (organization_id, day, count) VALUES (%(o)s, (now() AT TIME ZONE 'UTC')::date, 0)
ON CONFLICT (organization_id, day) DO UPDATE SET count = campaigns_usage.count
RETURNING count + (SELECT COALESCE(sum(reserved), 0) FROM campaigns_chunk
                   WHERE organization_id = %(o)s AND state = 'leased')
"""  # locks the day's row: two lanes claiming for one organization count one after the other
_LEASE: Final = """
UPDATE campaigns_chunk SET state = 'leased', fence = fence + 1, claims = claims + 1, reserved = %(reserved)s,
  trial_seq = %(trial)s, lease_until = now() + make_interval(secs => %(seconds)s), relay = %(relay)s,
  owner_host = %(host)s, owner_boot = %(boot)s, owner_pid = %(pid)s, owner_started = %(started)s
WHERE id = %(chunk)s RETURNING fence
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
    merge: str  # the frozen merge values as the database has them: read, they are several times as large
    attempt: int = 1
    previous: str = "planned"  # the state that its tally leaves
    first_at: datetime | None = None
    retry_id: int | None = None
    retry_fence: int = 0

    @property
    def values(self) -> dict[str, str]:
        """Read the merge values by name; once a message."""
        stored: dict[str, Any] = _read(self.merge)[0]
        if set(map(type, stored.values())) <= _ONLY_TEXT:
            return stored
        return {name: str(value) for name, value in stored.items() if value is not None}


@dataclass
class Claim:
    """What one lane holds: a chunk's recipients (`chunk_id`), or due retries (`chunk_id` None)."""

    relay: str
    chunk_id: int | None
    fence: int
    items: list[Item]
    left_out: list[tuple[Item, str]]
    is_complete: bool = True  # False: the lane or the allowance took a part only, the rest of the chunk waits
    campaigns: frozenset[int] = field(default_factory=frozenset)
    alone: bool = False  # one recipient of what ended a process


@dataclass
class Without:
    """What a lane passes over for the rest of its slice: allowance used up, letter not loadable.

    `paced` are organizations whose pace is used up, until a moment on the monotonic clock.
    """

    organizations: set[int] = field(default_factory=set)
    campaigns: set[int] = field(default_factory=set)
    paced: dict[int, float] = field(default_factory=dict)

    def paced_now(self) -> list[int]:
        """Return the organizations that have to wait for their pace."""
        now = time.monotonic()
        return [pk for pk, until in self.paced.items() if until > now]

    @property
    def size(self) -> int:
        """Return how much is passed over."""
        return len(self.organizations) + len(self.paced_now())


@dataclass(frozen=True)
class Share:
    """How much to claim: `people` of what has not ended a process, or, `alone`, one recipient at a time of the rest.

    What ended more than one process is left alone for `calm` seconds.
    """

    people: int = 1_000_000
    alone: bool = False
    calm: float = 0.0

    @property
    def deaths(self) -> str:
        """Return the condition on deaths, spelled as the partial indexes are."""
        return "> 0" if self.alone else "= 0"


ALL: Final = Share()
BOTH: Final = (RETRY, CHUNK)


def served_relays(relay_key: str) -> list[str]:
    """Return whose chunks this lane takes: its own, and the other's while that one cannot be used or is drained."""
    other = relays.other(relay_key)
    return [relay_key, other] if relays.hands_over(other) else [relay_key]


def claim_chunk(relay_key: str, owner: Owner, without: Without) -> Claim | None:
    """Claim a chunk and fetch its recipients; None when none may be sent now."""
    return claim_next(relay_key, owner, without, kinds=(CHUNK,))


def claim_retries(relay_key: str, owner: Owner, without: Without) -> Claim | None:
    """Lease retries that are due and may be sent now."""
    return claim_next(relay_key, owner, without, kinds=(RETRY,))


def claim_next(
    relay_key: str, owner: Owner, without: Without, share: Share = ALL, kinds: Collection[str] = BOTH
) -> Claim | None:
    """Claim work of the organization whose turn it is and fetch its recipients; None when there is none.

    Organizations whose allowance is used up are added to `without`.
    """
    if relays.is_gated(relay_key):
        return None
    served = served_relays(relay_key)
    while True:
        known, paced = without.size, without.paced_now()
        look = Look(relay_key, served, kinds, without.organizations, without.campaigns, paced, share.alone)
        for turn in turns.waiting(look):
            take = _take_chunk if turn.kind == CHUNK else _take_retries
            out = turn.kind == CHUNK and turn.organization_id in without.organizations
            if out or turn.organization_id in without.paced_now():
                continue
            with transaction.atomic():
                claimed = take(turn, relay_key, owner, share, without)
                if claimed is not None:
                    turns.note_served(relay_key, turn.organization_id, len(claimed.items) + len(claimed.left_out))
                    return claimed
        if without.size <= known:
            return None


def _take_chunk(turn: Turn, relay_key: str, owner: Owner, share: Share, without: Without) -> Claim | None:
    """Lease the campaign's first chunk that nobody else is taking, as much of it as share and allowance give."""
    values = {"from": turn.relay, "campaign": turn.campaign_id, "calm": share.calm}
    row = _one(_CANDIDATE.format(deaths=share.deaths), values)
    if row is None:
        return None
    used = _one(_USED, {"o": row["organization_id"]})
    room = row["allowance"] - (next(iter(used.values())) if used else 0)
    if room <= 0:
        without.organizations.add(turn.organization_id)
        return None
    size = row["last_seq"] - row["first_seq"] + 1
    limit = _paced(turn, min(room, size, 1 if share.alone else share.people), without)
    if not limit:
        return None
    bounds = {"campaign": row["campaign_id"], "first": row["first_seq"], "last": row["last_seq"]}
    people, seqs = _people({**bounds, "limit": limit}, row["organization_id"])
    items = [item for item, reason in people if not reason]
    _unpaced(turn, limit - len(items))
    trial = seqs[0] if share.alone and items else None
    lease = _lease(row["id"], relay_key, owner, {"reserved": len(items), "trial": trial})
    return Claim(
        relay=relay_key,
        chunk_id=row["id"],
        fence=lease,
        items=items,
        left_out=[(item, reason) for item, reason in people if reason],
        is_complete=len(people) < limit or limit >= size,
        alone=share.alone,
        campaigns=frozenset({row["campaign_id"]}),
    )


def _paced(turn: Turn, most: int, without: Without) -> int:
    """Return for how many people the organization's pace gives leave now; with 0 it is passed over for a moment."""
    rate: float = settings.PACE["organization"]
    if rate <= 0:
        return most
    grant = tokens.take(tokens.organization_key(turn.organization_id), rate, most)
    if not grant.tokens:
        without.paced[turn.organization_id] = time.monotonic() + grant.wait
    return grant.tokens


def _unpaced(turn: Turn, people: int) -> None:
    if settings.PACE["organization"] > 0 and people > 0:
        tokens.give_back(tokens.organization_key(turn.organization_id), people)


def _people(bounds: dict[str, Any], organization_id: int) -> tuple[list[tuple[Item, str]], list[int]]:
    """Return a chunk's recipients without an outcome, each with what keeps it back ("" nothing), and their seqs."""
    campaign_id = bounds["campaign"]
    rows = prepared.ask(questions.fetch(), bounds)
    people = [
        (Item(pk, campaign_id, organization_id, address, merge), reason) for pk, address, merge, reason, _ in rows
    ]
    return people, [row[4] for row in rows]


def _lease(chunk_id: int, relay_key: str, owner: Owner, held: dict[str, int | None]) -> int:
    values = {
        **held,
        "chunk": chunk_id,
        "relay": relay_key,
        "seconds": settings.SENDING["lease_seconds"],
        "host": owner.host,
        "boot": owner.boot,
        "pid": owner.pid,
        "started": owner.started,
    }
    row = _one(_LEASE, values)
    assert row is not None  # (the row is locked by this transaction)
    return int(row["fence"])


def _take_retries(turn: Turn, relay_key: str, owner: Owner, share: Share, without: Without) -> Claim | None:
    """Lease the campaign's retries that are due."""
    limit = _paced(turn, 1 if share.alone else min(share.people, RETRIES_AT_ONCE), without)
    if not limit:
        return None
    values = {
        "from": turn.relay,
        "campaign": turn.campaign_id,
        "limit": limit,
        "seconds": settings.SENDING["lease_seconds"],
        "owner": owner.as_text(),
        "relay": relay_key,
    }
    rows = prepared.ask_named(questions.retries(share.deaths), values)
    _unpaced(turn, limit - len(rows))
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
        merge=row["merge"],
        attempt=row["attempt"],
        previous=row["previous"] or "planned",
        first_at=row["first_at"] if row["previous"] else None,  # who was only put off begins now
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
        cursor.execute(questions.recheck(), [list(delivery_ids)])
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
    rows = prepared.ask_named(statement, values)
    return rows[0] if rows else None


def first_time(item: Item) -> datetime:
    """Return when the first attempt of this delivery was."""
    return item.first_at or clock.now()
