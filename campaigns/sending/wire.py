"""The socket below an SMTP conversation: bytes to replies, one timer, and whether what we wrote has left us."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, cast

from campaigns.sending.replies import MalformedReplyError, Reply, ReplyParser

_REPLIES_WAITING_MAX: Final = 50
_TICK: Final = 0.002  # seconds by which a loop's clock may lag behind its timers


class Wire(asyncio.Protocol):
    """One connection's protocol; `failure` says why it is dead."""

    def __init__(self) -> None:
        self.parser = ReplyParser()
        self.replies: deque[Reply] = deque()
        self.failure: str = ""
        self.transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None  # one for all waits: set anew only when it comes too late
        self._drained = asyncio.Event()
        self._drained.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; every write is handed to the kernel at once."""
        self.transport = cast(asyncio.Transport, transport)
        # "Drained" shall mean: handed on, not kept. TLS transports compare with >=, so 0 would pause them for good.
        is_tls = self.transport.get_extra_info("ssl_object") is not None
        self.transport.set_write_buffer_limits(high=1 if is_tls else 0, low=0)

    def data_received(self, data: bytes) -> None:
        """Read replies."""
        try:
            self.replies.extend(self.parser.feed(data))
        except MalformedReplyError as error:
            self.fail(f"malformed reply, {error}")
        if len(self.replies) > _REPLIES_WAITING_MAX:
            self.fail("unasked replies")
        self._wake()

    def fail(self, reason: str) -> None:
        """Hang up; whoever waits hears of it."""
        self.failure = self.failure or reason
        self._wake()
        self._drained.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear that the other side or the network ended it."""
        self.transport = None  # nothing is left to abort
        self.fail(f"connection lost{f' ({exc})' if exc else ''}")

    def pause_writing(self) -> None:
        """Hear that the kernel takes no more for now."""
        self._drained.clear()

    def resume_writing(self) -> None:
        """Hear that the kernel has taken everything."""
        self._drained.set()

    async def reply(self, seconds: float) -> Reply:
        """Return the next reply; raises ConnectionError, or TimeoutError after `seconds`."""
        deadline = self._loop.time() + seconds
        while not self.replies:
            if self.failure:
                raise ConnectionError(self.failure)
            if self._loop.time() + _TICK >= deadline:
                raise TimeoutError
            self._waiter = self._loop.create_future()
            self._set_timer(deadline)
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.replies.popleft()

    def _set_timer(self, deadline: float) -> None:
        self._deadline = deadline
        if self._timer is not None and self._timer.when() > deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() + _TICK >= self._deadline:
            self._wake()
        else:
            self._timer = self._loop.call_at(self._deadline, self._tick)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def kept(self) -> int:
        """Return how many octets the kernel has not taken yet."""
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    async def drain(self) -> None:
        """Wait until the kernel has taken everything; raises ConnectionError."""
        await self._drained.wait()
        if self.failure:
            raise ConnectionError(self.failure)
