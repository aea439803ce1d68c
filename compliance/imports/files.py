"""Uploaded files: received in pieces, looked at before anybody parses them, kept under a random name nobody serves.

What is refused is refused here, early and with a sentence: archives, programs, pages, pictures, old or locked
workbooks. Excel workbooks are turned into CSV at once by a child process with limits (compliance.imports.workbook).
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings

from compliance.errors import FileRefusedError
from compliance.imports import workbook
from compliance.policy import UPLOAD_ROWS
from sendserver.lib import disk, words

log = logging.getLogger(__name__)
HEAD = 64 * 1024  # bytes looked at before anything else
_ARCHIVE: Final = "This is a packed archive. Unpack it and upload the CSV or Excel file inside."
_PROGRAM: Final = "This is a program, not a list. Upload a CSV or Excel file."
_PAGE: Final = "This is a web page, even if its name says otherwise. Save the list as CSV and upload that."
_PICTURE: Final = "This is a picture or document, not a list. Save the list as CSV and upload that."
_OLD_BOOK: Final = (
    "This is an old or password-protected Excel file. Open it, remove the password, save it as .xlsx or CSV."
)
_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x1f\x8b", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (b"Rar!", _ARCHIVE),
    (b"BZh", _ARCHIVE),
    (b"\xfd7zXZ", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", _ARCHIVE),
    (b"MZ\x90", _PROGRAM),
    (b"\x7fELF", _PROGRAM),
    (b"%PDF", _PICTURE),
    (b"\x89PNG", _PICTURE),
    (b"\xff\xd8\xff", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLD_BOOK),
)
_MARKUP: Final = (b"<!doctype", b"<html", b"<svg", b"<?xml", b"<script", b"<head", b"<body", b"<table")


@dataclass(frozen=True)
class Stored:
    """A received file: `name` below MEDIA_ROOT, size in bytes, SHA-256, and "csv" or "xlsx" as it came."""

    name: str
    size: int
    sha256: bytes
    kind: str


def path_of(stored_name: str) -> Path:
    """Return where a received file lies; workbooks lie there as the CSV made of them."""
    return Path(settings.MEDIA_ROOT) / stored_name


def receive(chunks: Iterable[bytes]) -> Stored:
    """Write an upload to disk as it comes and return what it is; FileRefusedError when we do not take it.

    The file is readable by the portal's own user only (0600), its hash is computed while writing, and a refused
    file leaves nothing behind.
    """
    name = secrets.token_hex(20)
    target = path_of(name)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        size, digest = _write(chunks, target)
        kind = settle(target)
    except OSError as error:
        target.unlink(missing_ok=True)
        if not disk.takes_nothing(error):
            raise
        log.critical("an upload found no room: %s", error)
        raise no_room() from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return Stored(name, size, digest, kind)


def settle(path: Path) -> str:
    """Look at a file, turn a workbook into CSV in its place, and return what it was: "csv" or "xlsx"."""
    kind = look_at(path)
    if kind == "xlsx":
        _unfold(path)
    else:
        refuse_long(path)
    return kind


def refuse_long(path: Path) -> None:
    """Raise FileRefusedError for a text of more lines than a list may have rows, before anybody reads them one by one.

    Counts line feeds; lines inside quotation marks count too, and a file without line feeds is left to the reader.
    """
    lines = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            lines += block.count(b"\n")
            if lines > UPLOAD_ROWS + 1:
                raise FileRefusedError(f"The file has more than {UPLOAD_ROWS:,} lines. Split it.")


def _write(chunks: Iterable[bytes], target: Path) -> tuple[int, bytes]:
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > size_limit():
                raise too_large()
            digest.update(chunk)
            file.write(chunk)
    return size, digest.digest()


def size_limit() -> int:
    """Return the largest file we take, in bytes."""
    return int(settings.MAX_UPLOAD_BYTES)


def limit() -> str:
    """Return the largest file we take, in words."""
    return words.file_size(size_limit())


def too_large() -> FileRefusedError:
    """Return the refusal of a file above the limit."""
    return FileRefusedError(f"The file is larger than {limit()}. Split it and upload the parts one by one.")


def no_room() -> FileRefusedError:
    """Return the refusal of a file for which our disk has no room."""
    return FileRefusedError("We have no room for this file at the moment. Nothing of it was kept. Try again later.")


def look_at(path: Path) -> str:
    """Return "csv" or "xlsx" by what is inside, whatever the name says; FileRefusedError for anything else."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise FileRefusedError("The file is empty.")
    if head.startswith(b"PK"):
        workbook.check(path)
        return "xlsx"
    for magic, text in _MAGIC:
        if head.startswith(magic):
            raise FileRefusedError(text)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(_MARKUP):
        raise FileRefusedError(_PAGE)
    if _is_binary(head):
        raise FileRefusedError("This is not a text file. Upload a CSV or Excel file.")
    return "csv"


def _is_binary(head: bytes) -> bool:
    """Tell whether more than one byte in twenty is a control character; UTF-16 has its own look (every other NUL)."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or _looks_utf16(head):
        return False
    odd = sum(head.count(bytes([code])) for code in range(32) if code not in (0, 9, 10, 11, 12, 13, 27))
    # NULs are judged row by row later; a file made of them is no text.
    return 20 * odd > len(head) or 2 * head.count(0) > len(head)


def _looks_utf16(head: bytes) -> bool:
    even, odd = head[0::2].count(0), head[1::2].count(0)
    return 4 * max(even, odd) > len(head) and 20 * min(even, odd) < len(head)


def _unfold(target: Path) -> None:
    """Replace a workbook by the CSV of its first sheet that holds anything."""
    made = target.with_suffix(".csv")
    try:
        workbook.to_csv(target, made)
        made.replace(target)
    finally:
        made.unlink(missing_ok=True)


def forget(stored_name: str) -> None:
    """Delete a received file; nothing happens when it is gone."""
    if stored_name:
        path_of(stored_name).unlink(missing_ok=True)
