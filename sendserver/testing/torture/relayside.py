"""The scripted relay with what torture does to it besides: gone and back on the same port, every line kept."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from sendserver.testing.relay import Act, Hangup, Phase, ScriptedRelay, Session
from sendserver.testing.torture.oracle import Seen

EXTENSIONS = ("SIZE 10485760", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES")


class TortureRelay(ScriptedRelay):
    """A relay that can be killed and started again; its log lives on, as the disk of a real one does."""

    def __init__(self, name: str, *, pipelining: bool, **options: Any) -> None:
        """`pipelining`: whether it announces RFC 2920."""
        super().__init__(name, extensions=(*EXTENSIONS, *(["PIPELINING"] if pipelining else [])), **options)

    def down(self) -> None:
        """Die: refuse connections, break every conversation; a message whose dot had come is gone unanswered."""
        self._inside(self._die())

    def up(self) -> None:
        """Listen again on the same port."""
        self._inside(self._listen())

    def seen(self) -> list[Seen]:
        """Return the log as the oracle takes it."""
        return [
            Seen(line.at, f"{self.name}/{line.session}", line.phase, line.recipient, line.reply)
            for line in list(self.log)
        ]

    def _inside(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _die(self) -> None:
        if self._server:
            self._server.close()
        for session in self.sessions:
            if session.recipient and session.raw and not session.writer.transport.is_closing():
                self._note(session, Phase.DOT, "killed")
            session.writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def killing(pid: Callable[[], int], landed: threading.Event, *, after: float = 0.0, part: int = 0) -> Act:
    """Kill the process behind this conversation: now, in `after` seconds, or behind `part` bytes of body."""

    def kill() -> None:
        landed.set()
        os.kill(pid(), signal.SIGKILL)

    async def act(session: Session) -> None:
        if landed.is_set():
            return
        if part:
            await session.reader.read(part)
        if after:
            asyncio.get_running_loop().call_later(after, kill)
        else:
            kill()

    return act


def dripping(octets: bytes, gap: float) -> Act:
    """Answer one byte at a time, `gap` seconds apart, and never to the end of the line."""

    async def act(session: Session) -> str:
        for octet in octets:
            session.writer.write(bytes([octet]))
            await session.writer.drain()
            await asyncio.sleep(gap)
        raise Hangup

    return act
