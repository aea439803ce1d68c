"""The parts of `make bench-import` that could be wrong without anybody noticing."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns.bench import report
from campaigns.bench.imports import sample
from campaigns.bench.imports.ground import TABLES, Timed
from campaigns.bench.imports.rounds import Round, figures
from campaigns.bench.musts import NAMES_IMPORT, Figure
from compliance.imports import dry_run, files


@pytest.mark.parametrize("rows", [5000, 20_000])
def test_the_list_holds_whom_it_says(tmp_path: Path, rows: int) -> None:
    """The importer's own dry run takes everybody but the wrong rows and doubles; those who said no are among them."""
    path = tmp_path / "people.csv"
    kept = sample.write(path, rows)
    result = dry_run.check(path)
    assert result.rows == rows
    assert result.accepted - len(list(sample.said_no(rows))) == kept
    assert 0.003 < result.rejected.total() / rows < 0.02
    assert 0.01 < result.duplicates / rows < 0.03


def test_the_list_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        sample.write(tmp_path / name, 500)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert files.look_at(tmp_path / "one") == "csv"


def a_round(reading: float, *, rss: float = 90.0, gap: float = 1.0, p95: float = 50.0) -> Round:
    timed = Timed(kept=1000, counting=5.0, reading=reading, rss=rss, gap=gap)
    return Round(timed, {TABLES[0]: 2.0, TABLES[1]: 3.0}, p95)


def test_ratios_are_of_the_same_people() -> None:
    found = {figure.name: figure.median for figure in figures([a_round(5.0), a_round(20.0), a_round(5.0)])}
    assert found["import_vs_copy"] == pytest.approx(0.4)
    assert found["import_vs_copy_of_both_tables"] == pytest.approx(1.0)
    assert found["import_and_count_vs_copy"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (a_round(7.9), 0),
        (a_round(8.1), 1),
        (a_round(7.9, rss=101.0), 1),
        (a_round(7.9, gap=2.1), 1),
        (a_round(7.9, p95=201.0), 1),
    ],
)
def test_a_missed_bound_is_an_exit_code(one: Round, code: int) -> None:
    names = [name for name in NAMES_IMPORT if "crowd" not in name]
    assert report.verdict(figures([one]), names, share=1.0)[1] == code


@pytest.mark.parametrize("name", ["import_crowd_vs_none", "import_read_crowd_vs_none"])
def test_a_crowd_that_slows_by_more_than_fifteen_in_a_hundred_is_missed(name: str) -> None:
    names = [name]
    assert report.verdict([Figure(names[0], (0.86,))], names, share=1.0)[1] == 0
    assert report.verdict([Figure(names[0], (0.84,))], names, share=1.0)[1] == 1
    assert report.verdict([], names, share=1.0)[1] == 1
