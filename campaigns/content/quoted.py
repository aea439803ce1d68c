"""Quoted-printable pieces that can be joined with values in between (RFC 2045 section 6.7).

Three promises make the send path free of scans: a line never begins with a dot or "From ", so nothing is dot-stuffed
(RFC 5321 section 4.5.2); every second blank of a run, every tab and every trailing blank is encoded, so the bytes are
their own relaxed canonical form (RFC 6376 section 3.4.4); each piece begins at the start of a line.
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from typing import Final

LINE: Final = 75  # characters before the "=" of a soft break; 76 with it
SOFT: Final = b"=\r\n"
CRLF: Final = b"\r\n"
PLAIN: Final = frozenset(range(33, 127)) - {ord("=")}
_SOUND: Final = re.compile(rb"(?:(?!\.)[^\r\n\0]{0,76}\r\n)*")
_SAFE: Final = re.compile(r"(?!\.)(?!From )[!-<>-~]+(?: [!-<>-~]+)*")
_BARE: Final = re.compile(r"(?!From )[A-Za-z0-9@_/:,+-][A-Za-z0-9@_/:,.+-]*(?: [A-Za-z0-9@_/:,.+-]+)*")
_SIMPLE: Final = re.compile(r"(?!\.|From )[^\s.](?:[^\s]| (?=[^\s]))*")  # one line, no blank that would be encoded


def is_bare(text: str) -> bool:
    """Tell whether `text` is a piece as it stands, but for its soft break, and means the same in HTML."""
    return len(text) < LINE and _BARE.fullmatch(text) is not None


def encode(text: str) -> bytes:
    """Return `text` as a piece; newlines become hard breaks, and the piece ends at the start of a line."""
    if len(text) < LINE and _SAFE.fullmatch(text):
        return text.encode() + SOFT  # sound by the expression that it has matched
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
    if len(text) < LINE and _SIMPLE.fullmatch(text):
        short = b2a_qp(text.encode())
        if len(short) <= LINE and b"\n" not in short:
            return short + SOFT
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
