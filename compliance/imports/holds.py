"""When the staff looks at a list before it is mailed, and when a file is refused as a whole (rules 1.4, SRC-*). Pure
but for `facts_of`. Scoring where a list may come from (provenance) is another room and adds its reasons here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, TypedDict

from django.db.models import Max

from compliance import policy
from compliance.countries import STRICT
from compliance.imports.rows import Claim
from compliance.imports.scan import Counts, counts_of
from compliance.models import ImportJob, ImportState
from compliance.models.lists import ConsentBasis

SMALL: Final = 100  # rows under which a share says nothing
_BROKERS: Final = re.compile(
    r"apollo|zoominfo|lusha|rocketreach|hunter[ _.]?io|leadiq|seamless|uplead|snov|clearbit|cognism|kaspr"
    r"|scrap(e|ed|er|ing)|enrich(ed|ment)|harvest|lead[ _-]?list|linkedin|profile[ _-]?url|twitter[ _-]?handle"
    r"|email[ _-]?(status|confidence|score)",
    re.IGNORECASE,
)
# GDPR article 9 (unconfirmed): what such a column says of everybody on the list.
_SPECIAL: Final = re.compile(
    r"\b(diagnos\w*|illness|disease|patient\w*|health|medical|religion\w*|church|faith|politic\w*|party[ _]?member\w*"
    r"|sexual\w*|orientation|ethnic\w*|race|trade[ _]?union|biometric\w*|genetic\w*|minors?)\b",
    re.IGNORECASE,
)


class Reason(TypedDict):
    """One reason for a look: the rule's id, and the sentence that customer and staff read."""

    rule: str
    text: str


@dataclass(frozen=True)
class Facts:
    """What the reasons are made of; `biggest` is the organization's largest upload before, 0 for none."""

    counts: Counts
    claim: Claim
    biggest: int = 0
    names: list[str] = field(default_factory=list)  # file name and columns


def facts_of(job: ImportJob, claim: Claim) -> Facts:
    """Return the facts of an upload that was counted."""
    before = ImportJob.objects.for_org(job.organization).filter(state=ImportState.DONE).exclude(pk=job.pk)
    biggest = before.aggregate(most=Max("row_count"))["most"] or 0
    return Facts(counts_of(job), claim, biggest, [job.file_name, job.contact_list.name, *job.header])


def refusal(counts: Counts) -> str:
    """Return why a file is not taken at all, "" when it is: too many of its addresses are wrong (SRC-PATTERN)."""
    share = counts.bad_addresses / counts.rows if counts.rows else 0
    if not counts.good:
        return "No row of the file can be taken. Check which column holds the e-mail addresses."
    if counts.rows < SMALL or share <= policy.LIST_INVALID_SHARE:
        return ""
    return (
        f"{counts.bad_addresses:,} of {counts.rows:,} addresses are wrong; we take files with up to "
        f"{100 * policy.LIST_INVALID_SHARE:.0f}%. Correct the file and upload it again."
    )


def reasons(facts: Facts) -> list[Reason]:
    """Return why the staff looks at a list first; empty when it need not."""
    found = [*_size(facts), *_shares(facts.counts), *_dates(facts), *_names(facts.names), *_offline(facts)]
    return [{"rule": rule, "text": text} for rule, text in found]


def _size(facts: Facts) -> list[tuple[str, str]]:
    rows = facts.counts.rows
    if not facts.biggest and rows > policy.LIST_FIRST_HOLD:
        return [
            ("SRC-SIZE-JUMP", f"It is your first list and has {rows:,} rows, more than {policy.LIST_FIRST_HOLD:,}.")
        ]
    if facts.biggest and rows > policy.LIST_JUMP_FACTOR * facts.biggest and rows > policy.LIST_SAME_DATE_MIN:
        return [("SRC-SIZE-JUMP", f"It has {rows:,} rows; your largest list before had {facts.biggest:,}.")]
    return []


def _shares(counts: Counts) -> list[tuple[str, str]]:
    if counts.rows < SMALL:
        return []
    role, said_no = counts.bad.get("role", 0), sum(counts.said_no.values())
    found = []
    if role > policy.LIST_ROLE_SHARE * counts.rows:
        found.append(("SRC-PATTERN", f"{role:,} addresses belong to a function, not to a person."))
    if said_no > policy.LIST_SUPPRESSED_SHARE * counts.rows:
        found.append(("SRC-PATTERN", f"{said_no:,} people on it said no before or cannot be reached."))
    wrong = counts.bad.get("date_future", 0) + counts.bad.get("date_unreadable", 0)
    if wrong > policy.LIST_BAD_DATE_SHARE * counts.rows:
        found.append(("SRC-PATTERN", f"{wrong:,} sign-up dates cannot be right."))
    return found


def _dates(facts: Facts) -> list[tuple[str, str]]:
    counts, found = facts.counts, []
    if counts.dated > policy.LIST_SAME_DATE_MIN and counts.same_date > policy.LIST_SAME_DATE_SHARE * counts.dated:
        found.append(("SRC-PATTERN", f"{counts.same_date:,} sign-ups have the very same date."))
    if counts.older_than_hold and facts.claim.last_contact_at is None:
        found.append(
            (
                "CONSENT-STALE",
                f"{counts.older_than_hold:,} sign-ups are older than {policy.NEVER_MAILED_HOLD_MONTHS} months, and you "
                "did not say when these people last got mail from you.",
            )
        )
    return found


def _names(names: list[str]) -> list[tuple[str, str]]:
    found = []
    broker = next((name for name in names if _BROKERS.search(name)), "")
    special = next((name for name in names if _SPECIAL.search(name.replace("_", " "))), "")
    if broker:
        found.append(("SRC-METADATA", f'The name "{broker[:60]}" is usual in lists that people did not sign up for.'))
    if special:
        found.append(("SRC-SPECIAL-DATA", f'The name "{special[:60]}" points to data that needs special care.'))
    return found


def _offline(facts: Facts) -> list[tuple[str, str]]:
    strict = sum(count for code, count in facts.counts.places.items() if (code or facts.claim.country) in STRICT)
    if facts.claim.basis == ConsentBasis.EXPRESS_WRITTEN and strict:
        return [("CONSENT-DOI", f"{strict:,} people live where a written yes is looked at first.")]
    return []
