"""SMTP replies (RFC 5321 section 4.2): a parser with limits, and the reply as a value. Pure; knows no socket."""

from __future__ import annotations

import re
from collections.abc import MutableSequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

LINE_MAX: Final = 2000  # octets; RFC 5321 section 4.5.3.1.5 allows 512, real servers write more
LINES_MAX: Final = 100
KNOWN_MAX: Final = 64
TEXT_KEPT: Final = 300  # characters that are stored
_LINE: Final = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)
_ENHANCED: Final = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_QUEUED: Final = re.compile(
    r"queued (?:mail for delivery )?(?:as|id)\s*[:=]?\s*<?([A-Za-z0-9._-]{4,40})>?", re.IGNORECASE
)


class MalformedReplyError(Exception):
    """The server did not answer in the language of RFC 5321."""


@dataclass(frozen=True)
class Reply:
    """One reply: its code and its lines, as text made safe to show. (The same one stands for all that are alike.)"""

    code: int
    lines: tuple[str, ...]

    @cached_property
    def text(self) -> str:
        """Return the words on one line, controls replaced, at most TEXT_KEPT characters."""
        joined = " ".join(self.lines)
        if not joined.isprintable():
            joined = "".join(char if char.isprintable() else "?" for char in joined)
        return joined[:TEXT_KEPT]

    @cached_property
    def enhanced(self) -> str:
        """Return the RFC 3463 code that leads the words, when its class is the reply's (RFC 2034 section 4)."""
        match = _ENHANCED.match(self.lines[0]) if self.lines else None
        return match[1] if match and match[1][0] == str(self.code)[0] else ""

    @cached_property
    def queue_id(self) -> str:
        """Return the relay's queue id, empty when it names none."""
        match = _QUEUED.search(self.text)
        return match[1] if match else ""

    @property
    def is_positive(self) -> bool:
        """Tell a 2xx."""
        return 200 <= self.code < 300

    @property
    def is_temporary(self) -> bool:
        """Tell a 4xx."""
        return 400 <= self.code < 500


class ReplyParser:
    """Cut a byte stream into replies; raises MalformedReplyError instead of guessing."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[str] = []
        self._code = 0
        self._known: dict[bytes, Reply] = {}  # a relay says the same three things all day

    @property
    def is_idle(self) -> bool:
        """Tell whether no part of a reply is waiting."""
        return not self._buffer and not self._lines

    def feed(self, data: bytes, found: MutableSequence[Reply]) -> None:
        """Take bytes and append the replies that they complete to `found`, also those in front of what is malformed."""
        lines = (self._buffer + data if self._buffer else data).split(b"\n")
        self._buffer = lines.pop()
        for line in lines:
            reply = None if self._lines else self._known.get(line)
            if reply is None:
                reply = self._line(line.rstrip(b"\r"))
                if reply is not None and len(reply.lines) == 1:
                    self._remember(line, reply)
            if reply is not None:
                found.append(reply)
        if len(self._buffer) > LINE_MAX:
            raise MalformedReplyError("a line without an end")

    def _remember(self, line: bytes, reply: Reply) -> None:
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[line] = reply

    def _line(self, line: bytes) -> Reply | None:
        match = _LINE.fullmatch(line)
        if match is None or len(line) > LINE_MAX or b"\0" in line:
            raise MalformedReplyError(f"not a reply: {line[:60]!r}")
        code = int(match[1])
        if self._lines and code != self._code:
            raise MalformedReplyError("the code changed within one reply")
        if len(self._lines) >= LINES_MAX:
            raise MalformedReplyError("too many lines")
        self._code = code
        self._lines.append((match[3] or b"").decode("utf-8", "replace"))
        if match[2] == b"-":
            return None
        lines, self._lines = tuple(self._lines), []
        return Reply(code, lines)
