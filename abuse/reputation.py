"""From counts to a level: pure arithmetic, no tables, no effects.

Small samples must not convict, so rates are judged by the lower end of Wilson's interval (E. B. Wilson 1927). Numbers
stand in compliance.policy. A level is a suggestion to staff: only a named person moves standing (rules 9.8).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from compliance import policy


class Level(IntEnum):
    """What the figures suggest, in rising order; rules section 5.4."""

    FINE = 0
    NOTICE = 1
    WARN = 2
    SUSPEND = 3


@dataclass(frozen=True)
class Counts:
    """What was counted over one campaign or window. `base` is messages accepted by our servers and not bounced."""

    base: int = 0
    complaints: int = 0  # distinct people
    hard_bounces: int = 0
    attempts: int = 0  # messages that got a final answer, bounced ones included
    unsubscribes: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return both together."""
        return Counts(
            self.base + other.base,
            self.complaints + other.complaints,
            self.hard_bounces + other.hard_bounces,
            self.attempts + other.attempts,
            self.unsubscribes + other.unsubscribes,
        )


@dataclass(frozen=True)
class Judgement:
    """A level with its reasons in words, strongest first."""

    level: Level
    reasons: tuple[str, ...]


def wilson_lower(count: int, total: int, z: float = policy.Z) -> float:
    """Return the lower end of Wilson's interval of `count` in `total` as a share, 0.0 when nothing was counted."""
    if total <= 0 or count <= 0:
        return 0.0
    share = min(count, total) / total
    square = z * z
    centre = share + square / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return max(0.0, (centre - spread) / (1 + square / total))


def judge(counts: Counts) -> Judgement:
    """Return what the counts suggest; below N_MIN messages complaints are only counted."""
    found = sorted([*_complaint_levels(counts), *_bounce_levels(counts), *_unsubscribe_levels(counts)], reverse=True)
    return Judgement(found[0][0] if found else Level.FINE, tuple(reason for _, reason in found))


def _complaint_levels(counts: Counts) -> list[tuple[Level, str]]:
    if counts.base < policy.N_MIN or not counts.complaints:
        return []
    lower = wilson_lower(counts.complaints, counts.base)
    words = f"{counts.complaints:,} complaints among {counts.base:,} messages, at least {100 * lower:.2f}%"
    if lower >= policy.L_SUSPEND and counts.complaints >= policy.C_SUSPEND:
        return [(Level.SUSPEND, words)]
    if lower >= policy.L_WARN and counts.complaints >= policy.C_WARN:
        return [(Level.WARN, words)]
    return [(Level.NOTICE, words)] if lower >= policy.L_NOTICE else []


def _bounce_levels(counts: Counts) -> list[tuple[Level, str]]:
    if counts.attempts < policy.HB_N_MIN:
        return []
    share = counts.hard_bounces / counts.attempts
    words = f"{counts.hard_bounces:,} of {counts.attempts:,} addresses do not exist, {100 * share:.1f}%"
    steps = ((policy.HB_SUSPEND, Level.SUSPEND), (policy.HB_WARN, Level.WARN), (policy.HB_NOTICE, Level.NOTICE))
    return next(([(level, words)] for mark, level in steps if share >= mark), [])


def _unsubscribe_levels(counts: Counts) -> list[tuple[Level, str]]:
    if counts.base < policy.N_MIN or counts.unsubscribes < policy.UNSUB_NOTICE * counts.base:
        return []
    share = 100 * counts.unsubscribes / counts.base
    return [(Level.NOTICE, f"{counts.unsubscribes:,} people unsubscribed, {share:.1f}%")]


def pauses_for_complaints(counts: Counts) -> bool:
    """Tell whether sending stops until a person looks: C_BREAKER complaints and the two-sided bound at L_PAUSE."""
    if counts.complaints < policy.C_BREAKER:
        return False
    return wilson_lower(counts.complaints, counts.base, policy.Z_TWO_SIDED) >= policy.L_PAUSE


def pauses_for_bounces(counts: Counts) -> bool:
    """Tell whether a campaign stops because too many addresses do not exist (HB_PAUSE after HB_N_MIN attempts)."""
    return counts.attempts >= policy.HB_N_MIN and counts.hard_bounces >= policy.HB_PAUSE * counts.attempts
