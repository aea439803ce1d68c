"""The fastest client we can write: one constant message, rendered never, recorded nowhere; the true ceiling.

One round trip a message: the body and the next envelope leave in one write, which RFC 2920 section 3.1 permits. Every
status is checked; anything unexpected ends the run. Run as a helper of campaigns.bench.processes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import uvloop

from campaigns.bench.processes import serve_order

_FIRST: Final = [b"250", b"250", b"354"]
_NEXT: Final = [b"250", b"250", b"250", b"354"]
_LAST: Final = [b"250"]


class UnexpectedReplyError(Exception):
    """The server did not say what a blaster needs to hear."""


@dataclass(frozen=True)
class Shot:
    """What is sent: `recipient` holds %d for the number; `body` is the final bytes, dot-stuffed, dot included."""

    sender: bytes
    recipient: bytes
    body: bytes

    def envelope(self, number: int) -> bytes:
        """Return MAIL, RCPT and DATA of one message."""
        return b"MAIL FROM:<%b>\r\nRCPT TO:<%b>\r\nDATA\r\n" % (self.sender, self.recipient % number)


def body_of(message: bytes) -> bytes:
    """Return a message as it goes over the wire, with its final dot."""
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    return (b"." if message.startswith(b".") else b"") + stuffed + b".\r\n"


class Conversation(asyncio.Protocol):
    """One connection, which sends messages `first` to `first + count - 1`."""

    def __init__(self, shot: Shot, first: int, count: int, done: asyncio.Future[int]) -> None:
        self.shot, self.number, self.last, self.done = shot, first, first + count - 1, done
        self.count = count
        self.buffer = b""
        self.step = self._greeted
        self.expected: list[bytes] = []
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the greeting."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Go on once everything that was asked is answered."""
        self.buffer = self.buffer + data if self.buffer else data
        try:
            self.step()
        except UnexpectedReplyError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends early fails the run."""
        self._fail(ConnectionError("connection lost"))

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
        if self.transport:
            self.transport.abort()

    def _greeted(self) -> None:
        if self.buffer.endswith(b"\r\n"):
            self._expect(b"220")
            self.step = self._introduced
            self._write(b"EHLO bench.example\r\n")

    def _introduced(self) -> None:
        lines = self.buffer.split(b"\r\n")
        if lines[-1] or not lines[-2].startswith(b"250 "):
            return
        if not any(line[4:].upper() == b"PIPELINING" for line in lines):
            raise UnexpectedReplyError("no PIPELINING")
        self.buffer = b""
        self.step = self._answered
        self.expected = _FIRST
        self._write(self.shot.envelope(self.number))

    def _answered(self) -> None:
        lines = self.buffer.split(b"\r\n")
        if len(lines) <= len(self.expected):
            return
        if [line[:3] for line in lines[:-1]] != self.expected or lines[-1]:
            raise UnexpectedReplyError(self.buffer[:200].decode("ascii", "replace"))
        self.buffer = b""
        if self.expected is _LAST:
            self._finish()
        elif self.number == self.last:
            self.expected = _LAST
            self._write(self.shot.body)
        else:
            self.number += 1
            self.expected = _NEXT
            self._write(self.shot.body + self.shot.envelope(self.number))

    def _expect(self, code: bytes) -> None:
        if not self.buffer.startswith(code):
            raise UnexpectedReplyError(self.buffer[:200].decode("ascii", "replace"))
        self.buffer = b""

    def _finish(self) -> None:
        self.done.set_result(self.count)
        if self.transport:
            self.transport.write(b"QUIT\r\n")
            self.transport.close()

    def _write(self, data: bytes) -> None:
        if self.transport:
            self.transport.write(data)


async def blast(shot: Shot, ports: list[int], *, sessions: int, messages: int, first: int = 1) -> int:
    """Send `messages` over `sessions` connections dealt to `ports` in turn; return how many were accepted."""
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Future[int]] = []
    for session in range(sessions):
        count = messages // sessions + (session < messages % sessions)
        if not count:
            continue
        done: asyncio.Future[int] = loop.create_future()
        waiting.append(done)
        factory = partial(Conversation, shot, first, count, done)
        await loop.create_connection(factory, "127.0.0.1", ports[session % len(ports)])
        first += count
    return sum(await asyncio.gather(*waiting))


def work(order: dict[str, Any]) -> dict[str, Any]:
    """Blast as ordered."""
    shot = Shot(order["sender"].encode(), order["recipient"].encode(), body_of(Path(order["message"]).read_bytes()))
    sent = uvloop.run(
        blast(shot, order["ports"], sessions=order["sessions"], messages=order["messages"], first=order["first"])
    )
    return {"sent": sent}


if __name__ == "__main__":
    serve_order(work)
