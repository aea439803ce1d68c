"""The buckets that lanes and hosts share, in PostgreSQL: tokens of a relay, a provider, an organization; and queues.

They stand next to the work, by the database's clock: a restart of lanes finds them as they were left, and the broker
may be flushed or away. A lane takes half a second's worth at a time, so a message costs no round trip; what a lane
holds when it dies is lost to the rate, never added to it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from campaigns.models import Pace
from campaigns.providers import name_of
from campaigns.sending.retry import BACK_OFF_SECONDS
from sendserver.lib import clock

FORGET_SECONDS: Final = 86_400  # a provider that asked nothing for this long is met as if for the first time
AFTER_BACK_OFF_RATE: Final = 5.0  # messages a second to a provider without a rate of its own, when it is asked again
_MAKE: Final = """
INSERT INTO campaigns_pace (key, tokens, at, step, said) VALUES (%s, %s, clock_timestamp(), 0, '')
ON CONFLICT (key) DO NOTHING
"""
_HAVE: Final = """
SELECT LEAST(%(burst)s, tokens + GREATEST(0, EXTRACT(EPOCH FROM clock_timestamp() - at)) * %(rate)s)
FROM campaigns_pace WHERE key = %(key)s FOR UPDATE
"""
_TAKE: Final = "UPDATE campaigns_pace SET tokens = %s, at = GREATEST(at, clock_timestamp()) WHERE key = %s"
_QUEUE: Final = """
UPDATE campaigns_pace SET free_at = GREATEST(COALESCE(free_at, now()), now()) + make_interval(secs => %(seconds)s)
WHERE key = %(key)s RETURNING EXTRACT(EPOCH FROM free_at - now()) - %(seconds)s
"""
_BACK_OFF: Final = """
UPDATE campaigns_pace SET
  step = CASE WHEN paused_until > now() - make_interval(secs => %(forget)s) THEN LEAST(step + 1, %(last)s) ELSE 0 END,
  paused_until = now() + make_interval(secs => (%(steps)s::int[])[1 + CASE
    WHEN paused_until > now() - make_interval(secs => %(forget)s) THEN LEAST(step + 1, %(last)s) ELSE 0 END]),
  said = %(said)s
WHERE key = %(key)s AND (paused_until IS NULL OR paused_until <= now())
"""
_PAUSED: Final = """
UPDATE campaigns_pace SET free_at = GREATEST(free_at, paused_until) WHERE key = %s
RETURNING EXTRACT(EPOCH FROM paused_until - now())
"""


class Grant(NamedTuple):
    """Whole tokens, and the seconds until there is another one."""

    tokens: int
    wait: float


def relay_key(relay: str) -> str:
    """Return the key of a relay's bucket."""
    return f"relay:{relay}"


def provider_key(provider: str) -> str:
    """Return the key of a provider's bucket: all organizations and both relays together."""
    return f"provider:{provider}"


def organization_key(organization_id: int) -> str:
    """Return the key of an organization's bucket."""
    return f"organization:{organization_id}"


def queue_key(provider: str, organization_id: int) -> str:
    """Return the key of what one organization has waiting for one provider."""
    return f"queue:{provider}:{organization_id}"


def provider_rate(provider: str) -> float:
    """Return messages a second to a provider, 0 for no limit."""
    rates: dict[str, float] = settings.PACE["providers"]
    return rates.get(provider, settings.PACE["domain"])


def queue_rate(provider: str) -> float:
    """Return places a second in a queue for a provider, never 0."""
    return provider_rate(provider) or AFTER_BACK_OFF_RATE


def take(key: str, rate: float, most: float, *, burst: float = 0.0) -> Grant:
    """Take up to `most` whole tokens of a bucket that fills at `rate` a second up to `burst` (a second's worth)."""
    burst = burst or max(1.0, rate)
    with transaction.atomic(), connection.cursor() as cursor:
        values: dict[str, str | float] = {"key": key, "rate": rate, "burst": burst}
        cursor.execute(_HAVE, values)
        row = cursor.fetchone()
        if row is None:
            cursor.execute(_MAKE, [key, burst])
            cursor.execute(_HAVE, values)
            row = cursor.fetchone()
        have = float(row[0])
        taken = int(max(0.0, min(have, most)))
        if taken:
            cursor.execute(_TAKE, [have - taken, key])
    return Grant(taken, max(0.0, 1.0 - (have - taken)) / rate)


def give_back(key: str, tokens: float) -> None:
    """Return tokens that were not used; the next `take` cuts what is above the burst."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE campaigns_pace SET tokens = tokens + %s WHERE key = %s", [tokens, key])


def queue_up(provider: str, organization_id: int, people: int) -> tuple[float, float]:
    """Reserve places at the end of a queue; return the seconds until that end, and between two places."""
    key, rate = queue_key(provider, organization_id), queue_rate(provider)
    with connection.cursor() as cursor:
        cursor.execute(_MAKE, [key, 0.0])
        cursor.execute(_QUEUE, {"key": key, "seconds": people / rate})
        return float(cursor.fetchone()[0]), 1 / rate


def back_off(provider: str, organization_id: int, said: str) -> float:
    """Leave a provider alone for this organization's mail and return for how many seconds.

    1 h, then 2 h, then 4 h while it goes on within a day; several answers of one moment count once.
    """
    key = queue_key(provider, organization_id)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_MAKE, [key, 0.0])
        values: dict[str, Any] = {"key": key, "forget": FORGET_SECONDS, "steps": list(BACK_OFF_SECONDS)}
        cursor.execute(_BACK_OFF, {**values, "said": said[:200], "last": len(BACK_OFF_SECONDS) - 1})
        cursor.execute(_PAUSED, [key])
        return float(cursor.fetchone()[0])


def paused() -> dict[tuple[str, int], float]:
    """Return the seconds for which each (provider, organization) is left alone; few rows, by a partial index."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT key, EXTRACT(EPOCH FROM paused_until - now()) FROM campaigns_pace WHERE paused_until > now()"
        )
        rows = cursor.fetchall()
    found = {}
    for key, seconds in rows:
        _, provider, organization = key.split(":")
        found[provider, int(organization)] = float(seconds)
    return found


def forget_idle() -> None:
    """Drop what nobody has used for a week: a bucket that is full and a queue that is empty are as good as none."""
    old = clock.now() - timedelta(days=7)
    Pace.objects.filter(at__lt=old).exclude(free_at__gt=old).exclude(paused_until__gt=old).delete()


def reason(provider: str, organization_id: int) -> str:
    """Return why mail for a provider waits, in the words that pages show."""
    row = Pace.objects.filter(key=queue_key(provider, organization_id)).first()
    if row is not None and row.is_paused:
        return f"{name_of(provider)} asked us to slow down: {row.said}"[:200]
    return f"In the queue for {name_of(provider)}"
