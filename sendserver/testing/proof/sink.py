"""A server that takes mail slowly or fast and keeps a log of its own: `python -m sendserver.testing.proof.sink ORDER`.

ORDER is JSON: `port`, `log` (one line a message: when its last byte came, when it was answered, both on the monotonic
clock of this machine; session, sender, recipient), `delay` (seconds between which each answer is waited for), `groups`
(whether PIPELINING is offered), and perhaps `keep`: a folder into which whole messages go, `each` to a file. It checks
nothing and knows nothing of the portal.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import uvloop

_END: Final = b"\r\n.\r\n"
_HELLO: Final = b"250-sink.example\r\n%s250-8BITMIME\r\n250-DSN\r\n250 SIZE 10485760\r\n"
_REPLIES: Final = {
    b"MAIL": b"250 2.1.0 Ok\r\n",
    b"RCPT": b"250 2.1.5 Ok\r\n",
    b"RSET": b"250 2.0.0 Ok\r\n",
    b"NOOP": b"250 2.0.0 Ok\r\n",
    b"DATA": b"354 End data with <CR><LF>.<CR><LF>\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
}
_UNKNOWN: Final = b"502 5.5.2 Error: command not recognized\r\n"
_LIMIT: Final = 2**24


class Kept:
    """Messages in files of `each`; a file that is complete ends in .done and is nobody's but the reader's."""

    def __init__(self, folder: Path, each: int) -> None:
        self.folder, self.each = folder, each
        self.files = self.held = 0
        self.open = (folder / "open").open("wb")

    def add(self, sender: bytes, recipient: bytes, raw: bytes) -> None:
        """Write a message: a line with lengths, then envelope and bytes."""
        self.open.write(b"%d %d %d\n" % (len(sender), len(recipient), len(raw)) + sender + recipient + raw)
        self.held += 1
        if self.held >= self.each:
            self.complete()

    def complete(self) -> None:
        """Hand the open file over and begin another one."""
        self.open.close()
        if self.held:
            (self.folder / "open").rename(self.folder / f"{self.files:06d}.done")
        self.files, self.held = self.files + 1, 0
        self.open = (self.folder / "open").open("wb")


class Sink:
    """All conversations of one server."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.least, self.most = order.get("delay", (0.0, 0.0))
        self.hello = _HELLO % (b"250-PIPELINING\r\n" if order.get("groups", True) else b"")
        self.kept = Kept(Path(order["keep"]), order.get("each", 500)) if order.get("keep") else None
        self.sessions = 0
        self.queued = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        self.sessions += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._serve(self.sessions, reader, writer)
        writer.close()

    async def _serve(self, session: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, b"220 sink.example ESMTP\r\n")
        sender = recipient = b""
        while True:
            line = await reader.readuntil(b"\r\n")
            verb = line[:4].upper()
            if verb == b"MAIL":
                sender = _path(line)
            elif verb == b"RCPT":
                recipient = _path(line)
            reply = self.hello if verb in (b"EHLO", b"HELO") else _REPLIES.get(verb, _UNKNOWN)
            await self._say(writer, reply)
            if verb == b"QUIT":
                return
            if verb == b"DATA":
                raw = (await reader.readuntil(_END))[:-3].replace(b"\r\n..", b"\r\n.")
                await self._take(writer, session, (sender, recipient, raw))

    async def _take(self, writer: asyncio.StreamWriter, session: int, message: tuple[bytes, bytes, bytes]) -> None:
        """Log and keep a message whose dot has come, then answer."""
        came = time.monotonic()
        await self._wait()
        self.queued += 1
        sender, recipient, raw = message
        line = b"%.6f %.6f %d %s %s\n" % (came, time.monotonic(), session, sender, recipient)
        os.write(self.log, line)  # in front of the answer: whoever hears it finds it here
        if self.kept:
            self.kept.add(sender, recipient, raw)
        writer.write(b"250 2.0.0 Ok: queued as %08X\r\n" % self.queued)
        await writer.drain()

    async def _say(self, writer: asyncio.StreamWriter, reply: bytes) -> None:
        await self._wait()
        writer.write(reply)
        await writer.drain()

    async def _wait(self) -> None:
        if self.most:
            await asyncio.sleep(random.uniform(self.least, self.most))


def _path(line: bytes) -> bytes:
    return line.partition(b"<")[2].partition(b">")[0]


async def serve(order: dict[str, Any]) -> None:
    """Serve for ever; USR1 hands the open file of kept messages over."""
    sink = Sink(order)
    if sink.kept:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, sink.kept.complete)
    server = await asyncio.start_server(sink.converse, "127.0.0.1", order["port"], limit=_LIMIT, backlog=100)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(json.loads(sys.argv[1])))
