"""The scripted relay with what torture does to it besides: gone and back on the same port, every line kept."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from sendserver.testing.maillog import MailLog
from sendserver.testing.relay import Act, Hangup, Phase, ScriptedRelay, Session
from sendserver.testing.torture.oracle import QUEUED, Seen

EXTENSIONS = ("SIZE 10485760", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES")


class TortureRelay(ScriptedRelay):
    """A relay that can be killed and started again; its log lives on, as the disk of a real one does."""

    def __init__(self, name: str, *, pipelining: bool, **options: Any) -> None:
        """`pipelining`: whether it announces RFC 2920."""
        super().__init__(name, extensions=(*EXTENSIONS, *(["PIPELINING"] if pipelining else [])), **options)
        self.maillog: MailLog | None = None
        self._fates = itertools.cycle((True, False))
        self._unsaid: list[Callable[[], None]] = []

    def keep_log(self, path: Path, *, first_is_queued: bool) -> str:
        """Write a log as Postfix does, and return the relay's URL with it.

        Of the messages whose answer a death cuts off every other one is in the queue, as with a real one.
        """
        self.maillog = MailLog(path)
        self._fates = itertools.cycle((first_is_queued, not first_is_queued))
        return f"{self.url}&log={path}"

    def down(self) -> None:
        """Die: refuse connections, break every conversation; a message whose dot had come is gone unanswered."""
        self._inside(self._die())

    def up(self) -> None:
        """Listen again on the same port."""
        if self.maillog:
            self.maillog.write("master", "daemon started -- version 3.7.11, configuration /etc/postfix")
        while self._unsaid:
            self._unsaid.pop(0)()
        self._inside(self._listen())

    @property
    def is_still(self) -> bool:
        """Tell whether every conversation is over, those too that hung behind their other side's back."""
        return not self._tasks

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
                self._note(session, Phase.DOT, QUEUED if self.maillog and next(self._fates) else "killed")
            session.writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note(self, session: Session, phase: str, answer: str) -> None:
        super()._note(session, phase, answer)
        if phase == Phase.DOT and self.maillog:
            self._tell(self.maillog, session, self.log[-1].message_id, answer)

    def _tell(self, log: MailLog, session: Session, message_id: str, answer: str) -> None:
        """Write what Postfix would: headers of everything, the queue manager's line only of what is queued."""
        found = re.search(r"queued as (\w+)", answer)
        queue_id = found[1] if found else f"F{len(self.log):09X}"
        log.headers(queue_id, message_id)
        if answer == QUEUED:  # it lies in `incoming`, and the queue manager finds it at the next start
            sender, recipient = session.sender, session.recipient
            self._unsaid += [lambda: log.active(queue_id, sender), lambda: log.sent(queue_id, recipient)]
        elif answer.startswith("2"):
            log.active(queue_id, session.sender)
            log.sent(queue_id, session.recipient)


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
