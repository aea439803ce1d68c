"""Facts of an upload -> a score with its reasons. Pure.

Each sign gives points. A breach of a number of rules SRC-PATTERN, SRC-METADATA or SRC-TRAP is enough alone, because
those rules say "hold"; weaker signs count together, never one alone (decision 0030). Shares are judged by the lower
end of what a sample of this size can mean, so that a small list is not held for three addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from math import sqrt
from typing import Final

from compliance import policy
from compliance.imports.scan import Counts
from compliance.provenance.traits import Traits

SMALL: Final = 100  # rows under which a share says nothing
ENOUGH: Final = policy.PROVENANCE_HOLD  # points of a sign that holds a list alone
_BROKERS: Final = re.compile(
    r"apollo|zoominfo|lusha|rocketreach|hunter[ _.]?io|leadiq|seamless|uplead|snov|clearbit|cognism|kaspr"
    r"|scrap(e|ed|er|ing)|enrich(ed|ment)|harvest|lead[ _-]?list|linkedin|profile[ _-]?url|twitter[ _-]?handle"
    r"|email[ _-]?(status|confidence|score)",
    re.IGNORECASE,
)
# What a crawler notes down beside an address, and a person who signs up does not type.
_CRAWLED: Final = re.compile(
    r"(company |business )?(web ?site|url|phone|fax)|source[ _-]?url|url found on|found on", re.IGNORECASE
)


class Level(StrEnum):
    """What becomes of an upload."""

    PASS = "pass"  # noqa: S105 (no password)
    ASK = "ask"  # 25 rows of proof first
    HOLD = "hold"  # the staff looks first


@dataclass(frozen=True)
class Sign:
    """One reason: what the customer reads (bands only where it concerns others), what helps, what staff read."""

    rule: str
    points: int
    text: str
    helps: str
    evidence: str


@dataclass(frozen=True)
class Facts:
    """What is judged; `noise` (a share, about zero) blurs the bounds of what others know (see `marks`)."""

    counts: Counts
    traits: Traits = field(default_factory=Traits)
    names: list[str] = field(default_factory=list)  # file name, list name, columns
    noise: float = 0.0
    jumped: bool = False  # rules SRC-SIZE-JUMP


@dataclass(frozen=True)
class Score:
    """Points, what they lead to, and the signs they are made of, heaviest first."""

    points: int
    level: Level
    signs: tuple[Sign, ...]


def score(facts: Facts) -> Score:
    """Judge an upload."""
    found = [*_metadata(facts), *_rows(facts), *_dates(facts.counts), *_looks(facts), *_others(facts)]
    signs = tuple(sorted(found, key=lambda sign: -sign.points))
    points = sum(sign.points for sign in signs)
    return Score(points, _level(points), signs)


def _level(points: int) -> Level:
    if points >= policy.PROVENANCE_HOLD:
        return Level.HOLD
    return Level.ASK if points >= policy.PROVENANCE_ASK else Level.PASS


def at_least(part: int, whole: int) -> float:
    """Return the share that is at least meant by `part` of `whole`: Wilson's lower bound, one-sided 95 %."""
    if not whole:
        return 0.0
    z, p = policy.Z, part / whole
    spread = z * sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole))
    return max(0.0, (p + z * z / (2 * whole) - spread) / (1 + z * z / whole))


def _metadata(facts: Facts) -> Iterator[Sign]:
    broker = next((name for name in facts.names if _BROKERS.search(name)), "")
    if broker:
        yield Sign(
            "SRC-METADATA",
            ENOUGH,
            f'The name "{broker[:60]}" is usual in lists that people did not sign up for.',
            "Tell us which form these people filled in, and where the column comes from.",
            f"Column or file name: {broker[:60]}",
        )
    crawled = next((name for name in facts.names[2:] if _CRAWLED.fullmatch(name.strip())), "")
    if crawled:
        yield Sign(
            "SRC-METADATA",
            20,
            f'The column "{crawled[:60]}" is seldom part of a sign-up.',
            "Upload only what people entered themselves.",
            f"Column: {crawled[:60]}",
        )
    if facts.jumped:
        yield Sign(
            "SRC-SIZE-JUMP",
            20,
            "It is much larger than what you had here before.",
            "Say where so many people came from at once.",
            f"{facts.counts.rows:,} rows",
        )


def _rows(facts: Facts) -> Iterator[Sign]:
    counts = facts.counts
    if counts.rows < SMALL:
        return
    role, said_no = counts.bad.get("role", 0), sum(counts.said_no.values())
    if role > policy.LIST_ROLE_SHARE * counts.rows:
        yield Sign(
            "SRC-PATTERN",
            ENOUGH,
            f"{role:,} addresses belong to a function, not to a person.",
            "Nobody signs up as postmaster or noreply. Show us the form that these came from.",
            f"{role:,} of {counts.rows:,}; more than {policy.LIST_ROLE_SHARE:.0%}",
        )
    if said_no > policy.LIST_SUPPRESSED_SHARE * counts.rows:
        yield Sign(
            "SRC-PATTERN",
            ENOUGH,
            f"{said_no:,} people on it said no before or cannot be reached.",
            "Export only people who are still subscribed in your old tool.",
            f"{said_no:,} of {counts.rows:,}; more than {policy.LIST_SUPPRESSED_SHARE:.0%}",
        )
    if at_least(counts.bad_addresses, counts.rows) > policy.LIST_INVALID_SIGN_SHARE:
        yield Sign(
            "SRC-PATTERN",
            20,
            f"{counts.bad_addresses:,} addresses are wrong.",
            "Correct them; addresses that people typed themselves are seldom wrong so often.",
            f"{counts.bad_addresses:,} of {counts.rows:,}",
        )


def _dates(counts: Counts) -> Iterator[Sign]:
    wrong = counts.bad.get("date_future", 0) + counts.bad.get("date_unreadable", 0)
    if counts.rows >= SMALL and wrong > policy.LIST_BAD_DATE_SHARE * counts.rows:
        yield Sign(
            "SRC-PATTERN",
            ENOUGH,
            f"{wrong:,} sign-up dates cannot be right.",
            "Export the dates from where people signed up, or leave the column out.",
            f"{wrong:,} of {counts.rows:,} in the future or unreadable",
        )
    if counts.dated > policy.LIST_SAME_DATE_MIN and counts.same_date > policy.LIST_SAME_DATE_SHARE * counts.dated:
        yield Sign(
            "SRC-PATTERN",
            ENOUGH,
            f"{counts.same_date:,} sign-ups have the very same date.",
            "If it is the day of an export, export the day of each sign-up instead.",
            f"{counts.same_date:,} of {counts.dated:,} dates are one instant",
        )
    if counts.good >= SMALL and not counts.dated:
        yield Sign(
            "SRC-PATTERN",
            25,
            "The file has no sign-up dates.",
            "Add the column with the day on which each person signed up.",
            "No date column",
        )


def _looks(facts: Facts) -> Iterator[Sign]:
    traits = facts.traits
    if traits.sampled < SMALL:
        return
    shared, spread = at_least(traits.shared, traits.sampled), at_least(traits.alone, traits.sampled)
    if shared > policy.LIST_SHARED_SHARE:
        many = shared > 3 * policy.LIST_SHARED_SHARE
        yield Sign(
            "SRC-PATTERN",
            55 if many else 25,
            "Many addresses are shared mailboxes, such as info@ or sales@.",
            "Show us the form on which these companies asked for your mail.",
            f"{traits.shared:,} of {traits.sampled:,} looked at",
        )
    if spread > policy.LIST_SPREAD_SHARE:
        yield Sign(
            "SRC-PATTERN",
            30,
            "Nearly every address is at a domain of its own, as in a list collected from websites.",
            "If you sell to companies this is normal; sign-up dates and names make it plain.",
            f"{traits.alone:,} of {traits.sampled:,} at domains with at most two addresses",
        )
    if max(traits.by_address, traits.by_domain) > policy.LIST_ORDER_SHARE:
        yield Sign(
            "SRC-PATTERN",
            15,
            "The addresses are in alphabetical order, not in that in which people signed up.",
            "Upload the export as it came out of your tool.",
            f"In order by address {traits.by_address:.0%}, by domain {traits.by_domain:.0%}",
        )
    # Only where domains have many addresses: "info" and "anna" recur in every list of companies.
    if traits.locals < policy.LIST_LOCALS_SHARE * traits.sampled and 2 * traits.alone < traits.sampled:
        yield Sign(
            "SRC-PATTERN",
            ENOUGH,
            "The same few names stand before the @ at very many domains, as if addresses were guessed.",
            "Take out addresses that nobody gave you.",
            f"{traits.locals:,} different names before the @ in {traits.sampled:,} addresses",
        )
    yield from _dead(traits)


def _dead(traits: Traits) -> Iterator[Sign]:
    share = traits.dead / traits.looked_at if traits.looked_at >= SMALL else 0.0
    if share <= policy.LIST_DEAD_DOMAIN_SHARE:
        return
    sure = at_least(traits.dead, traits.looked_at) > policy.LIST_DEAD_DOMAIN_SHARE
    yield Sign(
        "SRC-PATTERN",
        ENOUGH if sure else 40,
        "Many addresses are at domains that take no mail.",
        "Old lists collect such addresses. Take out who has not opened or bought for long.",
        f"{traits.dead:,} of {traits.looked_at:,} looked up; more than {policy.LIST_DEAD_DOMAIN_SHARE:.0%}",
    )


def _others(facts: Facts) -> Iterator[Sign]:
    """Yield what others know. The customer reads no figure and no name: each list would be a question about people."""
    traits, seen = facts.traits, facts.traits.overlap
    if traits.traps:
        yield Sign(
            "SRC-TRAP",
            ENOUGH,
            "The list holds addresses that never signed up anywhere.",
            "Tell us where the list comes from; people who signed up are not affected.",
            f"{traits.traps:,} of our own trap addresses",
        )
    if seen.asked < policy.OVERLAP_MIN_ROWS:
        return
    yield from _overlap(facts)
    bad = (seen.complained + seen.bounced) / seen.asked + facts.noise / 2
    if bad > policy.LIST_TROUBLE_SHARE:
        yield Sign(
            "SRC-PATTERN",
            ENOUGH if bad > policy.LIST_SUPPRESSED_SHARE else 40,
            "Mail to a good part of these addresses caused complaints or bounces before.",
            "Take out who has not heard from you for long.",
            f"{seen.complained:,} complained and {seen.bounced:,} bounced elsewhere, of {seen.asked:,}",
        )


def _overlap(facts: Facts) -> Iterator[Sign]:
    seen, noise = facts.traits.overlap, facts.noise
    widely, blocked = seen.widely / seen.asked + noise, seen.blocked / seen.asked + noise
    broad = sum(count / seen.asked + noise > policy.LIST_HOLDER_SHARE for count in seen.holders)
    evidence = (
        f"Of {seen.asked:,} looked at: {seen.known:,} known at unrelated customers, {seen.widely:,} at three or more, "
        f"{seen.blocked:,} at blocked ones; largest shares {', '.join(f'{count:,}' for count in seen.holders[:5])}"
    )
    text = "A large part of these addresses came to us from customers who have nothing to do with you."
    helps = "Show us how these people came to you: form, dates, wording."
    if widely > policy.LIST_OVERLAP_SHARE or broad >= policy.LIST_HOLDERS or blocked > policy.LIST_OVERLAP_SHARE:
        yield Sign("SRC-PATTERN", ENOUGH, text, helps, evidence)
    elif seen.known / seen.asked + noise > 2 * policy.LIST_OVERLAP_SHARE or blocked > policy.LIST_HOLDER_SHARE:
        yield Sign("SRC-PATTERN", policy.PROVENANCE_ASK, text, helps, evidence)
