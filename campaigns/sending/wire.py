"""The socket below an SMTP conversation: bytes to replies, one timer, and whether what we wrote has left us."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
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
        self._step: Callable[[], bool] | None = None
        self._surprise: BaseException | None = None
        self._is_paused = False
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
            self.parser.feed(data, self.replies)
        except MalformedReplyError as error:
            self.fail(f"malformed reply, {error}")
        if len(self.replies) > _REPLIES_WAITING_MAX:
            self.fail("unasked replies")
        if self._step is None or not self._stepped(self._step):
            self._wake()

    def _stepped(self, step: Callable[[], bool]) -> bool:
        """Take a step; the first that is not taken is the last one."""
        try:
            if not self.failure and step():
                return True
        except BaseException as surprise:  # noqa: BLE001 (whoever waits raises it)
            self._surprise = surprise
        self._step = None
        return False

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
        self._is_paused = True
        self._drained.clear()

    def resume_writing(self) -> None:
        """Hear that the kernel has taken everything."""
        self._is_paused = False
        self._drained.set()

    async def reply(self, seconds: float, step: Callable[[], bool] | None = None) -> Reply:
        """Return the next reply; raises ConnectionError, or TimeoutError after `seconds`.

        A `step` is asked first about what comes in, and may go on by itself: while it says True the waiting goes on,
        and what it raises is raised here. Behind its first False it is not asked again.
        """
        self._deadline = self._loop.time() + seconds
        self._step = step
        try:
            while self._surprise is not None or not self.replies:
                if self._surprise is not None:
                    raise self._surprise
                if self.failure:
                    raise ConnectionError(self.failure)
                if self._loop.time() + _TICK >= self._deadline:
                    raise TimeoutError
                self._waiter = self._loop.create_future()
                self._set_timer()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
        finally:
            self._step = self._surprise = None
        return self.replies.popleft()

    def extend(self, seconds: float) -> None:
        """Let the waiting of `reply` end `seconds` from now."""
        self._deadline = self._loop.time() + seconds

    @property
    def is_writable(self) -> bool:
        """Tell whether the kernel has taken everything and the connection is open."""
        return not self._is_paused and self.transport is not None and not self.transport.is_closing()

    def _set_timer(self) -> None:
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._tick)

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
