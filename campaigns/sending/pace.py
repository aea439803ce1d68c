"""How fast a lane sends: what it holds of the buckets that all lanes share (campaigns.sending.tokens).

A relay's pace is waited for; a provider's is not: who may not be mailed now is put off, and others go on. The pace of
an organization and the day's allowance are part of the claim. Nothing here asks the database for a single message.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings

from campaigns.providers import provider_of
from campaigns.sending import tokens
from campaigns.sending.claim import Item
from sendserver.lib.relays import RelayConfig

LEASE_SECONDS: Final = 0.5  # worth of tokens that a lane takes at a time
LOOK_SECONDS: Final = 1.0  # between looks at whom providers want left alone
BACKLOG_SECONDS: Final = 1.0  # a queue longer than this is joined at its end, not passed
Database = Callable[..., Awaitable[Any]]


@dataclass
class Bucket:
    """Tokens come in at `rate` a second up to `burst`; a rate of 0 means no limit."""

    rate: float
    burst: float = 0.0
    clock: Callable[[], float] = time.monotonic
    _tokens: float = field(default=0.0, init=False)
    _at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Begin full."""
        self.burst = self.burst or max(1.0, self.rate)
        self._tokens, self._at = self.burst, self.clock()

    def take(self) -> float:
        """Take one token and return the seconds to wait before using it."""
        if self.rate <= 0:
            return 0.0
        self._fill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self.rate)

    def _fill(self) -> None:
        now = self.clock()
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now

    def take_at_once(self) -> bool:
        """Take one token if one is there now."""
        if self.rate <= 0:
            return True
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def wait(self) -> None:
        """Take one token, waiting for it if need be."""
        seconds = self.take()
        if seconds > 0:
            await asyncio.sleep(seconds)


@dataclass
class Shared:
    """A lane's part of a bucket that all lanes share."""

    key: str
    rate: float
    held: int = 0
    empty_until: float = 0.0  # on the monotonic clock: no use in asking before

    def take_at_once(self) -> bool:
        """Take one token if one is in hand."""
        if not self.held:
            return False
        self.held -= 1
        return True

    async def fill(self, db: Database) -> None:
        """Take the next tokens, unless there were none a moment ago."""
        if self.held or time.monotonic() < self.empty_until:
            return
        grant: tokens.Grant = await db(tokens.take, self.key, self.rate, max(1.0, self.rate * LEASE_SECONDS))
        self.held += grant.tokens
        if not grant.tokens:
            self.empty_until = time.monotonic() + grant.wait


class RelayPace:
    """The pace of one relay, as all hosts share it; alone, a lane spreads its messages besides."""

    def __init__(self, relay: RelayConfig, db: Database, should_end: Callable[[], bool]) -> None:
        self.is_limited = relay.rate > 0
        self._local = Bucket(relay.rate)
        self._shared = Shared(tokens.relay_key(relay.key), relay.rate)
        self._db, self._should_end = db, should_end
        self._filling = asyncio.Lock()

    def take_at_once(self) -> bool:
        """Take the right to send one message if it is there now."""
        if not self.is_limited:
            return True
        return self._shared.held > 0 and self._local.take_at_once() and self._shared.take_at_once()

    async def wait(self) -> None:
        """Wait for the right to send one message; in vain when the lane is told to end."""
        if not self.is_limited:
            return
        await self._local.wait()
        while not self._shared.take_at_once() and not self._should_end():
            async with self._filling:
                await self._shared.fill(self._db)
                pause = self._shared.empty_until - time.monotonic()
                if not self._shared.held:
                    await asyncio.sleep(min(max(pause, 0.001), LEASE_SECONDS))

    async def close(self) -> None:
        """Give back what was not used."""
        if self._shared.held:
            await self._db(tokens.give_back, self._shared.key, self._shared.held)
            self._shared.held = 0


class ProviderPace:
    """Which providers may be mailed now, for whom."""

    def __init__(self, db: Database) -> None:
        self.paused: dict[tuple[str, int], float] = {}  # until, on the monotonic clock
        self.queued: dict[tuple[str, int], float] = {}  # until when what is put off has its places
        self._buckets: dict[str, Shared] = {}
        self._rates: dict[str, float] = settings.PACE["providers"]
        self._rate: float = settings.PACE["domain"]
        self._db = db
        self._looked = 0.0
        self._filling = asyncio.Lock()

    @staticmethod
    def of(item: Item) -> str:
        """Return the provider of a recipient."""
        return provider_of(item.address.rpartition("@")[2])

    def may_go(self, item: Item) -> bool:
        """Tell whether this message may go now; a token is taken for it then."""
        provider = provider_of(item.address.rpartition("@")[2])
        rate = self._rates.get(provider, self._rate)
        if not (rate or self.paused):
            return True
        pair, now = (provider, item.organization_id), time.monotonic()
        if self.paused.get(pair, 0.0) > now:
            return False
        if not rate:
            return True
        if item.retry_id is None and self.queued.get(pair, 0.0) > now + BACKLOG_SECONDS:
            return False  # those who were put off come first
        bucket = self._buckets.get(provider)
        if bucket is None:
            bucket = self._buckets[provider] = Shared(tokens.provider_key(provider), rate)
        return bucket.take_at_once()

    def goes_not(self, item: Item) -> None:
        """Take the token back that `may_go` took for a message that does not go now after all."""
        bucket = self._buckets.get(self.of(item))
        if bucket is not None:
            bucket.held += 1

    async def may_go_soon(self, item: Item) -> bool:
        """Ask for more tokens where the lane's own are used up; else as `may_go`."""
        bucket = self._buckets.get(self.of(item))
        if bucket is None:
            return False
        async with self._filling:
            await bucket.fill(self._db)
        return self.may_go(item)

    async def look(self) -> None:
        """Learn whom providers want left alone, from the answers that all lanes got."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        found: dict[tuple[str, int], float] = await self._db(tokens.paused)
        self.paused = {pair: now + seconds for pair, seconds in found.items()}

    async def back_off(self, item: Item, said: str) -> None:
        """Leave this item's provider alone for its organization."""
        provider = self.of(item)
        seconds: float = await self._db(tokens.back_off, provider, item.organization_id, said)
        self.paused[provider, item.organization_id] = time.monotonic() + seconds

    async def close(self) -> None:
        """Give back what was not used."""
        for bucket in self._buckets.values():
            if bucket.held:
                await self._db(tokens.give_back, bucket.key, bucket.held)
                bucket.held = 0
