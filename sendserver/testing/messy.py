"""A file from life: 10,000 rows with mixed encodings, duplicates and bad rows, and what should come of it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NAMES = ("Zoë", "José", "Łukasz", "Anna", "Müller", "O'Brien", 'Ann "Nan"', "Smith, Jr.", "Renée", "Ben")
BROKEN = ("no-at-sign.example", "two@@signs.example", "blank @in.example", "ends.in.dot.@x.example", "@nobody.example")


@dataclass(frozen=True)
class MessyFile:
    """The bytes, and the addresses of which each may be mailed once."""

    data: bytes
    good: frozenset[str]
    rows: int
    duplicates: int
    broken: int


def messy_file(
    rows: int = 10_000, *, seed: int = 7, host: str = "crowd.example", now: datetime | None = None
) -> MessyFile:
    """Return a CSV of `rows` lines below its header; one in 25 is a duplicate, one in 40 is broken, in any order.

    Lines are UTF-8 or Windows-1252, one by one, as after two exports pasted together. The same seed is the same file.
    """
    dice = random.Random(seed)
    today = now or datetime.now(UTC)
    good: list[str] = []
    lines: list[bytes] = []
    duplicates = broken = 0
    for number in range(rows):
        kind = dice.random()
        if kind < 1 / 40:
            address, broken = dice.choice(BROKEN), broken + 1
        elif kind < 1 / 40 + 1 / 25 and good:
            address, duplicates = _again(dice, dice.choice(good)), duplicates + 1
        else:
            address = f"person{number}@{dice.choice(('north', 'south', 'east', 'west'))}.{host}"
            good.append(address)
        lines.append(_line(dice, address, today - timedelta(days=dice.randrange(5, 300))))
    header = b"Vorname;E-mail;Land;Signed up;Favourite\r\n"
    return MessyFile(header + b"".join(lines), frozenset(good), rows, duplicates, broken)


def _again(dice: random.Random, address: str) -> str:
    """Return the same address as somebody else would have typed it."""
    return dice.choice((address, address.upper(), f"  {address} ", address.replace("person", "Person")))


def _line(dice: random.Random, address: str, signed_up: datetime) -> bytes:
    name = dice.choice(NAMES)
    quoted = '"' + name.replace('"', '""') + '"' if any(mark in name for mark in '";,') or dice.random() < 0.1 else name
    favourite = dice.choice(("tulips", "roses", '"two; words"', ""))
    text = f"{quoted};{address};GB;{signed_up:%d.%m.%Y};{favourite}"
    encoding = "utf-8" if "Ł" in name or dice.random() < 0.5 else "cp1252"
    return text.encode(encoding) + dice.choice((b"\r\n", b"\r\n", b"\n"))
