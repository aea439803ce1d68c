"""Further columns with a kind: numbers, dates, yes or no. Pure: a cell in, one written form out.

What cannot be told for sure is refused and mended in place: "1,234" is two different numbers on two sides of the
Channel, and a list is no place to guess.
"""

from __future__ import annotations

import re
from typing import Final

from compliance.imports import dates

TEXT, NUMBER, DATE, YES_NO = "field", "field_number", "field_date", "field_yes_no"
LABELS: Final[dict[str, str]] = {
    TEXT: "Keep for use in messages",
    NUMBER: "Keep, as a number",
    DATE: "Keep, as a date",
    YES_NO: "Keep, as yes or no",
}
# kind -> reason why a cell is not of it
REASONS: Final[dict[str, str]] = {NUMBER: "no_number", DATE: "no_date", YES_NO: "no_yes_no"}
_YES: Final = frozenset("yes y true 1 x on ja j oui o si sí sì s vrai wahr".split())  # noqa: SIM905
_NO: Final = frozenset("no n false 0 off nein non faux falsch".split())  # noqa: SIM905
_SIGN: Final = "[-\u2212+]?"
_PLAIN: Final = re.compile(rf"({_SIGN})(\d+)(?:[.,](\d+))?", re.ASCII)
_GROUPS: Final = r"\d{1,3}(?:([.,'\u2019 \u00a0\u202f])\d{3})(?:\3\d{3})*"
_GROUPED: Final = re.compile(rf"({_SIGN})({_GROUPS})(?:([.,])(\d+))?", re.ASCII)


def read(kind: str, cell: str, order: str) -> str | None:
    """Return a filled cell in its one form (1234.5, 2026-05-31, yes), None when it is not of the kind."""
    if kind == NUMBER:
        return _number(cell)
    if kind == DATE:
        moment = dates.parse(cell, order)
        return f"{moment:%Y-%m-%d}" if moment else None
    if kind == YES_NO:
        word = cell.casefold()
        return "yes" if word in _YES else "no" if word in _NO else None
    return cell


def _number(cell: str) -> str | None:
    plain = _PLAIN.fullmatch(cell)
    if plain and not (plain[3] and len(plain[3]) == 3 and len(plain[2]) <= 3):
        return _written(plain[1], plain[2], plain[3])
    grouped = _GROUPED.fullmatch(cell)
    if not grouped or grouped[3] == grouped[4]:
        return None
    # One group behind a point or comma and nothing more may as well be a fraction.
    if grouped[3] in ".," and not grouped[4] and grouped[2].count(grouped[3]) == 1:
        return None
    return _written(grouped[1], re.sub(r"\D", "", grouped[2]), grouped[5])


def _written(sign: str, whole: str, fraction: str | None) -> str:
    text = whole.lstrip("0") or "0"
    fraction = (fraction or "").rstrip("0")
    minus = "-" if sign in ("-", "\u2212") else ""
    return f"{minus}{text}.{fraction}" if fraction else f"{minus}{text}"
