"""Reading on in a log that is rotated, compressed, cut off or huge: complete lines, from a known place, in bounds.

A file is known by its first line, so a place stays good when the file is renamed, copied or compressed. Knows nothing
of what the lines say.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, cast

LINE_MAX: Final = 64 * 1024  # octets; a longer line is passed over
HEAD_MAX: Final = 4096
KEPT_SECONDS: Final = 14 * 86_400  # files that were written to last before that are not looked at
QUIET_SECONDS: Final = 10.0  # a rotated file is written to until its writer has opened the new one
_ROTATED: Final = re.compile(r"[.-][\d-]+(?:\.gz)?")


@dataclass(frozen=True)
class Place:
    """Where reading stopped: the file by inode and first line, and how many octets of it (uncompressed) are read."""

    inode: int
    head: str
    offset: int


@dataclass
class Piece:
    """What was read: lines, the new place, why something before them is missing, whether nothing more is there."""

    place: Place | None
    lines: list[str] = field(default_factory=list)
    gap: str = ""
    at_end: bool = False


@dataclass(frozen=True)
class _File:
    path: Path
    head: str
    inode: int
    written_at: float

    def open(self) -> BinaryIO:
        return _open(self.path)


def read(path: Path, place: Place | None, budget: int) -> Piece:
    """Return the lines behind `place`, at most about `budget` octets; raises OSError when the log cannot be read."""
    path.stat()  # whoever cannot see the live file must say so
    files = _family(path)
    start, gap = _start(files, place)
    piece = Piece(place, gap=gap)
    offset = place.offset if place is not None and not gap else 0
    for file in files[start:]:
        is_live = file.path == path
        left = _read_file(file, offset, budget, piece, is_live=is_live)
        if left <= 0:
            return piece
        if not is_live and time.time() - file.written_at < QUIET_SECONDS:
            return piece
        budget, offset = left, 0
    piece.at_end = True
    return piece


def _family(path: Path) -> list[_File]:
    """Return the log's files that have a first line, oldest first, the live one last; a copy beside its .gz once."""
    now = time.time()
    found: dict[str, _File] = {}
    for one in sorted(path.parent.iterdir(), key=lambda each: (each.suffix != ".gz", each == path)):
        if one.name.startswith(path.name) and (one == path or _ROTATED.fullmatch(one.name[len(path.name) :])):
            try:
                stat, head = one.stat(), _head(one)
            except (FileNotFoundError, EOFError, gzip.BadGzipFile):
                continue  # it was just moved, or is being compressed
            if head and (one == path or now - stat.st_mtime < KEPT_SECONDS):
                found[head] = _File(one, head, stat.st_ino, stat.st_mtime)
    return sorted(found.values(), key=lambda file: (file.path == path, file.written_at))


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _head(path: Path) -> str:
    with _open(path) as file:
        line = file.readline(HEAD_MAX)
    return hashlib.sha256(line).hexdigest() if line.endswith(b"\n") or len(line) == HEAD_MAX else ""


def _start(files: list[_File], place: Place | None) -> tuple[int, str]:
    """Return where to begin, and why lines in between are missing."""
    if place is None:
        return 0, ""
    for index, file in enumerate(files):
        if file.head == place.head:
            if file.path.suffix != ".gz" and file.path.stat().st_size < place.offset:
                return index, "the log is shorter than what was read of it"
            return index, ""
    return 0, "the file that was read last is gone or was cut off" if files else ""


def _read_file(file: _File, offset: int, budget: int, piece: Piece, *, is_live: bool) -> int:
    """Append the file's lines behind `offset` and move the place; return what is left of the budget."""
    with file.open() as opened:
        opened.seek(offset)
        for raw, length in _raw_lines(opened, is_live=is_live):
            offset += length
            budget -= length
            if raw:
                piece.lines.append(raw.decode("utf-8", "replace").rstrip("\r\n"))
            if budget <= 0:
                break
    piece.place = Place(file.inode, file.head, offset)
    return budget


def _raw_lines(opened: BinaryIO, *, is_live: bool) -> Iterator[tuple[bytes, int]]:
    """Yield complete lines with their length; b"" for one that is too long, or torn at the end of a rotated file."""
    while line := opened.readline(LINE_MAX):
        if line.endswith(b"\n"):
            yield line, len(line)
        elif len(line) < LINE_MAX:
            if not is_live:
                yield b"", len(line)
            return
        else:
            length = len(line)
            while (more := opened.readline(LINE_MAX)) and not more.endswith(b"\n"):
                length += len(more)
            yield b"", length + len(more)
