"""Which column is what: proposed from names and content, remembered from the last file of the same shape. Pure
except for `remembered`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from accounts.models import Organization
from compliance.imports import dates, kinds
from compliance.models import ImportJob

IGNORE, KEEP = "", kinds.TEXT
TARGETS: Final[dict[str, str]] = {
    "email": "E-mail address",
    "first_name": "First name",
    "last_name": "Last name",
    "country": "Country",
    "consent_at": "Sign-up date",
    "confirmed_at": "Confirmed by link, date",
    "source": "Where they signed up",
    "tracking_at": "Agreed to counting opens and clicks, date",
    "tags": "Tags, parted by commas",
    **kinds.LABELS,
    IGNORE: "Do not import",
}
DATED: Final = ("consent_at", "confirmed_at")
MAX_FIELDS: Final = 30  # further columns kept with each person
PREVIEW_ROWS: Final = 5
TITLE_ROWS: Final = 10  # rows that may stand above the names of the columns
_NAMES: Final[dict[str, str]] = {
    "email": r"e?-?mail(s|_?addr(ess)?)?|e-?mail[ _-]?(address|adresse|id)|adresse ?mail|correo|courriel|mail_?address",
    "first_name": r"(first|given|fore)[ _-]?name|fname|vorname|pr[eé]nom|nombre|nome",
    "last_name": r"(last|family|sur)[ _-]?name|surname|lname|nachname|nom|apellidos?|cognome",
    "country": r"country([ _-]?code)?|land|pays|pa[ií]s|paese|nation",
    "consent_at": (
        r"(sign(ed)?[ _-]?up|opt[ _-]?in|subscribed?|consent|joined|registration|registered|created|anmeld\w*|"
        r"inscription)([ _-]?(date|at|on|time|datum|timestamp))?|date( joined)?|datum|anmeldedatum"
    ),
    "confirmed_at": (
        r"(confirm(ed|ation)?|double[ _-]?opt[ _-]?in|doi|verified|best[aä]tigt)([ _-]?(date|at|on|time|am|datum))?"
    ),
    "tracking_at": r"(tracking|counting)([ _-]?(consent|opt[ _-]?in|ok))?([ _-]?(date|at|on))?",
    "source": r"source|form|origin|quelle|opt[ _-]?in[ _-]?(source|url|page)|signup[ _-]?page",
}
_PATTERNS: Final = {target: re.compile(rf"(?:{pattern})", re.IGNORECASE) for target, pattern in _NAMES.items()}


@dataclass(frozen=True)
class Plan:
    """How a file's columns are read: index -> target, names of kept fields, order of dates, rows above the people."""

    targets: dict[int, str]
    names: list[str] = field(default_factory=list)
    date_order: str = dates.DAY_FIRST
    head: int = 1
    tags: tuple[str, ...] = ()  # that everybody in the file gets

    def index(self, target: str) -> int | None:
        """Return the column of a target, or None."""
        return next((index for index, name in self.targets.items() if name == target), None)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as it is kept with the job; the header's names stand there already."""
        targets = {str(index): target for index, target in self.targets.items()}
        kept = {"targets": targets, "date_order": self.date_order, "head": self.head}
        return {**kept, "tags": list(self.tags)} if self.tags else kept


def plan_of(job: ImportJob) -> Plan:
    """Return the plan kept with a job; empty before the columns step."""
    kept = job.columns
    targets = {int(index): target for index, target in kept.get("targets", {}).items()}
    names = list(job.header)
    for index, name in kept.get("fields", {}).items():  # as the register spells them: compliance.contact_fields
        names[int(index)] = name
    return Plan(targets, names, kept.get("date_order", dates.DAY_FIRST), _head_kept(kept), tuple(kept.get("tags", ())))


def _head_kept(kept: dict[str, Any]) -> int:
    """Return the rows above the people; uploads of before titles were known say only whether there is a header."""
    return int(kept.get("head", 1 if kept.get("has_header", True) else 0))


def clean_header(cells: list[str]) -> list[str]:
    """Return column names to show: never empty, never twice, at most 60 characters."""
    names: list[str] = []
    for index, cell in enumerate(cells):
        name = " ".join(cell.split())[:60] or f"Column {index + 1}"
        while name in names:
            name = f"{name[:54]} ({index + 1})"
        names.append(name)
    return names


@dataclass(frozen=True)
class Head:
    """The top of a file: rows above the first person, and the names of the columns ("" for all without a header)."""

    rows: int
    names: list[str]


def head_of(first: list[list[str]]) -> Head:
    """Return the top of a file by its first rows.

    A row with an address in it is a person, and so is one that comes twice. Above the names there may be a title,
    a note, a blank: rows with two filled cells less than most.
    """
    filled = [sum(bool(cell.strip()) for cell in cells) for cells in first]
    usual = Counter(filled).most_common(1)[0][0]
    top = next((number for number, count in enumerate(filled[:TITLE_ROWS]) if count >= usual - 1), 0)
    width = max(len(cells) for cells in first[:20])
    if any("@" in cell for cell in first[top]) or first[top] in first[top + 1 : top + 2]:
        return Head(top, [""] * width)
    return Head(top + 1, first[top])


def propose(header: list[str], sample: list[list[str]]) -> Plan:
    """Return the likely plan; each target but kept fields stands once, and nothing else is kept unasked."""
    targets: dict[int, str] = {}
    for index, name in enumerate(header):
        target = _by_name(name)
        if target and target not in targets.values():
            targets[index] = target
    best = _column_of_addresses(sample)
    if best is not None:
        targets = {i: t for i, t in targets.items() if t != "email"} | {best: "email"}
    dated = [row[i] for i, t in targets.items() if t in DATED for row in sample if i < len(row)]
    return Plan(targets, header, dates.propose_order(dated) or dates.DAY_FIRST)


def is_certain(plan: Plan, sample: list[list[str]]) -> bool:
    """Tell whether the plan leaves nothing to ask: every column known by its name, plain text, dates one way only."""
    known = [_by_name(name) for name in plan.names]
    named = plan.head == 1 and all(known) and [plan.targets.get(index) for index in range(len(known))] == known
    plain = all(cell.isascii() for row in sample for cell in row)
    dated = [row[i] for i, target in plan.targets.items() if target in DATED for row in sample if i < len(row)]
    one_way = all(dates.parse(cell, dates.DAY_FIRST) == dates.parse(cell, dates.MONTH_FIRST) for cell in dated)
    return named and "email" in known and plain and (one_way or dates.propose_order(dated) is not None)


def _by_name(name: str) -> str:
    return next((target for target, pattern in _PATTERNS.items() if pattern.fullmatch(name.strip())), "")


def _column_of_addresses(sample: list[list[str]]) -> int | None:
    """Return the column with the most cells that hold an at sign, or None when there is none."""
    counts: dict[int, int] = {}
    for row in sample:
        for index, cell in enumerate(row):
            counts[index] = counts.get(index, 0) + ("@" in cell)
    best = max(counts, key=lambda index: counts[index], default=None)
    return best if best is not None and counts[best] else None


def remembered(organization: Organization, header: list[str], before: ImportJob) -> Plan | None:
    """Return how this organization read its last file with the same column names, or None."""
    jobs = ImportJob.objects.for_org(organization).filter(header=header).exclude(pk=before.pk).exclude(columns={})
    last = jobs.order_by("-created_at").first()
    return plan_of(last) if last and last.columns.get("targets") else None


def complaints(plan: Plan) -> list[str]:
    """Return what is wrong with a chosen plan, in words; empty when it can be read."""
    chosen = [target for target in plan.targets.values() if target not in (IGNORE, *kinds.LABELS)]
    found = []
    if "email" not in chosen:
        found.append("Choose the column with the e-mail addresses")
    found += [f"Only one column can be: {TARGETS[target].lower()}" for target in TARGETS if chosen.count(target) > 1]
    if sum(target in kinds.LABELS for target in plan.targets.values()) > MAX_FIELDS:
        found.append(f"At most {MAX_FIELDS} further columns can be kept")
    return found
