"""A lane's supply of recipients: the next one, looked at a moment ago, and the next chunk before it is needed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from django.conf import settings

from campaigns.sending import claim as claims
from campaigns.sending import relays
from campaigns.sending.claim import Item, Without
from campaigns.sending.outcomes import State, result_of
from campaigns.sending.owners import Owner
from campaigns.sending.slices import FRESH_SECONDS, Held
from sendserver.lib import clock

Value = TypeVar("Value")
RECHECK_BATCH: Final = 50
AHEAD_SECONDS: Final = 0.3  # a chunk is fetched this long before the last one is through


class Host(Protocol):
    """What the supply needs of its lane."""

    key: str
    owner: Owner
    ending: bool
    relay_failed: bool
    attempted: int

    async def db(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """Run a database function in a thread."""

    async def flush_if_through(self, held: Held) -> None:
        """Write the results of a claim of which nothing is left to do."""


class Supply:
    """Chunks and due retries in hand. `without` is what the lane passes over for the rest of its slice."""

    def __init__(self, lane: Host) -> None:
        self.lane = lane
        self.held: list[Held] = []
        self.without = Without()
        self.stopped: set[int] = set()  # campaigns that may not be sent now
        self._began = time.monotonic()
        self._ahead: asyncio.Task[bool] | None = None
        self._dry_until = 0.0
        self._surprise: BaseException | None = None
        self._claiming = asyncio.Lock()

    async def next(self) -> tuple[Held, Item] | None:
        """Return the next recipient that may be mailed now, fetching another chunk when needed."""
        lane = self.lane
        while not lane.ending and not lane.relay_failed:
            for held in self.held:
                if held.waiting:
                    item, looked_at = held.waiting.popleft()
                    held.on_wire += 1
                    if time.monotonic() - looked_at <= FRESH_SECONDS or await self.look_again(held, item):
                        return held, item
                    held.on_wire -= 1
                    break
            else:
                if not await self._claim():
                    return None
        return None

    async def look_again(self, held: Held, item: Item) -> bool:
        """Ask once more about this recipient and the next ones; True when it may still be mailed."""
        nearby = [pair[0] for pair in list(held.waiting)[:RECHECK_BATCH]]
        now = time.monotonic()
        reasons = await self.lane.db(claims.recheck, [one.delivery_id for one in (item, *nearby)])
        done = {one.delivery_id for one in nearby}
        kept: deque[tuple[Item, float]] = deque()
        for one, at in held.waiting:
            if one.delivery_id in reasons:
                self._leave_out(held, one, reasons[one.delivery_id])
            else:
                kept.append((one, now if one.delivery_id in done else at))
        held.waiting = kept
        if item.delivery_id in reasons:
            self._leave_out(held, item, reasons[item.delivery_id])
            return False
        return True

    def claim_ahead(self) -> None:
        """Fetch the next chunk before this one is through, when what is left lasts for less than it stays fresh."""
        now = time.monotonic()
        if self._ahead is not None or now < self._dry_until:
            return
        per_second = self.lane.attempted / max(0.1, now - self._began)
        if sum(len(held.waiting) for held in self.held) < per_second * AHEAD_SECONDS:
            self._ahead = asyncio.create_task(self._claim(ahead=True))
            self._ahead.add_done_callback(self._claimed)

    async def renew(self) -> None:
        """Keep the leases; what somebody else has taken meanwhile is let go."""
        asked, held = time.monotonic(), list(self.held)
        for one, is_ours in zip(held, await self.lane.db(claims.renew, [one.claim for one in held]), strict=True):
            one.lease_until = asked + settings.SENDING["lease_seconds"] if is_ours else 0.0
            if not is_ours:
                one.waiting.clear()
                await self.lane.flush_if_through(one)

    async def stop_forbidden(self) -> None:
        """Put back what may not be sent any more: state, standing or a brake has changed."""
        if await self.lane.db(relays.is_held, self.lane.key):
            self.lane.ending = True
        held = {campaign for one in self.held for campaign in one.claim.campaigns}
        self.stopped = held - await self.lane.db(claims.still_sendable, held)
        for one in list(self.held):
            kept = deque(pair for pair in one.waiting if pair[0].campaign_id not in self.stopped)
            one.put_back += len(one.waiting) - len(kept)
            one.waiting = kept
            await self.lane.flush_if_through(one)

    async def close(self) -> BaseException | None:
        """Wait for a claim that is still under way; return what surprised a claim, if anything did."""
        if self._ahead is not None:
            await asyncio.wait([self._ahead])
        return self._surprise

    def _claimed(self, task: asyncio.Task[bool]) -> None:
        self._ahead = None
        if task.cancelled():
            return
        self._surprise = self._surprise or task.exception()
        if self._surprise is not None:
            self.lane.ending = True
        elif not task.result():
            self._dry_until = time.monotonic() + AHEAD_SECONDS

    async def _claim(self, *, ahead: bool = False) -> bool:
        lane = self.lane
        async with self._claiming:
            if not ahead and any(held.waiting for held in self.held):
                return True  # another sender fetched meanwhile
            asked = time.monotonic()
            claim = await lane.db(claims.claim_retries, lane.key, lane.owner, self.without)
            claim = claim or await lane.db(claims.claim_chunk, lane.key, lane.owner, self.without)
            if claim is None:
                return False
            now = time.monotonic()
            lease_until = asked + settings.SENDING["lease_seconds"]
            held = Held(claim, deque((item, now) for item in claim.items), lease_until)
            for item, reason in claim.left_out:
                self._leave_out(held, item, reason)
            self.held.append(held)
        await lane.flush_if_through(held)
        return True

    def _leave_out(self, held: Held, item: Item, reason: str) -> None:
        state = State.SUPPRESSED if reason == "suppressed" else State.SKIPPED
        held.results.append(result_of(item, state, relay=self.lane.key, at=clock.now(), reply=reason))
