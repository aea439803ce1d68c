"""The lane: one relay's work for one slice. Claims, writes messages just in time, sends, records.

One event loop talks SMTP; the database is asked from threads, never while a transaction is open. What ends a slice:
its time, no work, or a relay that fails. Whatever was not started goes back to the queue.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import uvloop
from django.conf import settings

from campaigns.bounces import BLOCKS
from campaigns.sending import care, epoch, relays, retry
from campaigns.sending.attempt import Ready, Told, finish, of_answer, of_error
from campaigns.sending.claim import Item
from campaigns.sending.journal import Journal
from campaigns.sending.outcomes import State, result_of
from campaigns.sending.owners import LaneLock, Owner
from campaigns.sending.pace import RelayPace
from campaigns.sending.phases import WireError
from campaigns.sending.record import flush
from campaigns.sending.recover import recover
from campaigns.sending.replies import Reply
from campaigns.sending.retry import Decision, Kind, Relay
from campaigns.sending.slices import FRESH_SECONDS, Held, Report, raise_surprise, rare_collections
from campaigns.sending.smtp import SmtpConnection, Timeouts
from campaigns.sending.stream import Stream, Talk, look_ahead
from campaigns.sending.supply import Mode, Supply
from campaigns.sending.system_lane import SystemMailSender
from campaigns.sending.taken import Taken
from campaigns.sending.threads import DatabaseThreads
from campaigns.sending.trouble import reported
from campaigns.sending.writer import Writer
from sendserver.lib import clock
from sendserver.lib.relays import RelayConfig

log = logging.getLogger(__name__)
Value = TypeVar("Value")

FLUSH_SECONDS: Final = 0.5
WIRE_FAILURES_MAX: Final = 2  # of one message in a slice; then it waits, so that it does not stop the others
OUTCOMES: Final = {Kind.ACCEPTED: State.ACCEPTED, Kind.REJECTED: State.REJECTED, Kind.RETRY: State.DEFERRED}


@reported
def run_lane(relay_key: str, *, should_end: Callable[[], bool] = lambda: False) -> Report:
    """Serve relay `relay_key` for one slice of at most SENDING["slice_seconds"]; harmless to call at any time.

    `should_end` is asked twice a second: once true, only what is on the wire is finished and the rest given back.
    """
    relays.config(relay_key)
    owner = Owner.here()
    lock = LaneLock(relay_key)
    if not lock.take(owner):
        return Report(busy=True)
    try:
        epoch.check()
        recover(relay_key, owner)
        if not relays.is_open(relay_key) or not care.is_ready(relay_key):
            return Report()
        lane = Lane(relay_key, owner, lock, should_end)
        with lane.writer.limit, rare_collections():
            report = uvloop.run(lane.run())
        return care.look_behind(relay_key, report)
    finally:
        lock.release()


class Lane:
    """One slice of one relay's work."""

    def __init__(self, relay_key: str, owner: Owner, lock: LaneLock, should_end: Callable[[], bool]) -> None:
        self.key, self.owner, self.lock, self.should_end = relay_key, owner, lock, should_end
        self.relay: RelayConfig = relays.config(relay_key)
        self.ending = self.out_of_time = False
        self.timeouts = Timeouts.from_settings(settings.SENDING)
        self.journal = Journal(relay_key, owner)
        self.pace = RelayPace(self.relay, self.db, lambda: self.ending)
        self.random = random.Random()  # noqa: S311 (jitter)
        self.supply = Supply(self)
        self.writer = Writer(self, self.supply.without)
        self.held = self.supply.held
        self.wire_failures: dict[int, int] = {}
        self.relay_failed = False
        self.attempted = self.accepted = self.in_doubt = 0
        self.system = SystemMailSender(self)
        self._threads = DatabaseThreads(relay_key)
        self._flushing = asyncio.Lock()

    async def run(self) -> Report:
        """Work until time, work or relay end; then give back what was not started."""
        deadline = time.monotonic() + settings.SENDING["slice_seconds"]
        watch = asyncio.create_task(self._watch(deadline))
        try:
            await self.system.send_all()  # passes before campaigns
            helper = asyncio.create_task(self.system.until_done())
            outcomes = await self._send_all()
            self.ending = True
            await helper
            outcomes.append(await self.supply.close())
            # After a surprise nothing is given back: the journal knows more than we do, and the next slice replays it.
            raise_surprise(outcomes, self.held)
            await self._give_back()
            self.journal.close()
        except BaseException:
            self.journal.close(keep=True)  # whoever comes next replays it
            raise
        finally:
            watch.cancel()
            await self._threads.close()
        return Report(self.attempted, self.accepted, self.system.sent, self.in_doubt, more=self.out_of_time)

    async def _send_all(self) -> list[object]:
        """Send by one connection what ended a process before, between that everything else by all; return surprises."""
        outcomes: list[object] = []
        for mode in Mode:
            self.supply.mode = mode
            count = settings.SENDING["connections"] if mode is Mode.TOGETHER else 1
            senders = [asyncio.create_task(self._sender()) for _ in range(count)]
            outcomes += await asyncio.gather(*senders, return_exceptions=True)
            if any(outcomes) or self.ending:
                break
        return outcomes

    async def db(self, function: Callable[..., Value], *arguments: Any, **options: Any) -> Value:
        """Run a database function in a thread with its own connection."""
        return await self._threads.run(function, *arguments, **options)

    async def _watch(self, deadline: float) -> None:
        """Every stop_poll_seconds: heartbeat, stop what may not be sent any more, write results, keep leases."""
        renewed = flushed = time.monotonic()
        while True:
            await asyncio.sleep(settings.SENDING["stop_poll_seconds"])
            try:
                now = time.monotonic()
                self.out_of_time = now > deadline
                self.ending = self.ending or self.out_of_time or self.should_end()
                self.lock.beat()
                await self.supply.stop_forbidden()
                if now - flushed >= FLUSH_SECONDS:
                    flushed = now
                    await self._flush_all()
                if now - renewed > settings.SENDING["lease_seconds"] / 3:
                    renewed = now
                    await self.supply.renew()
            except Exception:
                # Without its watch a lane could neither be stopped nor write: it ends, and the next one recovers.
                log.exception("%s: the watch failed", self.key)
                self.ending = True

    async def _sender(self) -> None:
        """One connection: send message after message until there is nothing more.

        Where the relay takes groups of commands, the next envelope travels with a message: `talk` is about that one.
        """
        connection: SmtpConnection | None = None
        talk: Talk | None = None
        try:
            while not self.ending and not self.relay_failed:
                if talk is None:
                    current = await self._ready()
                    if current is None:
                        return
                    connection = await self._begun(connection, current)
                    if connection is None:
                        continue
                    talk = Talk(current)
                done, talk = talk, None
                await self._converse(cast(SmtpConnection, connection), done)
                talk = done.next()
                await self.flush_if_through(done.current.held)
        finally:
            if talk is not None:
                self._let_go(talk.current, talk.coming)
                cast(SmtpConnection, connection).abort()
            elif connection is not None:
                await connection.close()

    async def _begun(self, connection: SmtpConnection | None, ready: Ready) -> SmtpConnection | None:
        """Open the connection if need be and offer the envelope; None when the relay cannot be talked to."""
        try:
            connection = await self.connected(connection)
            await self.pace.wait()
            await connection.begin(ready.envelope)
        except WireError as error:  # nothing was tried
            self._let_go(ready)
            await self.relay_trouble(retry.of_error(error))
            return None
        except BaseException:
            ready.held.broken = True
            self._let_go(ready)
            raise
        return connection

    async def _converse(self, connection: SmtpConnection, talk: Talk) -> None:
        """Send the current message, whose envelope is on the wire; `following` is then the one whose went out with it.

        While all goes well that one follows at once, and the next (campaigns.sending.stream): `talk` moves along.
        """
        self.attempted += 1
        try:
            try:
                answer = await connection.go()
                if answer is None:
                    if not await self._may_still_go(talk.current):
                        connection.abort()  # the only way out of DATA; without its dot nothing was sent
                        self.attempted -= 1
                        self._let_go(talk.coming)
                        talk.coming = None
                        return
                    look_ahead(self, connection, talk)
                    await finish(connection, talk.current, self.journal, talk.following)
                    answer = await connection.dot(Stream(self, connection, talk).step if talk.following else None)
                told = of_answer(answer, talk.current.item, self.random)
            except WireError as error:
                told = of_error(error)
            if not connection.is_alive:
                self._let_go(talk.following, talk.coming)
                talk.following = talk.coming = None
            await self._settle(talk.current, told)
        except BaseException:
            talk.current.held.broken = True
            self._let_go(talk.following, talk.coming)
            raise
        finally:
            talk.current.held.on_wire -= 1

    async def _may_still_go(self, ready: Ready) -> bool:
        """Look once more, right before the message: a stop, or somebody who left since we looked."""
        if self.ending or self.is_stopped(ready.item):
            self.put_back(ready.held)
            return False
        return time.monotonic() - ready.looked_at <= FRESH_SECONDS or await self.supply.look_again(
            ready.held, ready.item
        )

    def _let_go(self, *several: Ready | None) -> None:
        """Leave those of whom an envelope may be on the wire, and nothing else: as if never tried."""
        for ready in several:
            if ready is not None:
                ready.held.on_wire -= 1
                self.put_back(ready.held)

    async def _ready(self) -> Ready | None:
        """Return the next recipient with its message written, or None when there is no more work."""
        while True:
            taken = await self.supply.next()
            if taken is None:
                return None
            held, item, looked_at = taken
            try:
                written = await self.writer.written(held, item)
            except BaseException:
                held.broken = True
                held.on_wire -= 1
                raise
            if written is not None:
                return Ready(held, item, written, looked_at)
            held.on_wire -= 1
            await self.flush_if_through(held)

    def ready_at_once(self) -> Ready | None:
        """Return the next recipient if nothing has to be waited for: looked up just now, letter loaded, pace kept."""
        self.supply.claim_ahead()
        held = next((held for held in self.held if held.waiting), None)
        if held is None or self.ending or self.relay_failed:
            return None
        item, looked_at = held.waiting[0]
        if self.is_stopped(item) or time.monotonic() - looked_at > FRESH_SECONDS:
            return None
        if not self.supply.providers.may_go(item):
            return None
        written = self.writer.at_once(held.waiting, self.supply.per_second) if self.pace.take_at_once() else None
        if written is None:
            self.supply.providers.goes_not(item)
            return None
        held.waiting.popleft()
        held.on_wire += 1
        return Ready(held, item, written, looked_at)

    async def connected(self, connection: SmtpConnection | None) -> SmtpConnection:
        """Return the connection, opened anew when it is dead."""
        if connection is not None and connection.is_alive:
            return connection
        fresh = SmtpConnection(self.relay, self.timeouts, helo=settings.PLATFORM.mail_domain)
        await fresh.open()
        return fresh

    async def _settle(self, ready: Ready, told: Told) -> None:
        """Write down what became of an attempt, and do what follows from it."""
        held, item, (decision, details) = ready.held, ready.item, told
        if decision.kind is Kind.PUT_BACK and decision.relay is not Relay.FAULT:  # a fault of the relay is not its
            failures = self.wire_failures[item.delivery_id] = self.wire_failures.get(item.delivery_id, 0) + 1
            if failures >= WIRE_FAILURES_MAX:
                decision = Decision(Kind.RETRY, decision.relay, "transient", retry.STEPS_SECONDS[0], decision.rule)
        if decision.kind is Kind.PUT_BACK:
            self.put_back(held)
        else:
            self._note(held, item, decision, details, len(ready.written.message))
        if decision.slows:
            await self.supply.providers.back_off(item, details["reply"])
        if decision.bounce_class in BLOCKS:
            self.writer.counts[item.campaign_id].blocked += 1
            await self.writer.judge(item.campaign_id)
        if decision.relay is not Relay.FINE:
            await self.relay_trouble(decision)

    def _note(self, held: Held, item: Item, decision: Decision, details: dict[str, Any], octets: int) -> None:
        """Keep the result: in the journal at once, in the database within FLUSH_SECONDS."""
        state = OUTCOMES.get(decision.kind, State.IN_DOUBT)
        result = result_of(
            item,
            state,
            relay=self.key,
            at=clock.now(),
            bounce_class=decision.bounce_class,
            host=self.owner.host,
            wire_bytes=octets,
            wait=decision.wait,
            **details,
        )
        self.journal.answered(item.delivery_id, item.attempt, result.to_json())
        held.results.append(result)
        self.accepted += state == State.ACCEPTED
        self.in_doubt += state == State.IN_DOUBT

    def note_taken(self, ready: Ready, reply: Reply, following: Item) -> None:
        """Keep the commonest result as `_note` would, and journal with it that the dot of the following one comes."""
        held, item = ready.held, ready.item
        if held.taken is None:
            held.taken = Taken(item, self.key, self.owner.host)
        result = held.taken.add(item.delivery_id, clock.now().isoformat(), reply, len(ready.written.message))
        answer = (item.delivery_id, item.attempt, result)
        self.journal.answered_and_started(answer, following.delivery_id, following.attempt)
        self.accepted += 1

    def put_back(self, held: Held) -> None:
        """Leave a recipient as if never tried: without an outcome the next claim of its chunk finds it."""
        held.put_back += 1

    def is_stopped(self, item: Item) -> bool:
        """Tell whether the item's campaign may not be sent now."""
        return item.campaign_id in self.supply.stopped or item.campaign_id in self.supply.without.campaigns

    async def relay_trouble(self, decision: Decision) -> None:
        """End the slice and open the breaker: nobody's message is blamed for a relay in trouble."""
        self.relay_failed = True
        seconds = relays.FAULT_SECONDS if decision.relay is Relay.FAULT else relays.BREAKER_SECONDS
        await self.db(relays.report_failure, self.key, decision.rule, seconds=seconds)

    async def flush_if_through(self, held: Held) -> None:
        """Write the results of a claim of which nothing is left to do."""
        if held.is_through:
            await self._flush(held)

    async def _flush_all(self) -> None:
        for held in list(self.held):
            if held.has_news:
                await self._flush(held)
        await self.db(epoch.check)  # as young as the last answer: a copy from the middle of a slice is behind it
        if self.accepted and not self.relay_failed:  # what was taken earlier does not close the breaker again
            await self.db(relays.report_ok, self.key)

    async def _flush(self, held: Held, *, release: bool = False) -> None:
        async with self._flushing:
            through = held.is_through and not held.broken
            if held not in self.held or held.is_unsure or not (held.has_news or through or release):
                return
            results, held.results = held.results, []
            taken = held.taken.emptied() if held.taken else None
            put_off, held.later = held.later, []
            complete = held.claim.is_complete and not held.put_back
            finished = through and complete
            released = not held.broken and ((through and not complete) or release)
            try:
                later = await self.supply.places(put_off) if put_off else []
                options = {"taken": taken, "later": later, "finished": finished, "released": released}
                mine = await self.db(flush, held.claim, results, **options)
            except BaseException:
                held.broken = held.is_unsure = True  # it may have committed: the journal is compared with it
                raise
            if finished or released or not mine:
                self.held.remove(held)

    async def _give_back(self) -> None:
        """At the end of the slice nothing is on the wire: write everything and release the rest."""
        for held in list(self.held):
            held.put_back += len(held.waiting)
            held.waiting.clear()
            await self._flush(held, release=True)
        await self._flush_all()
        await self.pace.close()
        await self.supply.providers.close()
