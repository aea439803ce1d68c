"""Quoted-printable pieces that can be joined with values in between (RFC 2045 section 6.7).

Three promises make the send path free of scans: a line never begins with a dot or "From ", so nothing is dot-stuffed
(RFC 5321 section 4.5.2); every second blank of a run, every tab and every trailing blank is encoded, so the bytes are
their own relaxed canonical form (RFC 6376 section 3.4.4); each piece begins at the start of a line.
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from collections.abc import Sequence
from typing import Final

LINE: Final = 75  # characters before the "=" of a soft break; 76 with it
SOFT: Final = b"=\r\n"
CRLF: Final = b"\r\n"
PLAIN: Final = frozenset(range(33, 127)) - {ord("=")}
_SOUND: Final = re.compile(rb"(?:(?!\.)[^\r\n\0]{0,76}\r\n)*")
_SAFE: Final = r"(?!\.)(?!From )[!-<>-~]+(?: [!-<>-~]+)*"
_SIMPLE: Final = r"(?!\.|From )[^\s.](?:[^\s]| (?=[^\s]))*"  # one line, no blank that would be encoded
_ALL_SAFE: Final = re.compile(f"(?:{_SAFE}\n)*")
_ALL_SIMPLE: Final = re.compile(f"(?:{_SIMPLE}\n)*")
_BETWEEN: Final = "\n"  # stands between texts that are looked at together


def together(texts: Sequence[str]) -> str | None:
    """Return texts as one, each on a line of its own, for what can be done to all at once; None when one has lines."""
    joined = _BETWEEN.join(texts)
    return joined if joined.count(_BETWEEN) == len(texts) - 1 else None


def apart(joined: str) -> list[str]:
    """Return the texts of `together`."""
    return joined.split(_BETWEEN)


def encode_all(texts: Sequence[str]) -> list[bytes]:
    """Return each text as a piece, as `encode` does: one look at all of them where they are words on one line."""
    joined = together(texts)
    if joined is not None and max(map(len, texts), default=LINE) < LINE:
        lines = joined + _BETWEEN
        if _ALL_SAFE.fullmatch(lines):
            return _with_soft_breaks(lines.encode())
        if _ALL_SIMPLE.fullmatch(lines):
            found = _with_soft_breaks(b2a_qp(lines.encode()))
            # What became too long has soft breaks inside, which are too many lines, or is a line too long.
            if len(found) == len(texts) and is_sound(b"".join(found)):
                return found
    return [encode(text) for text in texts]


def _with_soft_breaks(lines: bytes) -> list[bytes]:
    return lines.replace(b"\n", b"=\r\n\0")[:-1].split(b"\0")


def encode(text: str) -> bytes:
    """Return `text` as a piece; newlines become hard breaks, and the piece ends at the start of a line."""
    piece = _encode(text)
    if not is_sound(piece):
        raise AssertionError("an encoded piece with a bare CR or LF, a NUL, a leading dot or a long line")
    return piece


def is_sound(piece: bytes) -> bool:
    """Tell whether a piece is whole lines of at most 76 octets with CRLF, none with a leading dot, and no NUL.

    Sound pieces join to a sound body: each begins at the start of a line and ends at one, with no half of a CRLF.
    """
    return _SOUND.fullmatch(piece) is not None


def _encode(text: str) -> bytes:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    hard = b"".join(_line(line.encode()) + CRLF for line in lines[:-1])
    last = _line(lines[-1].encode())
    return hard + (last + SOFT if last else b"")


def _line(raw: bytes) -> bytes:
    """Return one line with soft breaks inside; no break at its end."""
    rows: list[str] = []
    row = ""
    previous_blank = False
    for place, octet in enumerate(raw):
        blank = octet == 32
        plain = octet in PLAIN or (blank and not previous_blank and place + 1 < len(raw))
        mark = chr(octet) if plain else f"={octet:02X}"
        if len(row) + len(mark) > LINE:
            rows.append(row)
            row = ""
        if not row and mark == ".":
            mark = "=2E"
        if not row and mark == "F" and raw[place : place + 5] == b"From ":
            mark = "=46"
        row += mark
        previous_blank = blank and plain
    rows.append(row)
    return "=\r\n".join(rows).encode()
