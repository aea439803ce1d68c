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

from compliance import countries
from compliance.imports import dates
from compliance.imports.columns import DATED, KEEP, Plan
from compliance.imports.reading import Row
from compliance.models.lists import ConsentBasis
from compliance.sources import refuse_address
from sendserver.lib.addresses import AddressKey, BadAddress, parse

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
    more: Mapping[str, Claim] = field(default_factory=dict)  # word of the source column, case-folded -> its own claim

    def of(self, word: str) -> Claim:
        """Return the claim for a row with that word in its source column."""
        return self.more.get(word.casefold(), self) if self.more else self


@dataclass(frozen=True)
class Taken:
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


@dataclass(frozen=True)
class Refused:
    """A row that is not taken: what stood in the cell, why, and the likely right value."""

    line: int
    value: str
    reason: str
    suggestion: str
    cells: list[str]


CUSTOMERS = "customers"
# Customers who never said yes: the code under which each country would know them (recorded; mailable only where
# the operator allows that basis).
_CUSTOMER_BASIS = {"CA": ConsentBasis.CASL_EBR_PURCHASE, "US": ConsentBasis.US_CUSTOMER, "AU": ConsentBasis.AU_INFERRED}


def judge(row: Row, plan: Plan, claim: Claim, now: datetime) -> Taken | Refused:
    """Return what becomes of one row."""
    cells = [_clean(cell) for cell in row.cells]
    claim = claim.of(_cell(cells, plan, "source"))
    text = _cell(cells, plan, "email")
    if row.problem:
        return Refused(row.line, text or cells[0], row.problem, "", cells)
    found = parse(text)
    bad = found if isinstance(found, BadAddress) else refuse_address(found, claim.basis or "express_soi")
    if bad is not None or isinstance(found, BadAddress):
        assert bad is not None
        return Refused(row.line, text, bad.reason, bad.suggestion or suggest(text, bad.reason), cells)
    consent = _dates(cells, plan, claim, now)
    if isinstance(consent, tuple) and isinstance(consent[0], str):
        reason, suggestion = consent
        return Refused(row.line, text, str(reason), str(suggestion), cells)
    consent_at, confirmed_at = consent
    country = countries.parse(_cell(cells, plan, "country"))
    assumed = countries.assumed(found.domain, claim.country)
    return Taken(
        line=row.line,
        address=found.original,
        key=found.key,
        domain=found.domain,
        first_name=_cell(cells, plan, "first_name")[:120],
        last_name=_cell(cells, plan, "last_name")[:120],
        country=country,
        assumed=assumed,
        fields=_fields(cells, plan),
        basis=_basis(claim.basis, country or assumed, confirmed_at),
        consent_at=consent_at,
        confirmed_at=confirmed_at,
        source=(_cell(cells, plan, "source") or claim.source)[:200],
    )


def _clean(cell: str) -> str:
    """Return a cell trimmed; everything else stays as it was written, formulas too."""
    return cell.strip(" \t\r\n\u00a0\ufeff")


def _cell(cells: list[str], plan: Plan, target: str) -> str:
    index = plan.index(target)
    return cells[index] if index is not None and index < len(cells) else ""


def _fields(cells: list[str], plan: Plan) -> str:
    kept = {
        plan.names[index]: _one_line(cells[index])[:CELL]
        for index, target in plan.targets.items()
        if target == KEEP and index < len(cells) and index < len(plan.names) and cells[index]
    }
    return json.dumps(kept, ensure_ascii=False)


def _one_line(text: str) -> str:
    return "".join(" " if unicodedata.category(char) == "Cc" else char for char in text)


def _dates(
    cells: list[str], plan: Plan, claim: Claim, now: datetime
) -> tuple[datetime | None, datetime | None] | tuple[str, str]:
    """Return (consent, confirmation), or (reason, suggestion) for the cell that is wrong.

    Without a date column every row counts as old as the oldest sign-up declared (rules section 2.6).
    """
    found: dict[str, datetime | None] = {"consent_at": claim.earliest, "confirmed_at": None}
    for target in DATED:
        text = _cell(cells, plan, target)
        if plan.index(target) is None or (not text and target == "confirmed_at"):
            continue
        if not text:
            return "date_missing", f"{claim.earliest:%Y-%m-%d}" if claim.earliest else ""
        moment = dates.parse(text, plan.date_order)
        wrong = _wrong_date(moment, now)
        if wrong:
            # One reason for the second step: mending it must not touch the sign-up date.
            return (wrong, dates.swapped_year(moment, now)) if target == "consent_at" else ("confirmed_wrong", "")
        found[target] = min(moment, now) if moment else None
    return found["consent_at"], found["confirmed_at"]


def _wrong_date(moment: datetime | None, now: datetime) -> str:
    if moment is None or moment < dates.EARLIEST:
        return "date_unreadable"
    return "date_future" if moment > now + FUTURE_SLACK else ""


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
