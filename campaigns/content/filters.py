"""The filters of the merge language: text in, text out, none of them costs more than its input is long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from urllib.parse import quote

LONGEST: Final = 1_000  # characters of one value
DATE_CODES: Final = frozenset("aAbBdeHIjmMpSuwyYZ%-")


@dataclass(frozen=True)
class Filter:
    """A filter and how many values it takes behind its colon."""

    call: Callable[..., str]
    least: int = 0
    most: int = 0


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:].lower()


def _truncate(text: str, length: str = "50", end: str = "...") -> str:
    limit = min(LONGEST, int(float(length)))
    return text if len(text) <= limit else text[: max(0, limit - len(end))] + end


def _date(text: str, form: str) -> str:
    """Return an ISO date in another form; what is no ISO date stays as it is."""
    try:
        moment: date = datetime.fromisoformat(text) if len(text) > 10 else date.fromisoformat(text)
    except ValueError:
        return text
    codes = form.split("%")[1:]
    if any(code[:1] not in DATE_CODES for code in codes if code):
        return text
    return moment.strftime(form)


FILTERS: Final[Mapping[str, Filter]] = {
    "default": Filter(lambda text, other: text if text.strip() else other, 1, 1),
    "upcase": Filter(str.upper),
    "downcase": Filter(str.lower),
    "capitalize": Filter(_capitalize),
    "date": Filter(_date, 1, 1),
    "escape": Filter(str),  # every value is escaped already; written twice it must not double
    "strip": Filter(str.strip),
    "truncate": Filter(_truncate, 0, 2),
    "url_encode": Filter(lambda text: quote(text, safe="")),
}
