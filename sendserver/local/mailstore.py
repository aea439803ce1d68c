"""What the two local relays took: one .eml a message and one line a recipient in an append-only log.

The relay writes, the outbox and the people behind the addresses read. Nothing is synced to disk: this is a stand-in
for a mail server, not one. Knows no Django.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

KEYS = ("relay-1", "relay-2")
KEPT_LINES = 100_000  # of one relay's log, in memory of a reader
_ID_LENGTH = 14
Line = TypeVar("Line")


@dataclass(frozen=True)
class LogLine:
    """One recipient at one relay: taken (with a queue id) or refused."""

    at: str  # ISO 8601, UTC, microseconds
    relay: str
    id: str  # queue id; "" when refused
    mail_from: str
    rcpt_to: str
    message_id: str
    sender: str  # the From header as it stands
    subject: str  # as it stands, may be encoded words
    size: int  # octets on the wire
    reply: str

    @property
    def taken(self) -> bool:
        """Tell whether the relay kept the message."""
        return bool(self.id)

    @property
    def moment(self) -> datetime:
        """Return when it was answered."""
        return datetime.fromisoformat(self.at)


def home(var: Path, key: str) -> Path:
    """Return the folder of one relay."""
    return var / "relays" / key


def is_queue_id(text: str) -> bool:
    """Tell whether `text` has the shape of our queue ids, so that it may become part of a path."""
    return len(text) == _ID_LENGTH and text[0] in "12" and all(letter in "0123456789abcdef" for letter in text)


def path_of(var: Path, queue_id: str) -> Path:
    """Return where a message lies; a folder holds those of about 17 seconds."""
    return home(var, f"relay-{queue_id[0]}") / "mail" / queue_id[:8] / f"{queue_id}.eml"


class Store:
    """The writing side of one relay. One process writes."""

    def __init__(self, var: Path, key: str) -> None:
        self.var = var
        self.key = key
        self.log_path = home(var, key) / "log.jsonl"
        self.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._last = 0

    def next_id(self) -> str:
        """Return a new queue id: relay number, then microseconds since 1970 in hex, always rising."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return f"{self.key[-1]}{self._last:013x}"

    def keep(self, queue_id: str, message: bytes) -> None:
        """Write the message as its receiver gets it."""
        path = path_of(self.var, queue_id)
        try:
            path.write_bytes(message)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(message)

    def log(self, line: LogLine) -> None:
        """Append one line, with one write, so that readers never see half of it followed by another."""
        os.write(self._log, json.dumps(asdict(line), ensure_ascii=True).encode() + b"\n")

    def close(self) -> None:
        """Close the log."""
        os.close(self._log)


class Tail(Generic[Line]):
    """Reads an append-only file of JSON lines, each time only what is new."""

    def __init__(self, path: Path, kind: type[Line], *, limit: int | None = None) -> None:
        self.path = path
        self.kind = kind
        self.offset = 0
        self.lines: deque[Line] = deque(maxlen=limit)

    def fresh(self) -> list[Line]:
        """Return the lines written since the last call and keep them; a line not yet whole is left for the next."""
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self.offset:
                    self.forget()
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        found = [self.kind(**json.loads(line)) for line in whole.splitlines()]
        self.lines.extend(found)
        return found

    def forget(self) -> None:
        """Begin anew: the file was thrown away by a reset."""
        self.offset = 0
        self.lines.clear()


class Reader(Tail[LogLine]):
    """The reading side of one relay's log."""

    def __init__(self, var: Path, key: str) -> None:
        super().__init__(home(var, key) / "log.jsonl", LogLine, limit=KEPT_LINES)
        self.taken_count = 0

    def fresh(self) -> list[LogLine]:
        """Return the new lines, and count what was taken."""
        found = super().fresh()
        self.taken_count += sum(line.taken for line in found)
        return found

    def forget(self) -> None:
        """Begin anew."""
        super().forget()
        self.taken_count = 0


@dataclass(frozen=True)
class Reaction:
    """What one of the people did after reading a mail."""

    at: str  # ISO 8601, UTC
    id: str  # queue id of the mail
    rcpt_to: str
    act: str
    words: str  # what was done and what was answered

    @property
    def moment(self) -> datetime:
        """Return when."""
        return datetime.fromisoformat(self.at)


def reactions_file(var: Path) -> Path:
    """Return where the people's reactions are noted."""
    return var / "relays" / "reactions.jsonl"


def note_reaction(var: Path, reaction: Reaction) -> None:
    """Append one reaction."""
    with reactions_file(var).open("ab") as file:
        file.write(json.dumps(asdict(reaction)).encode() + b"\n")


def emptied_at(var: Path) -> datetime:
    """Return up to when the outbox was emptied; a moment long ago when never."""
    try:
        return datetime.fromisoformat((var / "relays" / "emptied").read_text(encoding="ascii").strip())
    except (FileNotFoundError, ValueError):
        return datetime(1970, 1, 1, tzinfo=UTC)


def empty(var: Path, now: datetime) -> None:
    """Throw the kept messages away. The logs stay: they say what was taken, and counts are compared with them."""
    for key in KEYS:
        shutil.rmtree(home(var, key) / "mail", ignore_errors=True)
    (var / "relays").mkdir(mode=0o700, parents=True, exist_ok=True)
    (var / "relays" / "emptied").write_text(now.isoformat(), encoding="ascii")
