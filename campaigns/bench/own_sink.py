"""A small SMTP server of our own, plain or TLS by the same code.

`python -m campaigns.bench.own_sink PORT COUNTER PEM KEEP`: it takes everything, checks nothing and counts into the
file COUNTER. With KEEP each message is written there as one JSON line with envelope and bytes. It is a measure for
other code of this folder, not for a relay.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import sys
from pathlib import Path
from typing import Final, cast

import uvloop

_END: Final = b"\r\n.\r\n"
_HELLO: Final = b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n250 SIZE 10485760\r\n"
_REPLIES: Final = {
    b"EHLO": _HELLO,
    b"HELO": b"250 sink.example\r\n",
    b"MAIL": b"250 2.1.0 Ok\r\n",
    b"RCPT": b"250 2.1.5 Ok\r\n",
    b"RSET": b"250 2.0.0 Ok\r\n",
    b"NOOP": b"250 2.0.0 Ok\r\n",
    b"DATA": b"354 End data with <CR><LF>.<CR><LF>\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
}
_TAKEN: Final = b"250 2.0.0 Ok: queued\r\n"
_UNKNOWN: Final = b"502 5.5.2 Error: command not recognized\r\n"


class Counter:
    """How many messages came, in a file; and the messages themselves where they are kept."""

    def __init__(self, path: Path, keep: Path | None) -> None:
        self.total = 0
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self.keep = keep.open("ab", buffering=0) if keep else None

    def add(self, messages: int) -> None:
        """Count messages."""
        self.total += messages
        os.pwrite(self.file, b"%012d" % self.total, 0)

    def note(self, sender: bytes, recipient: bytes, raw: bytes) -> None:
        """Keep one message."""
        if self.keep:
            record = {
                "sender": sender.decode("ascii", "replace"),
                "recipient": recipient.decode("ascii", "replace"),
                "raw": base64.b64encode(raw).decode(),
            }
            self.keep.write(json.dumps(record).encode() + b"\n")


class Conversation(asyncio.Protocol):
    """One connection."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.buffer = bytearray()
        self.in_message = False
        self.searched = 0
        self.sender = self.recipient = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer everything that is complete, in one write."""
        self.buffer += data
        out: list[bytes] = []
        taken = 0
        while True:
            reply = self._message() if self.in_message else self._command()
            if not reply:
                break
            taken += reply is _TAKEN
            out.append(reply)
        if taken:
            self.counter.add(taken)
        if out and self.transport:
            self.transport.write(b"".join(out))
            if out[-1].startswith(b"221"):
                self.transport.close()

    def _message(self) -> bytes:
        end = self.buffer.find(_END, self.searched)
        if end < 0:
            self.searched = max(0, len(self.buffer) - len(_END) + 1)
            return b""
        if self.counter.keep:
            self.counter.note(self.sender, self.recipient, bytes(self.buffer[: end + 2]).replace(b"\r\n..", b"\r\n."))
        del self.buffer[: end + len(_END)]
        self.in_message, self.searched = False, 0
        return _TAKEN

    def _command(self) -> bytes:
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return b""
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        verb = line[:4].upper()
        if verb == b"MAIL":
            self.sender = _path(line)
        elif verb == b"RCPT":
            self.recipient = _path(line)
        self.in_message = verb == b"DATA"
        return _REPLIES.get(verb, _UNKNOWN)


def _path(line: bytes) -> bytes:
    return line.partition(b"<")[2].partition(b">")[0]


async def serve(port: int, counter: Counter, pem: str) -> None:
    """Serve for ever."""
    context = None
    if pem:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(counter), "127.0.0.1", port, ssl=context, backlog=100)
    await server.serve_forever()


if __name__ == "__main__":
    _, number, counted, certificate, kept = sys.argv
    uvloop.run(serve(int(number), Counter(Path(counted), Path(kept) if kept else None), certificate))
