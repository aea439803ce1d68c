"""One conversation of a local relay: RFC 5321 with PIPELINING, 8BITMIME, SIZE, DSN and ENHANCEDSTATUSCODES.

Strict where leniency would hide a fault of the sender: a line ends with CR LF and nothing else, and only CR LF . CR LF
ends a message. A bare CR or LF, a NUL or a line over 998 octets refuses the message, so nothing can be smuggled behind
it and nothing that a real server would damage passes here. No TLS, no AUTH: it listens on loopback only.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, cast

MAX_SIZE = 26_214_400  # octets of one message, announced with SIZE
MAX_LINE = 2048  # octets of a command; 512 of RFC 5321 section 4.5.3.1.4 plus room for the parameters of DSN
MAX_TEXT_LINE = 998  # octets, RFC 5322 section 2.1.1
MAX_RECIPIENTS = 100  # RFC 5321 section 4.5.3.1.8
MAX_ERRORS = 20
IDLE_SECONDS = 300.0  # RFC 5321 section 4.5.3.2.7
_PATH = re.compile(r"(?i)(FROM|TO):\s?<([^<>\s]*)>(.*)", re.ASCII)
_END = b"\r\n.\r\n"


def is_damaged(data: bytes) -> bool:
    """Tell whether a bare CR, a bare LF or a NUL stands in `data`; counting is ten times faster than a pattern."""
    pairs = data.count(b"\r\n")
    return data.count(b"\r") != pairs or data.count(b"\n") != pairs or b"\0" in data


@dataclass
class Envelope:
    """One transaction as it was told."""

    helo: str
    peer: str
    mail_from: str
    recipients: list[str] = field(default_factory=list)


class Desk(Protocol):
    """What a conversation needs of its relay."""

    name: str

    def judge(self, envelope: Envelope, rcpt: str) -> str:
        """Return the refusal of a recipient, "" to take it."""

    def take(self, envelope: Envelope, message: bytes) -> str:
        """Keep a message and return the reply."""


class Conversation(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.buffer = bytearray()
        self.replies: list[bytes] = []
        self.helo = self.peer = ""
        self.envelope: Envelope | None = None
        self.collecting = self.closing = self.too_big = False
        self.searched = 0  # octets of the buffer in which the end of a message was not found
        self.errors = 0
        self.transport: asyncio.Transport
        self.timer: asyncio.TimerHandle | None = None
        self.last = 0.0

    # --- The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self.transport = cast(asyncio.Transport, transport)
        self.peer = str((transport.get_extra_info("peername") or ("127.0.0.1",))[0])
        self.loop = asyncio.get_running_loop()
        self.last = self.loop.time()
        self.timer = self.loop.call_later(IDLE_SECONDS, self._look_idle)
        self._say(f"220 {self.desk.name} ESMTP")
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was not finished: a message without its final dot was never taken."""
        if self.timer:
            self.timer.cancel()

    def _look_idle(self) -> None:
        rest = IDLE_SECONDS - (self.loop.time() - self.last)
        if rest > 0:
            self.timer = self.loop.call_later(rest, self._look_idle)
        else:
            self._say("421 4.4.2 Idle for too long")
            self.closing = True
            self._flush()

    def data_received(self, data: bytes) -> None:
        """Work through whatever has arrived; one write answers all of it."""
        self.last = self.loop.time()
        self.buffer += data
        while not self.closing and (self._message() if self.collecting else self._line()):
            pass
        self._flush()

    def _say(self, text: str) -> None:
        self.replies.append(text.encode("ascii", "replace") + b"\r\n")
        if text[0] == "5":
            self.errors += 1
            if self.errors == MAX_ERRORS:
                self.replies.append(b"421 4.7.0 Too many errors\r\n")
                self.closing = True

    def _flush(self) -> None:
        if self.replies:
            self.transport.write(b"".join(self.replies))
            self.replies.clear()
        if self.closing:
            self.transport.close()

    # --- Commands

    def _line(self) -> bool:
        """Answer one command; False when none is whole yet."""
        end = self.buffer.find(b"\r\n")
        if end < 0 and len(self.buffer) <= MAX_LINE and b"\n" not in self.buffer:
            return False
        line = bytes(self.buffer[: end if end >= 0 else len(self.buffer)])
        del self.buffer[: len(line) + 2]
        if len(line) > MAX_LINE or is_damaged(line) or end < 0:
            # What follows cannot be told apart any more, so the conversation ends.
            self._say("500 5.5.2 A line ends with CR LF and is not that long")
            self.closing = True
            return False
        self._command(line)
        return True

    def _command(self, line: bytes) -> None:
        if not line.isascii():
            self._say("500 5.5.2 Only ASCII here")
            return
        verb, _, rest = line.decode("ascii").partition(" ")
        action = self._ACTIONS.get(verb.upper())
        if action is None:
            self._say("500 5.5.2 Command not known")
        else:
            action(self, rest.strip())

    def _ehlo(self, rest: str) -> None:
        if not rest:
            self._say("501 5.5.4 Say who you are")
            return
        self.helo, self.envelope = rest, None
        names = (self.desk.name, "PIPELINING", f"SIZE {MAX_SIZE}", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES")
        for name in names[:-1]:
            self._say(f"250-{name}")
        self._say(f"250 {names[-1]}")

    def _hello(self, rest: str) -> None:
        self.helo, self.envelope = rest or "unknown", None
        self._say(f"250 {self.desk.name}")

    def _mail(self, rest: str) -> None:
        match = _PATH.fullmatch(rest)
        if not self.helo or self.envelope is not None:
            self._say("503 5.5.1 EHLO first, then one transaction at a time")
        elif match is None or match[1].upper() != "FROM":
            self._say("501 5.5.4 MAIL FROM:<address> is understood")
        elif refusal := _parameters(match[3], _MAIL_PARAMETERS):
            self._say(refusal)
        else:
            self.envelope = Envelope(self.helo, self.peer, match[2])
            self._say("250 2.1.0 Ok")

    def _rcpt(self, rest: str) -> None:
        match = _PATH.fullmatch(rest)
        if self.envelope is None:
            self._say("503 5.5.1 MAIL first")
        elif match is None or match[1].upper() != "TO" or "@" not in match[2]:
            self._say("501 5.5.4 RCPT TO:<address> is understood")
        elif len(self.envelope.recipients) >= MAX_RECIPIENTS:
            self._say("452 4.5.3 Too many recipients")
        elif refusal := _parameters(match[3], _RCPT_PARAMETERS) or self.desk.judge(self.envelope, match[2]):
            self._say(refusal)
        else:
            self.envelope.recipients.append(match[2])
            self._say("250 2.1.5 Ok")

    def _data(self, rest: str) -> None:
        if self.envelope is None or not self.envelope.recipients:
            self._say("503 5.5.1 RCPT first" if self.envelope is None else "554 5.5.1 No recipient was taken")
            return
        self._say("354 End with CR LF . CR LF")
        self.collecting, self.too_big, self.searched = True, False, 0
        # A message may be empty: then the dot follows the command's own line end.
        self.buffer[0:0] = b"\r\n"

    def _rset(self, rest: str) -> None:
        self.envelope = None
        self._say("250 2.0.0 Ok")

    def _noop(self, rest: str) -> None:
        self._say("250 2.0.0 Ok")

    def _vrfy(self, rest: str) -> None:
        self._say("252 2.0.0 Send it and see")

    def _quit(self, rest: str) -> None:
        self._say("221 2.0.0 Bye")
        self.closing = True

    _ACTIONS: dict[str, Callable[[Conversation, str], None]] = {
        "EHLO": _ehlo,
        "HELO": _hello,
        "MAIL": _mail,
        "RCPT": _rcpt,
        "DATA": _data,
        "RSET": _rset,
        "NOOP": _noop,
        "VRFY": _vrfy,
        "QUIT": _quit,
    }

    # --- The message

    def _message(self) -> bool:
        """Take the message once its end has arrived; False until then."""
        end = self.buffer.find(_END, max(0, self.searched - len(_END) + 1))
        if end < 0:
            if len(self.buffer) > MAX_SIZE + 1024:
                self.too_big = True
                del self.buffer[: -len(_END)]
            self.searched = len(self.buffer)
            return False
        text = bytes(self.buffer[: end + 2])  # with the line end before it, so that its first line is no exception
        del self.buffer[: end + len(_END)]
        envelope, self.envelope, self.collecting = self.envelope, None, False
        assert envelope is not None
        self._say(self._refusal(text) or self.desk.take(envelope, text.replace(b"\r\n..", b"\r\n.")[2:]))
        return True

    def _refusal(self, message: bytes) -> str:
        if self.too_big or len(message) > MAX_SIZE:
            return "552 5.3.4 The message is too big"
        if is_damaged(message):
            return "550 5.6.11 A bare CR, a bare LF or a NUL stands in the message"
        if max(map(len, message.split(b"\r\n"))) > MAX_TEXT_LINE:
            return f"550 5.6.0 A line is longer than {MAX_TEXT_LINE} octets"
        return ""


_MAIL_PARAMETERS: dict[str, str] = {
    "SIZE": r"\d{1,12}",
    "BODY": r"(?i)7BIT|8BITMIME",
    "RET": r"(?i)FULL|HDRS",
    "ENVID": r".{1,100}",
}
_RCPT_PARAMETERS: dict[str, str] = {"NOTIFY": r"[A-Za-z,]{1,40}", "ORCPT": r"[\w-]+;.{1,500}"}


def _parameters(text: str, known: dict[str, str]) -> str:
    """Return the refusal of what follows an address, "" when all of it is understood (RFC 3461, 6152, 1870)."""
    for word in text.split():
        name, _, value = word.partition("=")
        pattern = known.get(name.upper())
        if pattern is None:
            return "555 5.5.4 Parameter not known"
        if not re.fullmatch(pattern, value):
            return "501 5.5.4 Parameter not understood"
        if name.upper() == "SIZE" and int(value) > MAX_SIZE:
            return "552 5.3.4 The message is too big"
    return ""
