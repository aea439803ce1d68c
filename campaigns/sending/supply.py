"""A lane's supply of recipients: the next one, looked at a moment ago, and the next chunk before it is needed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

from django.conf import settings

from campaigns.sending import aside, later, relays, tokens
from campaigns.sending import claim as claims
from campaigns.sending.claim import Item, Share, Without
from campaigns.sending.outcomes import State, result_of
from campaigns.sending.owners import Owner
from campaigns.sending.pace import ProviderPace
from campaigns.sending.slices import FRESH_SECONDS, Held
from sendserver.lib import clock
from sendserver.lib.relays import RelayConfig

Value = TypeVar("Value")
RECHECK_BATCH: Final = 50
ALONE_SHARE: Final = 0.2  # of a slice: the most that goes to what ended a process before the others have their turn
TURN_SECONDS: Final = 2.0  # of a lane's work, at most, until another organization's turn comes
FIRST_BITE: Final = 100  # people, while the lane does not know how fast it is, unless its relay has a limit
SMALLEST_BITE: Final = 10  # as many as there are connections by default
WAIT_SECONDS: Final = 5.0  # a lane without work waits this long for what is put off, else its slice ends
RIPE_SECONDS: Final = 0.5
AHEAD_SECONDS: Final = 0.15  # a chunk is fetched this long before the last one is through
LOOK_SECONDS: Final = 0.005  # between looks at how much is left


class Host(Protocol):
    """What the supply needs of its lane."""

    key: str
    relay: RelayConfig
    owner: Owner
    ending: bool
    relay_failed: bool
    attempted: int

    async def db(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """Run a database function in a thread."""

    async def flush_if_through(self, held: Held) -> None:
        """Write the results of a claim of which nothing is left to do."""


class Mode(StrEnum):
    """What of the work is taken now. What ended a process is tried one recipient at a time, with nothing else held."""

    FIRST_ALONE = "first_alone"  # what ended one, or has been left alone for long enough
    TOGETHER = "together"  # everything else, over all connections
    LAST_ALONE = "last_alone"  # nothing else is left: whatever ended one


SHARES: Final = {
    Mode.FIRST_ALONE: Share(alone=True, calm=aside.CALM_SECONDS),
    Mode.TOGETHER: Share(),
    Mode.LAST_ALONE: Share(alone=True),
}


class Supply:
    """Chunks and due retries in hand. `without` is what the lane passes over for the rest of its slice."""

    def __init__(self, lane: Host) -> None:
        self.lane = lane
        self.held: list[Held] = []
        self.without = Without()
        self.mode = Mode.TOGETHER
        self.stopped: set[int] = set()  # campaigns that may not be sent now
        self._began = time.monotonic()
        self._ahead: asyncio.Task[bool] | None = None
        self._looks_at = 0.0  # when to see whether a chunk is needed, on the monotonic clock
        self.providers = ProviderPace(lane.db)
        # When those who were put off are due, the first and the last, on the monotonic clock
        self._due: dict[tuple[str, int], tuple[float, float]] = {}
        self._surprise: BaseException | None = None
        self._claiming = asyncio.Lock()

    async def next(self) -> tuple[Held, Item, float] | None:
        """Return the next recipient that may be mailed now and when the database said so, fetching a chunk if needed.

        The moment is that of asking, on the monotonic clock: what is decided while an answer is under way is not in it.
        """
        lane = self.lane
        while not lane.ending and not lane.relay_failed:
            for held in self.held:
                if held.waiting:
                    item, looked_at = held.waiting.popleft()
                    held.on_wire += 1
                    if not self.providers.may_go(item) and not await self._may_go_soon(held, item):
                        break
                    asked = time.monotonic()
                    if asked - looked_at <= FRESH_SECONDS:
                        return held, item, looked_at
                    if await self.look_again(held, item):
                        return held, item, asked
                    held.on_wire -= 1
                    break
            else:
                if self._has_had_its_share() or not await self._claim():
                    return None
        return None

    async def _may_go_soon(self, held: Held, item: Item) -> bool:
        """Ask for more of the provider's tokens; put the item off when there are none."""
        if await self.providers.may_go_soon(item):
            return True
        held.later.append((item, self.providers.of(item)))
        held.on_wire -= 1
        await self.lane.flush_if_through(held)
        return False

    async def places(self, put_off: list[tuple[Item, str]]) -> list[later.Later]:
        """Return the places in their queues of those who are put off."""
        found: list[later.Later] = await self.lane.db(later.places, put_off)
        now = time.monotonic()
        for one in found:
            pair, at = (self.providers.of(one.item), one.item.organization_id), now + one.wait
            first, last = self._due.get(pair, (at, at))
            self._due[pair] = min(first, at), max(last, at)
            self.providers.queued[pair] = max(last, at)
        return found

    async def _wait_for_due(self) -> bool:
        """Wait a little when something will be due soon: a place in a queue, an organization's pace."""
        now = time.monotonic()
        queues = (_next_place(pair[0], *ends, now) for pair, ends in self._due.items() if ends[1] > now - RIPE_SECONDS)
        soonest = min([*queues, *(at for at in self.without.paced.values() if at > now)], default=now + 3600)
        if soonest - now > WAIT_SECONDS or self.mode is not Mode.TOGETHER:
            return False
        await asyncio.sleep(min(max(soonest - now, 0.1), 0.25))
        return True

    def _has_had_its_share(self) -> bool:
        most = settings.SENDING["slice_seconds"] * ALONE_SHARE
        return self.mode is Mode.FIRST_ALONE and time.monotonic() - self._began > most

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
        if now < self._looks_at or self._ahead is not None or self.mode is not Mode.TOGETHER:
            return
        self._looks_at = now + LOOK_SECONDS
        if sum(len(held.waiting) for held in self.held) < self.per_second() * AHEAD_SECONDS:
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
            self._looks_at = time.monotonic() + AHEAD_SECONDS

    async def _claim(self, *, ahead: bool = False) -> bool:
        lane = self.lane
        async with self._claiming:
            if not ahead and any(held.waiting for held in self.held):
                return True  # another sender fetched meanwhile
            await self.providers.look()
            asked, share = time.monotonic(), replace(SHARES[self.mode], people=self._bite())
            claim = await lane.db(claims.claim_next, lane.key, lane.owner, self.without, share)
            if claim is None:
                return not ahead and await self._wait_for_due()
            lease_until = asked + settings.SENDING["lease_seconds"]
            held = Held(claim, deque((item, asked) for item in claim.items), lease_until)
            for item, reason in claim.left_out:
                self._leave_out(held, item, reason)
            if claim.chunk_id is not None:
                claim.items.clear()  # `waiting` has them; whoever was served is not held until the chunk is through
            self.held.append(held)
        await lane.flush_if_through(held)
        return True

    def _bite(self) -> int:
        """Return how many people to claim at once: as many as take TURN_SECONDS, so that a turn is never long."""
        if not self.lane.attempted:
            limit = self.lane.relay.rate * TURN_SECONDS
            return max(SMALLEST_BITE, min(FIRST_BITE, round(limit))) if limit else FIRST_BITE
        return max(SMALLEST_BITE, round(self.per_second() * TURN_SECONDS))

    def per_second(self) -> float:
        """Return the lane's pace in this slice so far, messages a second."""
        return self.lane.attempted / max(0.1, time.monotonic() - self._began)

    def _leave_out(self, held: Held, item: Item, reason: str) -> None:
        state = State.SUPPRESSED if reason == "suppressed" else State.SKIPPED
        held.results.append(result_of(item, state, relay=self.lane.key, at=clock.now(), reply=reason))


def _next_place(provider: str, first: float, last: float, now: float) -> float:
    """Return when the next place of a queue between `first` and `last` is due, at the latest."""
    return first if first > now else min(last, now + 1 / tokens.queue_rate(provider))
