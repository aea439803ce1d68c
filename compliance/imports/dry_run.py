"""An upload without a portal: what the importer would make of a file, with nobody written and no service asked.

Receives, proposes and judges by the functions of a real upload. It does not know the do-not-mail list, and nobody
confirms its columns: it goes by the proposal.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from compliance.errors import FileRefusedError
from compliance.imports import columns, files, reading, receive
from compliance.imports.columns import Plan
from compliance.imports.rows import Judge, Refused
from compliance.imports.scan import CLAIM
from compliance.policy import UPLOAD_PROBLEMS_KEPT
from sendserver.lib import clock

NO_COLUMN: Final = "no_address_column"
FILE_REFUSED: Final = "file_refused"


@dataclass
class Result:
    """What a file holds, in rows below its header; `rejects` lists the first UPLOAD_PROBLEMS_KEPT of them.

    A file that is refused as a whole has no rows (or those before the place) and one reject with the sentence.
    """

    encoding: str = ""
    delimiter: str = ""
    header: list[str] = field(default_factory=list)
    rows: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    rejects: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, line: int, value: str, reason: str) -> None:
        """Note a row that is not taken."""
        self.rejected[reason] += 1
        if len(self.rejects) < UPLOAD_PROBLEMS_KEPT:
            self.rejects.append({"line": line, "value": value, "reason": reason})

    @property
    def refused(self) -> str:
        """Return why the file as a whole is refused, "" when it is read to its end."""
        found = (str(row["value"]) for row in self.rejects if row["reason"] == FILE_REFUSED)
        return next(found, "")

    def as_json(self) -> str:
        """Return the result as one JSON object."""
        return json.dumps({**self.__dict__, "rejected": dict(self.rejected)}, ensure_ascii=False)


def check(source: Path) -> Result:
    """Return what the importer would make of a file."""
    result = Result()
    with tempfile.TemporaryDirectory(prefix="check-") as folder:
        try:
            _read(*_received(source, Path(folder) / "file"), result)
        except FileRefusedError as error:
            result.reject(error.line, str(error), FILE_REFUSED)
    return result


def _received(source: Path, copy: Path) -> tuple[Path, str]:
    """Return the file as it would lie on disk after an upload, and its kind; a workbook as the CSV made of it."""
    if source.stat().st_size > files.size_limit():
        raise files.too_large()
    kind = files.look_at(source)
    if kind == "xlsx":
        shutil.copyfile(source, copy)
        files.settle(copy)
        return copy, kind
    files.refuse_long(source)
    return source, kind


def _read(path: Path, kind: str, result: Result) -> None:
    dialect = receive.dialect_of(path, kind)
    result.encoding, result.delimiter = dialect.encoding, dialect.delimiter
    first = receive.first_rows(path, dialect)
    if not first:
        raise FileRefusedError("The file has no rows.")
    cells = [row.cells for row in first]
    head = columns.head_of(cells)
    result.header = columns.clean_header(head.names)
    found = columns.propose(result.header, cells[head.rows :])
    plan = Plan(found.targets, result.header, found.date_order, head.rows)
    people = islice(reading.rows(path, dialect), plan.head, None)
    if columns.complaints(plan):
        _reject_all(people, result)
    else:
        _judge_all(people, plan, result)


def _reject_all(people: Iterator[reading.Row], result: Result) -> None:
    """Count the rows of a file whose address column only a person could name."""
    for row in people:
        result.rows += 1
        result.reject(row.line, next((cell for cell in row.cells if cell.strip()), ""), NO_COLUMN)


def _judge_all(people: Iterator[reading.Row], plan: Plan, result: Result) -> None:
    judge = Judge(plan, CLAIM, clock.now())
    with closing(_Seen()) as seen:
        for row in people:
            result.rows += 1
            judged = judge(row)
            if isinstance(judged, Refused):
                result.reject(judged.line, judged.value, judged.reason)
            elif seen.before(judged.key):
                result.duplicates += 1
            else:
                result.accepted += 1


class _Seen:
    """Keys met so far, in a file of its own that SQLite deletes: memory stays bounded at any length of list."""

    def __init__(self) -> None:
        self._keys = sqlite3.connect("", isolation_level=None)
        self._keys.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-16384; BEGIN;")
        self._keys.execute("CREATE TABLE seen (key TEXT PRIMARY KEY) WITHOUT ROWID")

    def before(self, key: str) -> bool:
        """Tell whether a key was met before, and note it."""
        return self._keys.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount == 0

    def close(self) -> None:
        """Drop everything."""
        self._keys.close()
