"""One row judged: taken with everything that will be stored, or refused with its reason. Pure.

The order follows the rules: readable, syntax, role, dates (rules 1.4 and 2.6). Whether a taken person may be mailed
is another question (compliance.consent), and so is the do-not-mail list, which the merge asks.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from compliance import countries
from compliance.errors import TagRefusedError
from compliance.imports import dates, kinds
from compliance.imports.columns import TARGETS, Plan
from compliance.imports.reading import Row
from compliance.models.lists import ConsentBasis
from compliance.sources import refuse_address
from compliance.tags import split
from sendserver.lib.addresses import Address, AddressKey, BadAddress, parse

BLANKS = " \t\u00a0\ufeff"
BLANKS_AND_ENDS = BLANKS + "\r\n"
NAMES = ("first_name", "last_name")
# Turn the direction of what follows, so that a letter shows another name than it holds. No name is written with them.
TURNERS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
UNREACHABLE = 1 << 30  # the place of a column that no row has
CELL = 500  # characters kept of a further column
FUTURE_SLACK = timedelta(days=1)  # a date of today in the easternmost zone


@dataclass(frozen=True)
class Claim:
    """What the sender says of the whole file: how they agreed, the earliest date, the country, the source in words."""

    basis: str = ""  # a ConsentBasis, or CUSTOMERS
    earliest: datetime | None = None
    country: str = ""
    source: str = ""
    last_contact_at: datetime | None = None
    counting: bool = False  # the statement covers a column of yeses to counting opens and clicks
    more: Mapping[str, Claim] = field(default_factory=dict)  # word of the source column, case-folded -> its own claim

    def of(self, word: str) -> Claim:
        """Return the claim for a row with that word in its source column."""
        return self.more.get(word.casefold(), self) if self.more else self


class Taken(NamedTuple):
    """A row as it will be stored. `country` is the person's own, `assumed` what the upload leads to."""

    line: int
    address: str
    key: AddressKey
    domain: str
    first_name: str
    last_name: str
    country: str
    assumed: str
    fields: str  # JSON object
    basis: str
    consent_at: datetime | None
    confirmed_at: datetime | None
    source: str
    tracking_at: datetime | None = None  # agreed to counting opens and clicks
    tags: tuple[str, ...] = ()  # of a column of tags


@dataclass(frozen=True)
class Refused:
    """A row that is not taken: what stood in the cell, why, and the likely right value."""

    line: int
    value: str
    reason: str
    suggestion: str
    cells: list[str]


class Wrong(NamedTuple):
    """Why a date is not taken, and the likely right one."""

    reason: str
    suggestion: str


CUSTOMERS = "customers"
# Customers who never said yes: the code under which each country would know them (recorded; mailable only where
# the operator allows that basis).
_CUSTOMER_BASIS = {"CA": ConsentBasis.CASL_EBR_PURCHASE, "US": ConsentBasis.US_CUSTOMER, "AU": ConsentBasis.AU_INFERRED}


class Judge:
    """Says what becomes of each row under one plan, claim and moment; looks the columns up once."""

    def __init__(self, plan: Plan, claim: Claim, now: datetime) -> None:
        self._plan, self._claim, self._now = plan, claim, now
        self._places = {target: place for target in TARGETS if (place := plan.index(target)) is not None}
        self._address = self._place("email")
        self._names = {target: self._place(target) for target in NAMES}
        self._country, self._source = self._place("country"), self._place("source")
        self._consent_at, self._confirmed_at = self._place("consent_at"), self._place("confirmed_at")
        self._kept = [
            (place, plan.names[place], target)
            for place, target in plan.targets.items()
            if target in kinds.LABELS and place < len(plan.names)
        ]
        self._soonest = now + FUTURE_SLACK

    def __call__(self, row: Row) -> Taken | Refused:
        """Return what becomes of one row."""
        raw = row.cells
        # A line end in the cell of an address is an error to show (header injection), not a blank to cut.
        text = raw[self._address].strip(BLANKS) if self._address < len(raw) else ""
        if row.problem:
            return self._refused(row, text or _clean(raw[0]), row.problem)
        found, claim = parse(text), self._claim
        if claim.more:
            claim = claim.of(_cell(raw, self._source))
        bad = found if isinstance(found, BadAddress) else refuse_address(found, claim.basis or "express_soi")
        if bad is not None or isinstance(found, BadAddress):
            assert bad is not None
            return self._refused(row, text, bad.reason, bad.suggestion or suggest(text, bad.reason))
        names = []
        for target, place in self._names.items():
            name = _cell(raw, place)
            if not name.isprintable() and TURNERS.intersection(name):
                return self._refused(row, text, f"hidden_in_{target}", "".join(c for c in name if c not in TURNERS))
            names.append(name[:120])
        tags = self._tags(raw) if "tags" in self._places else ()
        if isinstance(tags, Wrong):
            return self._refused(row, text, *tags)
        fields = self._fields(raw) if self._kept else "{}"
        if isinstance(fields, Wrong):
            return self._refused(row, text, *fields)
        consent = self._dates(raw, claim)
        if isinstance(consent, Wrong):
            return self._refused(row, text, *consent)
        taken = self._taken(row, found, claim, (names[0], names[1], fields, *consent))
        return taken._replace(tags=tags) if tags else taken

    def _place(self, target: str) -> int:
        return self._places.get(target, UNREACHABLE)

    def _refused(self, row: Row, value: str, reason: str, suggestion: str = "") -> Refused:
        return Refused(row.line, value, reason, suggestion, [_clean(cell) for cell in row.cells])

    def _taken(
        self, row: Row, found: Address, claim: Claim, read: tuple[str, str, str, datetime | None, datetime | None]
    ) -> Taken:
        raw, domain, (first_name, last_name, fields, consent_at, confirmed_at) = row.cells, found.domain, read
        country = countries.parse(_cell(raw, self._country))
        assumed = countries.assumed(domain, claim.country)
        return Taken(
            line=row.line,
            address=found.original,
            key=found.key,
            domain=domain,
            first_name=first_name,
            last_name=last_name,
            country=country,
            assumed=assumed,
            fields=fields,
            basis=_basis(claim.basis, country or assumed, confirmed_at),
            consent_at=consent_at,
            confirmed_at=confirmed_at,
            source=(_cell(raw, self._source) or claim.source)[:200],
            tracking_at=self._tracking(raw) if claim.counting else None,
        )

    def _tracking(self, raw: list[str]) -> datetime | None:
        """Return when they agreed to counting; a date that nobody can read, or to come, is no yes."""
        moment = dates.parse(_cell(raw, self._place("tracking_at")), self._plan.date_order)
        return None if moment is None or self._wrong_date(moment) else min(moment, self._now)

    def _tags(self, raw: list[str]) -> tuple[str, ...] | Wrong:
        try:
            return tuple(split(_cell(raw, self._place("tags"))))
        except TagRefusedError:
            return Wrong("tags_wrong", "")

    def _fields(self, raw: list[str]) -> str | Wrong:
        """Return the further columns as a JSON object, each in the one form of its kind, or what is wrong."""
        kept: dict[str, str] = {}
        for place, name, kind in self._kept:
            cell = _clean(raw[place]) if place < len(raw) else ""
            if not cell:
                continue
            value = kinds.read(kind, cell, self._plan.date_order)
            if value is None:
                return Wrong(kinds.REASONS[kind], "")
            kept[name] = _one_line(value)[:CELL]
        return json.dumps(kept, ensure_ascii=False)

    def _dates(self, raw: list[str], claim: Claim) -> tuple[datetime | None, datetime | None] | Wrong:
        """Return (consent, confirmation), or what is wrong with the cell.

        Without a date column every row counts as old as the oldest sign-up declared (rules section 2.6).
        """
        consent_at, confirmed_at = claim.earliest, None
        if self._consent_at != UNREACHABLE:
            text = _cell(raw, self._consent_at)
            if not text:
                return Wrong("date_missing", f"{consent_at:%Y-%m-%d}" if consent_at else "")
            moment = dates.parse(text, self._plan.date_order)
            wrong = self._wrong_date(moment)
            if wrong:
                return Wrong(wrong, dates.swapped_year(moment, self._now))
            consent_at = min(moment, self._now) if moment else None
        if text := _cell(raw, self._confirmed_at):
            moment = dates.parse(text, self._plan.date_order)
            if self._wrong_date(moment):
                # One reason for the second step: mending it must not touch the sign-up date.
                return Wrong("confirmed_wrong", "")
            confirmed_at = min(moment, self._now) if moment else None
        return consent_at, confirmed_at

    def _wrong_date(self, moment: datetime | None) -> str:
        if moment is None or moment < dates.EARLIEST:
            return "date_unreadable"
        return "date_future" if moment > self._soonest else ""


def judge(row: Row, plan: Plan, claim: Claim, now: datetime) -> Taken | Refused:
    """Return what becomes of one row; many rows of one file are judged by one Judge."""
    return Judge(plan, claim, now)(row)


def column_of(plan: Plan, cells: list[str], reason: str) -> int | None:
    """Return the further column that `reason` is about, None when no cell of its kind is wrong."""
    for place, kind in plan.targets.items():
        cell = _clean(cells[place]) if place < len(cells) else ""
        if kinds.REASONS.get(kind) == reason and cell and kinds.read(kind, cell, plan.date_order) is None:
            return place
    return None


def _cell(cells: list[str], place: int) -> str:
    return _clean(cells[place]) if place < len(cells) else ""


def _clean(cell: str) -> str:
    """Return a cell trimmed; everything else stays as it was written, formulas too."""
    return cell.strip(BLANKS_AND_ENDS)


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(" " if unicodedata.category(char) == "Cc" else char for char in text)


def _basis(claimed: str, country: str, confirmed_at: datetime | None) -> str:
    """Return the code of a person's permission; a second step on record makes it the strongest."""
    if claimed == CUSTOMERS:
        european = country in countries.EEA or country == "GB"
        return ConsentBasis.SOFT_OPTIN_EU if european else _CUSTOMER_BASIS.get(country, "")
    if claimed == ConsentBasis.EXPRESS_SOI and confirmed_at is not None:
        return ConsentBasis.EXPRESS_DOI
    return claimed


def suggest(text: str, reason: str) -> str:
    """Return the likely right address for a wrong one, or ""; only where the slip is plain."""
    if reason == "no_at_sign":
        for written, sign in ((" at ", "@"), ("(at)", "@"), ("[at]", "@"), (".at.", "@"), (" @ ", "@")):
            if text.count(written) == 1:
                return _if_good(text.replace(written, sign).replace(" dot ", "."))
    if reason in ("not_one_address", "quoted_or_literal") and "<" in text:
        return _if_good(text.partition("<")[2].partition(">")[0])
    if reason in ("control_character", "bad_local_part", "bad_domain", "not_one_address"):
        shown = "".join(char for char in text if unicodedata.category(char)[0] not in "CZ").strip(".,;:'\"<>")
        return _if_good(shown.replace("..", ".").replace(",", "."))
    return ""


def _if_good(text: str) -> str:
    found = parse(text)
    return "" if isinstance(found, BadAddress) or refuse_address(found, "express_soi") else found.original
