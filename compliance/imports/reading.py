"""Bytes to rows: encodings, delimiters and quoting of real files, with bounded memory. Knows no models.

Reads in blocks; a line, a cell and a row count have caps. A row that cannot be read comes out with its reason, so
that nothing disappears; only what makes the rest of the file unreadable (a quotation mark left open, a line without
end) stops with FileRefusedError and its line.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, NamedTuple

from charset_normalizer import from_bytes

from compliance.errors import FileRefusedError
from compliance.policy import UPLOAD_CELL_KB, UPLOAD_COLUMNS, UPLOAD_LINE_KB, UPLOAD_ROWS

BLOCK: Final = 256 * 1024  # bytes read at once
SAMPLE: Final = 512 * 1024  # bytes that the proposal looks at
DELIMITERS: Final = (",", ";", "\t", "|")
# What a person can choose; the first column is Python's name.
ENCODINGS: Final[dict[str, str]] = {
    "utf-8": "UTF-8 (with Windows-1252 rows)",
    "cp1252": "Windows-1252 (Western Europe)",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "iso8859-15": "ISO 8859-15",
    "mac-roman": "Mac Roman",
    "shift_jis": "Shift JIS (Japanese)",
    "gb18030": "GB 18030 (Chinese)",
    "big5": "Big5 (Chinese)",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
}
_DOUBLE: Final = ("shift_jis", "gb18030", "big5")
_HIGH_RUN: Final = re.compile(rb"[\x80-\xff]+")
_LOW: Final = re.compile(rb"[\x81-\x9f]")
_SPLICED: Final = re.compile(rb"(?<![\x80-\xffA-Za-z])[A-Za-z]+[\x80-\xff]")  # not the second half of a pair
_WIDE: Final = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
csv.field_size_limit(UPLOAD_CELL_KB * 1024)


@dataclass(frozen=True)
class Dialect:
    """How a file is written: Python's name of the encoding, and one delimiter."""

    encoding: str
    delimiter: str


class Row(NamedTuple):
    """One row: the line it begins on (1-based), its cells, and why it cannot be read ("" when it can)."""

    line: int
    cells: list[str]
    problem: str = ""


def propose(path: Path) -> Dialect:
    """Return how a file is most likely written; a person sees the preview and may choose otherwise."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    encoding = propose_encoding(head)
    text = head.decode(encoding if encoding != "utf-8" else "utf-8-sig", "replace")
    return Dialect(encoding, propose_delimiter(text.lstrip("\ufeff")))


def propose_encoding(head: bytes) -> str:
    """Return the likely encoding of a file's beginning: its mark, else UTF-8 if most of it is, else a guess."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    wide = _wide_without_mark(head)
    if wide:
        return wide
    lines = head.splitlines()[:-1] or [head]
    foreign = [line for line in lines if not line.isascii()]
    if not foreign or 2 * sum(_is_utf8(line) for line in foreign) >= len(foreign):
        return "utf-8"
    return _guess(b"\n".join(foreign[:2000]))


def _guess(text: bytes) -> str:
    """Return the likely eight-bit or double-byte encoding; the commonest wins where two read the same."""
    narrow = _candidates(text)
    guess = from_bytes(text, cp_isolation=narrow).best()
    known = {codecs.lookup(name).name: name for name in ENCODINGS}
    found = known.get(codecs.lookup(guess.encoding).name, "cp1252") if guess else "cp1252"
    return "cp1252" if decode(text, found) == decode(text, "cp1252") else found


def _candidates(text: bytes) -> list[str]:
    """Return the encodings that a text may be in, by how its bytes lie."""
    runs = len(_HIGH_RUN.findall(text))
    left_out = {"utf-8", *_WIDE}
    # In a double-byte script words do not begin with Latin letters; "Jiří" would pass for one otherwise.
    if 4 * len(_SPLICED.findall(text)) > runs:
        left_out |= {*_DOUBLE}
    elif 2 * len(_LOW.findall(text)) > runs:
        # Where Western sets have quotation marks and dashes, Japanese has the first halves of its letters.
        left_out |= {name for name in ENCODINGS if name not in _DOUBLE}
    return [name for name in ENCODINGS if name not in left_out]


def _wide_without_mark(head: bytes) -> str:
    even, odd = head[0:4096:2].count(0), head[1:4096:2].count(0)
    size = min(len(head), 4096)
    if 5 * odd > size and even * 20 < size:
        return "utf-16-le"
    return "utf-16-be" if 5 * even > size and odd * 20 < size else ""


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def propose_delimiter(text: str) -> str:
    """Return the delimiter that splits the first lines most evenly; a comma when none does."""
    lines = [line for line in text.splitlines()[:50] if line.strip()]
    scores = {mark: _evenness(lines, mark) for mark in DELIMITERS}
    best = max(DELIMITERS, key=lambda mark: scores[mark])
    return best if scores[best] > 0 else ","


def _evenness(lines: list[str], mark: str) -> float:
    """Return the commonest number of cells times the share of lines that have as many.

    The commonest and not the first line's: above the names there may be a title with commas in it.
    """
    try:
        counts = Counter(len(row) for row in csv.reader(lines, delimiter=mark) if row)
    except csv.Error:
        return 0
    if not counts:
        return 0
    usual, times = counts.most_common(1)[0]
    return usual * times / counts.total() if usual > 1 else 0


def rows(path: Path, dialect: Dialect) -> Iterator[Row]:
    """Yield every row that holds anything, the header too; FileRefusedError where reading cannot go on."""
    with path.open("rb") as file:
        yield from _records(_Lines(file, dialect.encoding), dialect.delimiter)


class _Lines:
    """Decoded lines with their ends; remembers which line is unreadable and where the file ended."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._source = _split(_narrow(file, encoding))
        self._encoding = "utf-8" if encoding in _WIDE else encoding
        self.number = 0
        self.ended = False
        self.problem = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            raw = next(self._source)
        except StopIteration:
            self.ended = True
            raise
        self.number += 1
        if b"\x00" in raw:
            self.problem = self.problem or "nul"
            raw = raw.replace(b"\x00", b"?")
        text = decode(raw, self._encoding)
        if text is None:
            self.problem = self.problem or "undecodable"
            return raw.decode("latin-1")
        return text


def decode(raw: bytes, encoding: str) -> str | None:
    """Return a line as text, or None when no encoding of the file fits.

    UTF-8 and Windows-1252 stand in one file often enough (two exports pasted together), and a line of the one that
    is also valid in the other is rare, so each line is tried as UTF-8 first.
    """
    order = ("utf-8", "cp1252") if encoding in ("utf-8", "cp1252") else (encoding,)
    for name in order:
        try:
            return raw.decode(name)
        except UnicodeDecodeError:
            continue
    return None


def _narrow(file: IO[bytes], encoding: str) -> Iterator[bytes]:
    """Yield blocks in which line ends are single bytes: wide encodings come out as UTF-8, marks are dropped."""
    wide = encoding in _WIDE
    decoder = codecs.getincrementaldecoder(encoding)("replace") if wide else None
    first = True
    while block := file.read(BLOCK):
        if decoder:
            # A half pair or stray byte becomes U+FFFD, which the row check then calls unreadable.
            block = decoder.decode(block).encode("utf-8", "replace")
        yield block.removeprefix(codecs.BOM_UTF8) if first else block
        first = False


def _split(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines with their ends (LF, CR LF or CR); FileRefusedError for a line above the cap."""
    rest, count = b"", 0
    for block in blocks:
        lines = (rest + block).splitlines(keepends=True)
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            count += 1
            yield line
        if len(rest) > UPLOAD_LINE_KB * 1024:
            raise FileRefusedError(
                f"Row {count + 1:,} is longer than {UPLOAD_LINE_KB:,} KB, so this is hardly a list. "
                "Check how the file was saved.",
                count + 1,
            )
    if rest:
        yield rest


def _records(lines: _Lines, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=delimiter)
    found = 0
    while True:
        start, lines.problem = lines.number + 1, ""
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _unclosed(start, lines.number) from error
        if lines.ended:
            raise _unclosed(start, lines.number)
        text = "".join(cells)
        if not text or text.isspace():
            continue
        found += 1
        if found > UPLOAD_ROWS + 1:  # the head counts as none; where there is none, one more is read
            raise FileRefusedError(f"The file has more than {UPLOAD_ROWS:,} rows. Split it.", start)
        if len(cells) > UPLOAD_COLUMNS:
            raise FileRefusedError(
                f"Row {start:,} has {len(cells):,} cells; we read up to {UPLOAD_COLUMNS} columns. Check the delimiter.",
                start,
            )
        problem = lines.problem or ("undecodable" if "\ufffd" in text else "")
        yield Row(start, cells, problem)


def _unclosed(start: int, end: int) -> FileRefusedError:
    if end > start:
        text = f"A quotation mark opened in row {start:,} is never closed, so nothing after it can be told apart."
    else:
        text = f"Row {start:,} holds a cell larger than {UPLOAD_CELL_KB} KB or a quotation mark that is never closed."
    return FileRefusedError(f"{text} Correct that row and upload the file again.", start)
