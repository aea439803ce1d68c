"""Reputation is arithmetic: worked values of the rules, small samples, and simulated streams."""

from __future__ import annotations

import random

import pytest

from abuse.reputation import Counts, Level, judge, pauses_for_bounces, pauses_for_complaints, wilson_lower
from compliance import policy


@pytest.mark.parametrize(
    ("count", "total", "z", "lower"),
    [
        (0, 1000, 1.645, 0.0),
        (5, 0, 1.645, 0.0),
        (5, 1000, 1.645, 0.00243),
        (6, 1000, 1.645, 0.00311),
        (3, 1000, 1.96, 0.00102),
        (10, 10, 1.96, 0.7224),
    ],
)
def test_wilson_lower(count: int, total: int, z: float, lower: float) -> None:
    assert wilson_lower(count, total, z) == pytest.approx(lower, abs=0.00006)


@pytest.mark.parametrize(
    ("counts", "level"),
    [
        (Counts(base=1000, complaints=5), Level.WARN),  # no suspension: L is 0.24 %
        (Counts(base=1000, complaints=6), Level.SUSPEND),
        (Counts(base=300, complaints=2), Level.FINE),  # only counted
        (Counts(base=10_000, complaints=10), Level.FINE),
        (Counts(base=10_000, complaints=16), Level.WARN),
        (Counts(base=10_000, complaints=39), Level.SUSPEND),
        (Counts(attempts=199, hard_bounces=100), Level.FINE),
        (Counts(attempts=200, hard_bounces=4), Level.NOTICE),
        (Counts(attempts=200, hard_bounces=6), Level.WARN),
        (Counts(attempts=200, hard_bounces=20), Level.SUSPEND),
        (Counts(base=1000, unsubscribes=10), Level.NOTICE),
        (Counts(base=1000, unsubscribes=9), Level.FINE),
    ],
)
def test_levels(counts: Counts, level: Level) -> None:
    assert judge(counts).level is level
    assert bool(judge(counts).reasons) is (level is not Level.FINE)


@pytest.mark.parametrize(
    ("complaints", "base", "pauses"),
    [(3, 100, False), (4, 100, True), (4, 1500, True), (4, 1600, False), (10, 10_000, False), (4, 0, False)],
)
def test_automatic_pause_for_complaints(complaints: int, base: int, *, pauses: bool) -> None:
    assert pauses_for_complaints(Counts(base=base, complaints=complaints)) is pauses


def test_automatic_pause_for_bounces() -> None:
    assert not pauses_for_bounces(Counts(attempts=199, hard_bounces=199))
    assert not pauses_for_bounces(Counts(attempts=1000, hard_bounces=49))
    assert pauses_for_bounces(Counts(attempts=1000, hard_bounces=50))


def _stopped_at(rate: float, sent: int, seed: int) -> int | None:
    dice, complaints = random.Random(seed), 0
    for number in range(1, sent + 1):
        if dice.random() < rate:
            complaints += 1
            if pauses_for_complaints(Counts(base=number, complaints=complaints)):
                return number
    return None


def test_bad_senders_stop_early_and_clean_ones_go_on() -> None:
    bad = [_stopped_at(0.005, 2000, seed) for seed in range(200)]
    assert sum(stop is not None for stop in bad) >= 190
    clean = [_stopped_at(0.0002, 20_000, seed) for seed in range(100)]
    assert sum(stop is not None for stop in clean) <= 1


def test_counts_add_up() -> None:
    assert Counts(1, 2, 3, 4, 5) + Counts(10, 20, 30, 40, 50) == Counts(11, 22, 33, 44, 55)


def test_numbers_come_from_the_policy() -> None:
    assert (policy.C_BREAKER, policy.L_PAUSE, policy.Z_TWO_SIDED) == (4, 0.001, 1.96)
