"""When the staff looks at a list before it is mailed, and when a file is refused as a whole (rules 1.4, SRC-*). Pure
but for `facts_of`. Where a list may come from is scored in compliance.provenance; its signs join here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NotRequired, TypedDict

from django.db.models import Max, Q, Sum

from accounts.verification import agreed_list
from compliance import policy
from compliance.countries import STRICT
from compliance.imports.rows import Claim
from compliance.imports.scan import Counts, counts_of
from compliance.models import ImportJob, ImportState
from compliance.models.lists import ConsentBasis
from compliance.provenance import score as provenance
from compliance.provenance.marks import noise_of
from compliance.provenance.score import Level, Score, score
from compliance.provenance.traits import Traits
from sendserver.lib import clock

_TAKEN: Final = (ImportState.QUEUED, ImportState.READING, ImportState.HELD, ImportState.DONE)
SMALL: Final = 100  # rows under which a share of wrong addresses says nothing
# GDPR article 9 (unconfirmed): what such a column says of everybody on the list.
_SPECIAL: Final = re.compile(
    r"\b(diagnos\w*|illness|disease|patient\w*|health|medical|religion\w*|church|faith|politic\w*|party[ _]?member\w*"
    r"|sexual\w*|orientation|ethnic\w*|race|trade[ _]?union|biometric\w*|genetic\w*|minors?)\b",
    re.IGNORECASE,
)


class Reason(TypedDict):
    """One reason for a look: the rule's id, and the sentence that customer and staff read.

    Signs of provenance say more: what helps, what only the staff reads, and whether proof is asked or the list held.
    """

    rule: str
    text: str
    level: NotRequired[str]
    points: NotRequired[int]
    helps: NotRequired[str]
    evidence: NotRequired[str]


@dataclass(frozen=True)
class Facts:
    """What the reasons are made of; `biggest` is the organization's largest upload before, 0 for none.

    `pooled` are rows of its other uploads of the last days: many small files count as one large one.
    """

    counts: Counts
    claim: Claim
    biggest: int = 0
    names: list[str] = field(default_factory=list)  # file name, list name, columns
    pooled: int = 0
    noise: float = 0.0  # see compliance.provenance.marks
    minors: bool = False  # the sender says that there are
    agreed: int = 0  # people on a list that staff expect of this sender (accounts.verification.agreed_list)


def facts_of(job: ImportJob, claim: Claim) -> Facts:
    """Return the facts of an upload that was counted."""
    since = clock.now() - timedelta(days=policy.LIST_POOL_D)
    before = ImportJob.objects.for_org(job.organization).exclude(pk=job.pk).filter(state__in=_TAKEN)
    settled = Q(state=ImportState.DONE) & (Q(finished_at__lt=since) | ~Q(decided_at=None))  # old, or looked at
    return Facts(
        counts_of(job),
        claim,
        before.filter(settled).aggregate(most=Max("row_count"))["most"] or 0,
        [job.file_name, job.contact_list.name, *job.header],
        before.exclude(settled).aggregate(rows=Sum("row_count"))["rows"] or 0,
        noise_of(bytes(job.file_sha256)),
        job.answers.get("background", {}).get("minors") == "yes",
        agreed_list(job.organization),
    )


def refusal(counts: Counts) -> str:
    """Return why a file is not taken at all, "" when it is: too many of its addresses are wrong (SRC-PATTERN)."""
    share = counts.bad_addresses / counts.rows if counts.rows else 0
    if not counts.good:
        return "No row of the file can be taken. Check which column holds the e-mail addresses."
    if counts.tags > policy.TAGS_MAX:
        return (
            f"With this file you would have more than {policy.TAGS_MAX:,} tags. A tag is a word that many people "
            "share: keep the column as text instead."
        )
    if counts.rows < SMALL or share <= policy.LIST_INVALID_SHARE:
        return ""
    return (
        f"{counts.bad_addresses:,} of {counts.rows:,} addresses are wrong; we take files with up to "
        f"{100 * policy.LIST_INVALID_SHARE:.0f}%. Correct the file and upload it again."
    )


def reasons(facts: Facts) -> list[Reason]:
    """Return why the staff looks at a list first, or a sample of proof is asked for; empty when neither."""
    found: list[Reason] = [{"rule": rule, "text": text} for rule, text in _rules(facts)]
    judged = scored(facts)
    if judged.level != Level.PASS:
        found += [_as_reason(sign, judged.level) for sign in judged.signs if sign.rule != "SRC-SIZE-JUMP"]
    return found


def scored(facts: Facts) -> Score:
    """Return where the list may come from, as compliance.provenance judges it."""
    jump = jumped(facts.counts.rows + facts.pooled, facts.biggest, facts.agreed)
    traits = Traits.from_json(facts.counts.provenance)
    return score(provenance.Facts(facts.counts, traits, facts.names, facts.noise, jumped=jump))


def only_asks(found: list[Reason]) -> bool:
    """Tell whether a sample of proof is all that a held upload waits for."""
    return bool(found) and all(reason.get("level") == Level.ASK for reason in found)


def _as_reason(sign: provenance.Sign, level: str) -> Reason:
    shown = {"text": sign.text, "helps": sign.helps, "evidence": sign.evidence}
    return {"rule": sign.rule, "level": str(level), "points": sign.points, **shown}  # type: ignore[typeddict-item]


def jumped(rows: int, biggest: int, agreed: int = 0) -> bool:
    """Tell whether a list is larger than what came before explains (rules SRC-SIZE-JUMP).

    Staff may have looked beforehand: with a verification they agree to a length, with their reason.
    """
    if rows <= agreed:
        return False
    if not biggest:
        return rows > policy.LIST_FIRST_HOLD
    return rows > policy.LIST_JUMP_FACTOR * biggest and rows > policy.LIST_SAME_DATE_MIN


def _rules(facts: Facts) -> list[tuple[str, str]]:
    return [*_size(facts), *_stale(facts), *_names(facts.names), *_minors(facts), *_offline(facts)]


def _size(facts: Facts) -> list[tuple[str, str]]:
    rows = facts.counts.rows + facts.pooled
    if not jumped(rows, facts.biggest, facts.agreed):
        return []
    with_others = " with your other uploads of these days" if facts.pooled else ""
    if facts.agreed > facts.biggest:
        text = f"It has {rows:,} rows{with_others}; {facts.agreed:,} were agreed with your verification."
    elif facts.biggest:
        text = f"It has {rows:,} rows{with_others}; your largest list before had {facts.biggest:,}."
    else:
        text = f"It is your first list and has {rows:,} rows{with_others}, more than {policy.LIST_FIRST_HOLD:,}."
    return [("SRC-SIZE-JUMP", text)]


def _stale(facts: Facts) -> list[tuple[str, str]]:
    if not facts.counts.older_than_hold or facts.claim.last_contact_at is not None:
        return []
    text = (
        f"{facts.counts.older_than_hold:,} sign-ups are older than {policy.NEVER_MAILED_HOLD_MONTHS} months, and you "
        "did not say when these people last got mail from you."
    )
    return [("CONSENT-STALE", text)]


def _names(names: list[str]) -> list[tuple[str, str]]:
    special = next((name for name in names if _SPECIAL.search(name.replace("_", " "))), "")
    if special:
        return [("SRC-SPECIAL-DATA", f'The name "{special[:60]}" points to data that needs special care.')]
    return []


def _minors(facts: Facts) -> list[tuple[str, str]]:
    if not facts.minors:
        return []
    return [("SRC-SPECIAL-DATA", "You say that people under 18 are on the list; their permission needs special care.")]


def _offline(facts: Facts) -> list[tuple[str, str]]:
    strict = sum(count for code, count in facts.counts.places.items() if (code or facts.claim.country) in STRICT)
    if facts.claim.basis == ConsentBasis.EXPRESS_WRITTEN and strict:
        return [("CONSENT-DOI", f"{strict:,} people live where a written yes is looked at first.")]
    return []
