"""The score of uploads: single signs at their bounds, signs together, and must-show 6 on seeds that nobody tuned on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compliance import policy
from compliance.imports.scan import Counts
from compliance.provenance.score import Facts, Level, at_least, score
from compliance.provenance.traits import Overlap, Traits, read
from compliance.testing import bad, honest, judging, seeds

DATED = Counts(done=True, rows=10_000, good=10_000, dated=10_000, same_date=20)
PLAIN = Traits(sampled=10_000, shared=50, alone=800, locals=9_900, by_address=0.5, by_domain=0.6)


def level(counts=DATED, names=(), noise=0.0, **traits):
    return score(Facts(counts, replace(PLAIN, **traits), list(names), noise)).level


def seen(asked=10_000, **counts):
    return Overlap(asked=asked, **counts)


def test_a_plain_list_passes_without_a_word():
    assert score(Facts(DATED, PLAIN)) == score(Facts(DATED, PLAIN))
    assert (score(Facts(DATED, PLAIN)).points, level()) == (0, Level.PASS)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (replace(DATED, bad={"role": 200}), Level.PASS),
        (replace(DATED, bad={"role": 201}), Level.HOLD),
        (replace(DATED, said_no={"unsubscribe": 600, "hard_bounce": 400}), Level.PASS),
        (replace(DATED, said_no={"unsubscribe": 600, "hard_bounce": 401}), Level.HOLD),
        (replace(DATED, bad={"date_future": 300, "date_unreadable": 201}), Level.HOLD),
        (replace(DATED, same_date=9001), Level.HOLD),
        (replace(DATED, rows=1000, good=1000, dated=1000, same_date=1000), Level.PASS),
        (replace(DATED, rows=99, bad={"role": 50}), Level.PASS),
        (replace(DATED, dated=0, same_date=0), Level.PASS),  # no dates alone is no reason
    ],
)
def test_signs_of_the_rows(counts, expected):
    assert level(counts) == expected


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (seen(known=4000, widely=2000), Level.PASS),
        (seen(known=4000, widely=2001), Level.HOLD),
        (seen(known=4001), Level.ASK),
        (seen(known=3000, holders=(1001, 1001, 1001)), Level.HOLD),
        (seen(known=3000, holders=(3000, 1001, 1000)), Level.PASS),
        (seen(blocked=2001), Level.HOLD),
        (seen(blocked=1001), Level.ASK),
        (seen(complained=150, bounced=150), Level.PASS),
        (seen(complained=1000, bounced=1), Level.HOLD),
        (Overlap(asked=499, known=499, widely=499, holders=(499, 499, 499)), Level.PASS),
    ],
)
def test_what_others_know(overlap, expected):
    assert level(overlap=overlap) == expected


def test_one_trap_is_enough():
    assert level(traps=1) == Level.HOLD


def test_dead_domains_hold_only_where_the_sample_is_sure():
    assert level(looked_at=400, dead=12) == Level.PASS
    assert level(looked_at=400, dead=13) == Level.PASS  # more than 3 %, by chance perhaps: 40 points
    assert level(looked_at=400, dead=20) == Level.HOLD
    assert level(looked_at=99, dead=50) == Level.PASS


def test_names_of_data_traders_hold_and_a_crawler_s_column_counts():
    assert level(names=["people.csv", "Readers", "email", "apollo_id"]) == Level.HOLD
    (sign,) = score(Facts(DATED, PLAIN, ["people.csv", "Readers", "email", "Website"])).signs
    assert (sign.rule, sign.points) == ("SRC-METADATA", 20)


def test_signs_count_together():
    undated = replace(DATED, dated=0, same_date=0)
    company = {"alone": 9_500}
    assert level(**company) == Level.PASS
    assert level(undated, **company) == Level.PASS
    assert level(undated, **company, by_domain=1.0) == Level.ASK
    assert level(undated, **company, shared=4_000) == Level.HOLD


def test_guessed_names_at_many_domains():
    keys = [f"{name}@firm{number}.example" for number in range(40) for name in "abcdefghijklmnopqrstuvwxyz"]
    traits = read(keys)
    assert (traits.sampled, traits.locals, traits.alone) == (1040, 26, 0)
    assert score(Facts(DATED, traits)).level == Level.HOLD


def test_traits_come_back_from_json():
    traits = replace(PLAIN, traps=2, overlap=seen(known=3, holders=(2, 1)))
    assert Traits.from_json(traits.to_json()) == traits
    assert Traits.from_json({}) == Traits()


def test_noise_moves_the_bound_and_nothing_the_customer_reads_has_a_figure_of_others():
    overlap = seen(known=4000, widely=1950)
    assert (level(overlap=overlap), level(overlap=overlap, noise=0.015)) == (Level.PASS, Level.HOLD)
    found = score(Facts(DATED, replace(PLAIN, overlap=seen(known=9876, widely=9875, complained=5432), traps=7)))
    for sign in found.signs:
        assert not any(char.isdigit() for char in sign.text + sign.helps)
        assert any(char.isdigit() for char in sign.evidence)


def test_every_sign_says_what_helps():
    found = [score(judging.facts_of(seeds.make(maker, seed))) for maker in bad.MAKERS for seed in range(2)]
    assert all(sign.text and sign.helps and sign.evidence for each in found for sign in each.signs)


@pytest.mark.parametrize(("part", "whole"), [(0, 10), (10, 10), (3, 1000), (400, 1000)])
def test_the_lower_bound_is_below_the_share(part, whole):
    assert 0 <= at_least(part, whole) <= part / whole


def test_must_show_6_on_some_held_out_seeds():
    """A small cut of `manage.py provenance_table`: 10 seeds of each kind, never used while weights were chosen."""
    rows = judging.table(seeds.all_of(seeds.HELD_OUT[-10:]))
    good = [row for row in rows.values() if not row["is_bad"]]
    evil = [row for row in rows.values() if row["is_bad"]]
    assert (len(good), len(evil)) == (len(honest.MAKERS), len(bad.MAKERS))
    assert sum(row["hold"] for row in good) <= 0.05 * sum(row["lists"] for row in good)
    assert sum(row["hold"] for row in evil) >= 0.95 * sum(row["lists"] for row in evil)
    assert sum(row["hold_agreed"] for row in good) <= 0.05 * sum(row["lists"] for row in good)
    assert sum(row["hold_agreed"] for row in evil) >= 0.95 * sum(row["lists"] for row in evil)
    assert all(row["why"] for row in evil)


def test_points_of_both_levels_are_those_of_the_policy():
    assert 0 < policy.PROVENANCE_ASK < policy.PROVENANCE_HOLD
