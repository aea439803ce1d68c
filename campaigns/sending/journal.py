"""The lane's journal: what was started and what was answered, one plain append each, no fsync (architecture rule 4).

A kill of the process loses nothing that was written; a crash of the host may, which is why a journal of another boot
is not believed. One file an owner (relay, pid, start of the process); it goes when the lane ends in order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from campaigns.sending.owners import Owner

_SUFFIX: Final = ".journal"
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True)
class Entry:
    """One delivery found in a journal: started, and answered if `result` is there."""

    delivery_id: int
    attempt: int
    result: list[Any] | None


def path_of(relay_key: str, owner: Owner) -> Path:
    """Return where the journal of an owner stands."""
    return Path(settings.JOURNAL_DIR) / f"{relay_key}-{owner.pid}-{owner.started}{_SUFFIX}"


class Journal:
    """An open journal; every method is one write() to an O_APPEND file."""

    def __init__(self, relay_key: str, owner: Owner) -> None:
        self.path = path_of(relay_key, owner)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._torn = False
        self._write(_encode({"owner": owner.as_text(), "relay": relay_key}).encode() + b"\n")

    def started(self, delivery_id: int, attempt: int) -> None:
        """Write that the final dot of this attempt follows now."""
        self._write(b'{"s":%d,"n":%d}\n' % (delivery_id, attempt))

    def answered(self, delivery_id: int, attempt: int, result: str) -> None:
        """Write what became of it, at once: whatever the process does next may end it. `result` is JSON."""
        self._write(b'{"a":%d,"n":%d,"r":%s}\n' % (delivery_id, attempt, result.encode()))

    def answered_and_started(self, answered: tuple[int, int, str], delivery_id: int, attempt: int) -> None:
        """Write an answer (delivery, attempt, result) and that the final dot of the next attempt follows, at once."""
        self._write(
            b'{"a":%d,"n":%d,"r":%s}\n{"s":%d,"n":%d}\n'
            % (answered[0], answered[1], answered[2].encode(), delivery_id, attempt)
        )

    def close(self, *, keep: bool = False) -> None:
        """Close; the file goes unless `keep`, because everything in it stands in the database."""
        os.close(self._file)
        if not keep:
            self.path.unlink(missing_ok=True)

    def _write(self, line: bytes) -> None:
        if self._torn:  # the other connections go on for a moment: what they write starts a line of its own
            line = b"\n" + line
        self._torn = True
        if os.write(self._file, line) != len(line):
            raise OSError("the journal was not written whole; nothing may be sent")
        self._torn = False


def read(path: Path) -> list[Entry]:
    """Return the entries of a journal, one a delivery and attempt; a torn line is no entry: nothing followed it."""
    started: dict[tuple[int, int], list[Any] | None] = {}
    for record in _records(path):
        if "s" in record:
            started[record["s"], record["n"]] = None
        elif "a" in record:
            started[record["a"], record["n"]] = record["r"]
    return [Entry(delivery, attempt, result) for (delivery, attempt), result in started.items()]


def _records(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # torn by a full disk: its writer gave up, whoever wrote behind it did not
        yield record


def left_behind(relay_key: str) -> list[tuple[Path, Owner]]:
    """Return the journals that earlier slices of this lane left on this host, with who wrote them.

    The caller holds the lane's lock and has opened no journal yet; a slice that failed in this very process counts.
    """
    found = []
    for path in sorted(Path(settings.JOURNAL_DIR).glob(f"{relay_key}-*{_SUFFIX}")):
        head = next(_records(path), None)
        if head is not None and "owner" in head:
            found.append((path, Owner.from_text(head["owner"])))
    return found
