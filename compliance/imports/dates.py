"""Dates as people write them in lists. Pure: text in, an aware instant in UTC out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

DAY_FIRST, MONTH_FIRST = "dmy", "mdy"
ORDERS: Final = {DAY_FIRST: "Day first: 31.12.2025", MONTH_FIRST: "Month first: 12/31/2025"}
EARLIEST: Final = datetime(1995, 1, 1, tzinfo=UTC)  # before it nobody signed up for marketing mail on the web
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier enero gennaio", "feb february februar février febrero febbraio",
            "mar march märz mrz mars marzo", "apr april avril abril aprile", "may mai mayo maggio",
            "jun june juni juin junio giugno", "jul july juli juillet julio luglio", "aug august août agosto",
            "sep sept september septembre septiembre settembre", "oct october okt oktober octobre octubre ottobre",
            "nov november novembre noviembre", "dec december dez dezember décembre diciembre dicembre",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_ISO: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_PARTS: Final = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4}|\d{2})")
_WORDS: Final = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[-. ]+([^\W\d]+)\.?,?[-. ]+(\d{4})", re.IGNORECASE)
_WORDS_US: Final = re.compile(r"([^\W\d]+)\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})", re.IGNORECASE)
_TIME: Final = re.compile(
    r"[T ,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)? ?(am|pm)?(?: ?(Z|UTC|GMT|[+-]\d{2}:?\d{2}))?", re.IGNORECASE
)
_PLAIN: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d)?", re.ASCII)
DAY_LENGTH: Final = 10
_PLAIN_LENGTHS: Final = (DAY_LENGTH, 19)
_STAMP: Final = re.compile(r"1\d{9}(\d{3})?")


def parse(text: str, order: str = DAY_FIRST) -> datetime | None:
    """Return the instant that a cell names, or None; a date without a time is midnight UTC, as is one without zone.

    `order` decides 03/04/2025 only; where one number is above 12 the date is read the way that makes sense.
    """
    text = text.strip()
    if len(text) in _PLAIN_LENGTHS and _PLAIN.fullmatch(text):  # as most tools export it; ten times faster
        return _plain(text)
    if _STAMP.fullmatch(text):
        return datetime.fromtimestamp(int(text[:10]), UTC)
    for pattern, reader in ((_ISO, _iso), (_PARTS, _parts), (_WORDS, _words), (_WORDS_US, _words_us)):
        match = pattern.match(text)
        if match:
            return _build(reader(match, order), text[match.end() :])
    return None


def _plain(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(f"{text}Z" if len(text) > DAY_LENGTH else f"{text}T00Z")
    except ValueError:
        return None


def _iso(match: re.Match[str], _: str) -> tuple[int, int, int]:
    return int(match[1]), int(match[2]), int(match[3])


def _parts(match: re.Match[str], order: str) -> tuple[int, int, int]:
    first, second, year = int(match[1]), int(match[2]), int(match[3])
    year += 2000 if year < 100 else 0
    day_first = first > 12 or (order == DAY_FIRST and second <= 12)
    return (year, second, first) if day_first else (year, first, second)


def _words(match: re.Match[str], _: str) -> tuple[int, int, int]:
    return int(match[3]), _MONTHS.get(match[2].casefold(), 0), int(match[1])


def _words_us(match: re.Match[str], _: str) -> tuple[int, int, int]:
    return int(match[3]), _MONTHS.get(match[1].casefold(), 0), int(match[2])


def _build(day: tuple[int, int, int], rest: str) -> datetime | None:
    try:
        moment = datetime(*day, tzinfo=UTC)
    except ValueError:
        return None
    if not rest.strip():
        return moment
    time = _TIME.fullmatch(rest)
    return _with_time(moment, time) if time else None


def _with_time(moment: datetime, time: re.Match[str]) -> datetime | None:
    hour, minute, second = int(time[1]), int(time[2]), int(time[3] or 0)
    if time[4]:
        hour = hour % 12 + (12 if time[4].lower() == "pm" else 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    zone = (time[5] or "Z").replace(":", "")
    offset = timedelta()
    if zone[0] in "+-":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5])) * (1 if zone[0] == "+" else -1)
    return moment.replace(hour=hour, minute=minute, second=second) - offset


def propose_order(cells: Iterable[str]) -> str | None:
    """Return the order that a column's dates prove, or None when each could be read either way."""
    for cell in cells:
        match = _PARTS.match(cell.strip())
        if match and int(match[1]) > 12:
            return DAY_FIRST
        if match and int(match[2]) > 12:
            return MONTH_FIRST
    return None


def looks_like_date(cell: str) -> bool:
    """Tell whether a cell reads as a date either way."""
    return parse(cell) is not None


def swapped_year(moment: datetime | None, now: datetime) -> str:
    """Return a date to come with the last two digits of its year changed over, if that has passed: 2062 for 2026."""
    if moment is None or moment <= now:
        return ""
    text = f"{moment.year:04d}"
    try:
        likely = moment.replace(year=int(text[:2] + text[3] + text[2]))
    except ValueError:
        return ""
    return f"{likely:%Y-%m-%d}" if EARLIEST < likely <= now else ""
