"""Postfix's log as values: one line in, one entry out, and the life of a message in the relay's queue. Pure.

A message is `taken` once the queue manager has it ("queue active"): cleanup names the Message-ID while the headers
arrive, also of mail that is broken off (postfix.org, OVERVIEW and qmgr(8)). Queue ids come again, short ones often.
Only what stands at its place counts: a Message-ID with more words in it, or a line inside a line, is nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Final

TEXT_KEPT: Final = 300
_LINE: Final = re.compile(
    r"(?:<\d{1,3}>)?"
    r"(?P<time>\d{4}-\d\d-\d\dT[\d:.,]+(?:Z|[+-]\d\d:?\d\d)|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?)"
    r" [\w.:-]+ (?P<tag>[\w.-]*postfix[\w.-]*(?:/[\w.-]+){1,3})\[\d+\]: (?P<text>.*)"
)
_QUEUED: Final = re.compile(r"(?P<id>[0-9A-Za-z]{5,20}): (?P<text>.*)")
_MESSAGE_ID: Final = re.compile(r"message-id=<(?P<id>[^<>\s]{1,250})>")
_ACTIVE: Final = re.compile(r"from=<(?P<sender>[^<>]*)>, size=\d+, nrcpt=\d+ \(queue active\)")
_STATUS: Final = re.compile(
    r"to=<[^<>]*>, (?:orig_to=<[^<>]*>, )?(?P<text>relay=[^,()]*, (?:[a-z_]+=[^,()]*, )*"
    r"status=(?P<status>sent|deferred|bounced|expired)\b.*)"
)
_EXPIRED: Final = re.compile(r"from=<[^<>]*>, (?P<text>status=expired\b.*)")
_LOST_LINES: Final = re.compile(
    r"begin to drop messages due to rate-limiting|imuxsock lost \d+|\d+ messages lost due to rate-limiting"
    r"|[Ss]uppressed \d+ messages"
)
_ADDRESS: Final = re.compile(r"<[^<>\s]*>|[^\s<>(),;=]+@[^\s<>(),;]+")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Entry:
    """One line: what happened (`began`, `named`, `active`, `status`, `removed`, `started`, `stopped`, `lost`, "")."""

    at: datetime
    kind: str = ""
    queue_id: str = ""
    text: str = ""
    status: str = ""
    sender: str = ""  # the envelope's


@dataclass
class Trace:
    """One message of ours in the queue."""

    queue_id: str
    delivery_id: int
    seen_at: datetime
    taken_at: datetime | None = None
    line: str = ""
    status: str = ""
    status_at: datetime | None = None
    status_text: str = ""
    removed_at: datetime | None = None
    pk: int | None = None


def parse(line: str, *, now: datetime, zone: tzinfo) -> Entry | None:
    """Return what a line says; None for one that is no line of a log. `now` gives the year where the line has none."""
    match = _LINE.fullmatch(line)
    if match is None:
        return Entry(now, "lost", text=shown(line)) if _LOST_LINES.search(line) else None
    at = _time(match["time"], now, zone)
    if at is None:
        return None
    daemon = match["tag"].rpartition("/")[2]
    if daemon in ("master", "postfix-script"):
        return Entry(at, _of_master(match["text"]))
    queued = _QUEUED.fullmatch(match["text"])
    return _of_queue(at, daemon, queued["id"], queued["text"], line) if queued else Entry(at)


def _of_master(text: str) -> str:
    if text.startswith("daemon started"):
        return "started"
    return "stopped" if text.startswith("terminating on signal") else ""


def _of_queue(at: datetime, daemon: str, queue_id: str, text: str, line: str) -> Entry:
    if daemon in ("smtpd", "pickup") and text.startswith(("client=", "uid=")):
        return Entry(at, "began", queue_id)
    if daemon == "cleanup" and (named := _MESSAGE_ID.fullmatch(text)):
        return Entry(at, "named", queue_id, named["id"])
    if daemon == "qmgr" and (active := _ACTIVE.fullmatch(text)):
        return Entry(at, "active", queue_id, shown(line), sender=active["sender"])
    if daemon == "qmgr" and text == "removed":
        return Entry(at, "removed", queue_id)
    if daemon == "qmgr" and (expired := _EXPIRED.fullmatch(text)):
        return Entry(at, "status", queue_id, shown(expired["text"]), "expired")
    if daemon in ("smtp", "lmtp", "local", "virtual", "pipe", "error") and (told := _STATUS.fullmatch(text)):
        return Entry(at, "status", queue_id, shown(told["text"]), told["status"])
    return Entry(at)


def _time(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    try:
        if text[0].isdigit():
            at = datetime.fromisoformat(text.replace(",", "."))
            return at if at.tzinfo else at.replace(tzinfo=zone)
        return _without_year(text, now, zone)
    except ValueError:
        return None


def _without_year(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    """Return the newest such moment that is not ahead of us by more than a day."""
    month, day = _MONTHS.index(text[:3]) + 1, int(text[4:6])
    hour, minute, second = int(text[7:9]), int(text[10:12]), int(text[13:15])
    for year in range(now.year + 1, now.year - 5, -1):
        try:
            at = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        except ValueError:
            continue  # 29 February
        if at <= now + timedelta(days=1):
            return at
    return None


def shown(text: str) -> str:
    """Return a line fit to be kept and shown: no addresses, no controls, TEXT_KEPT characters."""
    masked = _ADDRESS.sub("<...>", text)
    return "".join(char if char.isprintable() else "?" for char in masked)[:TEXT_KEPT]


@dataclass
class Queue:
    """The relay's queue as its log tells it.

    `ours` gives the delivery behind a Message-ID, `returned` the one behind an envelope sender; None: not ours.
    """

    ours: Callable[[str], int | None]
    returned: Callable[[str], int | None] = lambda _: None
    open: dict[str, Trace] = field(default_factory=dict)  # by queue id
    changed: dict[int, Trace] = field(default_factory=dict)  # by identity
    started_at: datetime | None = None
    stopped_at: datetime | None = None

    def remember(self, traces: Iterable[Trace]) -> None:
        """Take over what earlier lines told."""
        for trace in traces:
            self.open[trace.queue_id] = trace

    def apply(self, entry: Entry) -> None:
        """Follow one line."""
        if entry.kind == "started":
            self.started_at = entry.at
        elif entry.kind == "stopped":
            self.stopped_at = entry.at
        elif entry.kind == "began":
            self._end(entry)
        elif entry.kind == "named":
            self._name(entry)
        elif entry.kind == "active":
            self._activate(entry)
        elif trace := self.open.get(entry.queue_id):
            self._follow(trace, entry)

    def _end(self, entry: Entry) -> None:
        """Close the life of a queue id."""
        trace = self.open.pop(entry.queue_id, None)
        if trace is not None:
            trace.removed_at = entry.at
            self._note(trace)

    def _name(self, entry: Entry) -> None:
        delivery_id = self.ours(entry.text)
        trace = self.open.get(entry.queue_id)
        if trace is not None and (trace.delivery_id != delivery_id or trace.taken_at is not None):
            self._end(entry)  # the same id again, of whose end we have not heard
            trace = None
        if trace is None and delivery_id is not None:
            trace = self.open[entry.queue_id] = Trace(entry.queue_id, delivery_id, entry.at)
            self._note(trace)

    def _activate(self, entry: Entry) -> None:
        """Take the queue manager's word; its envelope names our message too, should cleanup's line be lost."""
        sender, trace = self.returned(entry.sender), self.open.get(entry.queue_id)
        if trace is not None and sender is not None and trace.delivery_id != sender:
            self._end(entry)
            trace = None
        if trace is None and sender is not None:
            trace = self.open[entry.queue_id] = Trace(entry.queue_id, sender, entry.at)
        if trace is not None and trace.taken_at is None:
            trace.taken_at, trace.line = entry.at, entry.text
            self._note(trace)

    def _follow(self, trace: Trace, entry: Entry) -> None:
        if entry.kind == "removed":
            self._end(entry)
        elif entry.kind == "status" and trace.taken_at is not None:
            trace.status, trace.status_at, trace.status_text = entry.status, entry.at, entry.text
            self._note(trace)

    def _note(self, trace: Trace) -> None:
        self.changed[id(trace)] = trace
