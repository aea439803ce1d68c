"""What the outbox shows: the mail that the local relays took, newest first, and one of them opened."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import parseaddr
from functools import lru_cache
from heapq import merge
from pathlib import Path

from sendserver.local import mailstore
from sendserver.local.mailstore import LogLine, Reaction, Reader, Tail

PAGE = 8  # rows, as many as fit beside an opened message
SHOWN_SOURCE = 300_000  # octets
_FIELD = re.compile(r"[!-9;-~]+:")
REACTIONS = {
    "bounce": "Bounced",
    "full": "Bounced",
    "complain": "Complained",
    "click": "Clicked",
    "away": "Replied by itself",
    "leave": "Unsubscribed",
    "leave_by_mail": "Unsubscribed",
}


@dataclass(frozen=True)
class Row:
    """One message in the list."""

    line: LogLine
    sender: str
    subject: str
    answer: str  # "Answered 250", or what its reader did

    @property
    def colour(self) -> str:
        """Return the lane's colour class."""
        return f"f-c{self.line.relay[-1]}"


@dataclass(frozen=True)
class Listing:
    """A page of the list."""

    rows: list[Row]
    total: int  # messages that match
    kept: int  # messages kept in all
    first: int
    page: int

    @property
    def last(self) -> int:
        """Return the number of the last row shown."""
        return self.first + len(self.rows) - 1

    @property
    def older(self) -> int | None:
        """Return the next page, None on the last."""
        return self.page + 1 if self.last < self.total else None

    @property
    def newer(self) -> int | None:
        """Return the page before, None on the first."""
        return self.page - 1 if self.page > 1 else None


@dataclass(frozen=True)
class Query:
    """What was asked of the list."""

    text: str = ""
    relay: str = ""
    page: int = 1

    def matches(self, line: LogLine) -> bool:
        """Tell whether a line is wanted; subjects are compared decoded."""
        if self.relay and line.relay != self.relay:
            return False
        wanted = self.text.lower()
        return not wanted or any(
            wanted in value.lower()
            for value in (line.rcpt_to, line.message_id, line.id, words(line.subject), words(line.sender))
        )


@dataclass
class Outbox:
    """The logs of both relays and of the people, read as they grow. Shared by the threads of one web process."""

    var: Path
    readers: list[Reader] = field(init=False)
    reactions: Tail[Reaction] = field(init=False)
    by_id: dict[str, list[Reaction]] = field(init=False, default_factory=dict)
    lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.readers = [Reader(self.var, key) for key in mailstore.KEYS]
        self.reactions = Tail(mailstore.reactions_file(self.var), Reaction, limit=mailstore.KEPT_LINES)

    def refresh(self) -> None:
        """Read what is new."""
        with self.lock:
            for reader in self.readers:
                reader.fresh()
            offset = self.reactions.offset
            fresh = self.reactions.fresh()
            if self.reactions.offset < offset:
                self.by_id.clear()
            for reaction in fresh:
                self.by_id.setdefault(reaction.id, []).append(reaction)

    def lines(self) -> Iterator[LogLine]:
        """Yield what both relays took since the outbox was emptied, newest first."""
        since = mailstore.emptied_at(self.var)
        newest = [list(reversed(reader.lines)) for reader in self.readers]
        for line in merge(*newest, key=lambda line: line.at, reverse=True):
            if line.moment <= since:
                return
            if line.taken:
                yield line

    def listing(self, query: Query) -> Listing:
        """Return one page of the list."""
        self.refresh()
        lines = list(self.lines())
        found = [line for line in lines if query.matches(line)] if query.text or query.relay else lines
        start = (query.page - 1) * PAGE
        rows = [self._row(line) for line in found[start : start + PAGE]]
        return Listing(rows, len(found), len(lines), start + 1, query.page)

    def _row(self, line: LogLine) -> Row:
        name, address = parseaddr(words(line.sender))
        return Row(line, name or address, words(line.subject), self._answer(line))

    def _answer(self, line: LogLine) -> str:
        reactions = self.by_id.get(line.id)
        if reactions:
            return f"{REACTIONS.get(reactions[-1].act, 'Answered')} {reactions[-1].moment:%H:%M}"
        return f"Answered {line.reply[:3]}"

    def find(self, queue_id: str) -> tuple[LogLine, int] | None:
        """Return the line of a message and which try it was; None when it is not kept (any more)."""
        if not mailstore.is_queue_id(queue_id):
            return None
        self.refresh()
        lines = self.readers[int(queue_id[0]) - 1].lines
        line = next((line for line in reversed(lines) if line.id == queue_id), None)
        if line is None:
            return None
        before = sum(
            (other.message_id, other.mail_from, other.rcpt_to) == (line.message_id, line.mail_from, line.rcpt_to)
            and other.at < line.at
            for other in lines
        )
        return line, before + 1

    def reactions_to(self, queue_id: str) -> list[Reaction]:
        """Return what the reader of a message did."""
        return self.by_id.get(queue_id, [])

    @property
    def taken_count(self) -> int:
        """Return how many messages both relays took, emptied or not."""
        return sum(reader.taken_count for reader in self.readers)


@lru_cache(maxsize=4)
def outbox_of(var: Path) -> Outbox:
    """Return this process's outbox of a folder."""
    return Outbox(var)


def words(header: str) -> str:
    """Return a header's text with encoded words read (RFC 2047); what cannot be read stays as it is."""
    try:
        return str(make_header(decode_header(header)))
    except (LookupError, ValueError, UnicodeError):
        return header


@dataclass(frozen=True)
class Opened:
    """One message, taken apart."""

    raw: bytes
    message: EmailMessage

    @property
    def html(self) -> str:
        """Return the HTML part, "" without one."""
        return _part(self.message, "html")

    @property
    def text(self) -> str:
        """Return the plain part, "" without one."""
        return _part(self.message, "plain")

    @property
    def longest_line(self) -> int:
        """Return the octets of the longest line."""
        return max(len(line) for line in self.raw.split(b"\r\n"))

    def header(self, name: str) -> str:
        """Return a header as people read it, "" without one."""
        return words(str(self.message.get(name, "") or ""))

    def source(self) -> tuple[list[tuple[str, str]], str]:
        """Return the header as (name with colon, rest) lines, a continuation without a name, and the body."""
        text = self.raw[:SHOWN_SOURCE].decode("utf-8", "replace").replace("\r\n", "\n")
        head, _, body = text.partition("\n\n")
        lines = []
        for line in head.split("\n"):
            match = _FIELD.match(line)
            lines.append((match[0], line[match.end() :]) if match else ("", line))
        return lines, body


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError, KeyError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def open_message(var: Path, queue_id: str) -> Opened | None:
    """Return a kept message, None when it was emptied."""
    try:
        raw = mailstore.path_of(var, queue_id).read_bytes()
    except FileNotFoundError:
        return None
    return Opened(raw, message_from_bytes(raw, _class=EmailMessage, policy=default))


def empty(var: Path, now: datetime) -> None:
    """Throw away what is kept so far."""
    mailstore.empty(var, now)
