"""Putting off: who may not be mailed yet for a provider's sake gets a place in a queue, as a retry that is due then.

No attempt was made, so none is counted and no outcome is written; the delivery stays planned, and the row says until
when and why. It counts against the day's allowance at once, as a first attempt would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from django.db import connection

from campaigns.sending import tokens
from campaigns.sending.claim import Claim, Item

_NEW: Final = """
INSERT INTO campaigns_retry (delivery_id, campaign_id, organization_id, relay, attempt, first_at, due_at, reason,
  lease_until, fence, owner, deaths)
SELECT d.id, d.campaign_id, d.organization_id, %s, 1, now(), now() + make_interval(secs => later.wait), later.reason,
  NULL, 0, '', %s
FROM unnest(%s::bigint[], %s::float8[], %s::text[]) AS later(id, wait, reason) JOIN campaigns_delivery d USING (id)
ON CONFLICT (delivery_id) DO NOTHING
"""
_AGAIN: Final = """
UPDATE campaigns_retry r SET due_at = now() + make_interval(secs => later.wait), reason = later.reason,
  lease_until = NULL, owner = ''
FROM unnest(%s::bigint[], %s::int[], %s::float8[], %s::text[]) AS later(id, fence, wait, reason)
WHERE r.id = later.id AND r.fence = later.fence AND r.lease_until IS NOT NULL
"""


class Later(NamedTuple):
    """A recipient with a place in a queue: seconds from now, and why."""

    item: Item
    wait: float
    reason: str


def places(put_off: Sequence[tuple[Item, str]]) -> list[Later]:
    """Give each (recipient, provider) a place in its organization's queue for that provider."""
    queues: dict[tuple[str, int], list[Item]] = {}
    for item, provider in put_off:
        queues.setdefault((provider, item.organization_id), []).append(item)
    found = []
    for (provider, organization_id), items in sorted(queues.items()):
        first, step = tokens.queue_up(provider, organization_id, len(items))
        reason = tokens.reason(provider, organization_id)
        found += [Later(item, first + number * step, reason) for number, item in enumerate(items, start=1)]
    return found


def write_later(claim: Claim, later: Sequence[Later]) -> None:
    """Write the places of a claim's recipients; the caller holds the chunk's lock, each retry carries its fence."""
    if not later:
        return
    items, waits, reasons = [one.item for one in later], [one.wait for one in later], [one.reason for one in later]
    with connection.cursor() as cursor:
        if claim.chunk_id is None:
            values: list[Any] = [
                [item.retry_id for item in items],
                [item.retry_fence for item in items],
                waits,
                reasons,
            ]
            cursor.execute(_AGAIN, values)
            return
        cursor.execute(_NEW, [claim.relay, int(claim.alone), [item.delivery_id for item in items], waits, reasons])
    add_usage(Counter(item.organization_id for item in items))


def add_usage(used: Counter[int]) -> None:
    """Count people against the allowance of today."""
    with connection.cursor() as cursor:
        for organization, count in sorted(used.items()):
            cursor.execute(
                "INSERT INTO campaigns_usage (organization_id, day, count)"
                " VALUES (%s, (now() AT TIME ZONE 'UTC')::date, %s)"
                " ON CONFLICT (organization_id, day) DO UPDATE SET count = campaigns_usage.count + excluded.count",
                [organization, count],
            )
