"""The gate: a proposal in, an answer out. Pure; only `record` writes, and it writes one append-only verdict.

The gate asks nobody and loads nothing: campaigns fills the proposal, the rules of compliance.rules judge it. It does
not decide per recipient (compliance.consent, compliance.suppression do) and never moves a campaign.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from accounts import ledger
from accounts.models import Organization, User
from compliance.models import Verdict

PASS, WARN, HOLD, BLOCK = "pass", "warn", "hold", "block"
ORDER = (PASS, WARN, HOLD, BLOCK)


@dataclass(frozen=True)
class SenderFacts:
    """The organization: may it send, how much today."""

    uid: str
    name: str
    standing: str
    may_send: bool
    allowance: int  # messages a day
    allowance_left: int  # of today, UTC


@dataclass(frozen=True)
class IdentityFacts:
    """Who the sender is by law, as verified; empty texts where nothing is known."""

    legal_name: str = ""
    trade_name: str = ""
    register: str = ""
    country: str = ""
    postal_line: str = ""
    contact: str = ""  # e-mail, phone or web, as the footer prints it
    website: str = ""


@dataclass(frozen=True)
class FromFacts:
    """The From address and the mailbox that answers."""

    display_name: str = ""
    address: str = ""
    domain_ready: bool = False  # ownership, signature, return path, DMARC right at the last check
    reply_to: str = ""
    reply_confirmed_at: datetime | None = None


@dataclass(frozen=True)
class ListFacts:
    """One chosen list."""

    uid: str
    name: str
    people: int
    attested: int  # memberships with a signed statement behind them
    held_reason: str = ""
    topics: str = ""


@dataclass(frozen=True)
class SegmentFacts:
    """The segment that narrows the lists: its conditions in words, and what is wrong with it ("" nothing)."""

    name: str
    lines: tuple[str, ...] = ()
    fault: str = ""
    digest: str = ""


@dataclass(frozen=True)
class AudienceFacts:
    """Who would get it: counts only, of this moment unless `counted_at` says of which.

    Where `is_counted` is False nothing is known yet, and nobody may read the zeros as "nobody".
    """

    total: int = 0
    mailable: int = 0
    by_country: tuple[tuple[str, int, int], ...] = ()  # country ("" unknown), mailable, left out
    left_out: tuple[tuple[str, str, int], ...] = ()  # reason code, words, people
    without_express: int = 0  # mailable by a basis that is not an express permission
    missing_values: tuple[tuple[str, int], ...] = ()  # needed field, mailable people without it
    left_by_country: tuple[tuple[str, str, int], ...] = ()  # country, words of the reason, people; most first
    is_counted: bool = True
    are_values_counted: bool = True  # `missing_values` may be counted apart
    counted_at: datetime | None = None
    has_changed: bool = False  # the lists are not as they were then
    waits: bool = False  # a worker counts anew
    failed: bool = False  # it took too long


@dataclass(frozen=True)
class Sample:
    """The message as one person would get it."""

    subject: str
    html: str
    text: str
    size: int  # octets of the whole message


@dataclass(frozen=True)
class LinkFacts:
    """One link of the customer's own text: what it says and where it goes."""

    text: str
    url: str


@dataclass(frozen=True)
class Proposal:
    """Everything the gate judges, frozen. Missing facts are empty and never mean pass."""

    now: datetime
    sender: SenderFacts
    identity: IdentityFacts
    from_: FromFacts
    subject: str
    preheader: str
    source_html: str  # the customer's own part before footer and inlining, for CONTENT-ATTACH
    samples: tuple[Sample, ...]  # with real contacts; the first one is judged in full
    merge_problems: tuple[str, ...]  # sentences
    headers: tuple[tuple[str, str], ...]  # header block of the first sample, in order
    links: tuple[LinkFacts, ...]
    unsubscribe_url: str  # of the first sample
    lists: tuple[ListFacts, ...]
    audience: AudienceFacts
    content_sha256: bytes
    offer_ends_at: date | None = None
    declared_domains: tuple[str, ...] = ()
    segment: SegmentFacts | None = None


@dataclass(frozen=True)
class Check:
    """What one rule answered. `text` is for the customer: what is wrong and how to put it right."""

    rule_id: str
    version: int
    label: str
    decision: str  # pass, warn, hold or block
    text: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    fix_url_name: str = ""  # URL name of the page where it is put right
    policy_rule: str = ""  # number in the anti-spam policy

    @property
    def ok(self) -> bool:
        """Tell whether nothing is left to do."""
        return self.decision == PASS

    def as_json(self) -> dict[str, Any]:
        """Return what a verdict keeps."""
        kept = {"id": self.rule_id, "version": self.version, "decision": self.decision, "text": self.text}
        return {**kept, "evidence": dict(self.evidence)}


@dataclass(frozen=True)
class Answer:
    """The gate's whole answer, checks in the registry's order."""

    decision: str  # Verdict.Decision: pass, hold or block
    checks: tuple[Check, ...]
    content_sha256: bytes

    @property
    def open_checks(self) -> tuple[Check, ...]:
        """Return what is not passed, worst first."""
        return tuple(sorted((c for c in self.checks if not c.ok), key=lambda c: -ORDER.index(c.decision)))

    def counts(self) -> dict[str, int]:
        """Return how many checks gave each decision."""
        return {decision: sum(c.decision == decision for c in self.checks) for decision in ORDER}


def judge(proposal: Proposal) -> Answer:
    """Return the answer of all registered rules; a rule that fails to run blocks (missing data never means pass)."""
    from compliance.rules import registry

    checks = tuple(rule.check(proposal) for rule in registry())
    return Answer(worst(c.decision for c in checks), checks, proposal.content_sha256)


def worst(decisions: Iterable[str]) -> str:
    """Return the decision of a verdict: warnings pass, a single block blocks."""
    highest = max((ORDER.index(decision) for decision in decisions), default=ORDER.index(BLOCK))
    return PASS if ORDER[highest] == WARN else ORDER[highest]


def record(
    answer: Answer, *, organization: Organization, subject_uid: uuid.UUID, actor: User | None, at: datetime
) -> Verdict:
    """Store an answer as an append-only, chained verdict and return it; `subject_uid` is the campaign's."""
    fields = {
        "organization_id": organization.pk,
        "subject_uid": subject_uid,
        "content_sha256": answer.content_sha256,
        "decision": answer.decision,
        "checks": [check.as_json() for check in answer.checks],
        "actor_id": actor.pk if actor else None,
        "at": at,
    }
    return ledger.append_chained(Verdict, fields)
