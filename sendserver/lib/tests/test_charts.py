"""Charts for nothing, one value, many and very large ones."""

from __future__ import annotations

import re

import pytest

from sendserver.lib import charts
from sendserver.lib.charts import Bar, Mark, Series


@pytest.mark.parametrize(
    ("highest", "top"),
    [
        (0, 4),
        (-3, 4),
        (float("nan"), 4),
        (1, 4),
        (3, 4),
        (4, 4),
        (5, 8),
        (57, 60),
        (610, 800),
        (0.1, 0.1),
        (10**12, 10**12),
    ],
)
def test_the_axis_ends_on_a_round_number(highest: float, top: float) -> None:
    assert charts.axis_top(highest) == pytest.approx(top)


@pytest.mark.parametrize("highest", [0.003, 0.7, 1, 2, 9, 11, 99, 101, 12345, 7.5e9, 3.3e18])
def test_the_axis_is_never_below_and_rarely_twice_the_highest_value(highest: float) -> None:
    top = charts.axis_top(highest)
    assert highest <= top * (1 + 1e-9)
    assert top <= max(4, 2 * highest)


def test_bars_of_nothing_say_so() -> None:
    assert "Nothing to show" in charts.bars([], "Links")


def test_bars_share_one_scale() -> None:
    html = charts.bars([Bar("Sent", 200), Bar("Clicked", 50, "50, 25%", "c2")], "Funnel")
    assert re.findall(r'width="([\d.]+)" height="10"', html) == ["100.00", "25.00"]
    assert "50, 25%" in html


def test_bars_of_zero_do_not_divide_by_zero() -> None:
    assert 'width="0.00"' in charts.bars([Bar("Bounced", 0)], "Bounces")


def test_bars_escape_the_names_of_others() -> None:
    html = charts.bars([Bar("<script>", 1)], '"quoted"')
    assert "<script>" not in html
    assert "&quot;quoted&quot;" in html


def test_lines_of_nothing_say_so() -> None:
    assert "No figures yet" in charts.lines("Speed", [], [])


def test_one_value_is_a_level_line() -> None:
    html = charts.lines("Speed", ["09:24"], [Series("out1", [4])])
    assert 'points="0.00,0.00 100.00,0.00"' in html
    assert html.count("<tr>") == 2


def test_very_large_values_stay_inside_the_box() -> None:
    html = charts.lines("Speed", ["a", "b", "c"], [Series("out1", [0, 3 * 10**15, 10**12])])
    heights = [float(pair.split(",")[1]) for pair in re.findall(r'polyline points="([^"]+)"', html)[0].split()]
    assert min(heights) >= 0
    assert max(heights) <= 100
    assert "3,000,000,000,000,000" in html


def test_the_second_line_is_dashed_and_only_the_first_filled() -> None:
    html = charts.lines("Speed", ["a", "b"], [Series("out1", [1, 2]), Series("out2", [2, 1], "c2")])
    assert html.count("<polygon") == 1
    assert html.count("stroke-dasharray") == 1
    assert "s-key" in html


def test_the_table_holds_every_figure() -> None:
    html = charts.lines("Speed", ["a", "b"], [Series("out1", [1, 2.5]), Series("out2", [7])])
    assert re.findall(r'<td class="r">([^<]*)</td>', html) == ["1", "7", "2.5", ""]


def test_nothing_needs_a_style_attribute() -> None:
    html = charts.lines("Speed", ["a", "b"], [Series("o", [1, 2])], marks=[Mark(0, 1, "Peak")])
    html += charts.bars([Bar("x", 1)], "x") + charts.days(["ok", "bad"], "Two days")
    assert "style=" not in html
    assert "<script" not in html


def test_a_mark_stands_at_its_point() -> None:
    html = charts.lines("Speed", ["a", "b", "c"], [Series("o", [0, 4, 0])], marks=[Mark(0, 1, "Peak")])
    assert '<span class="m below l-50 t-0">Peak</span>' in html


def test_describe_names_start_peak_and_end() -> None:
    said = charts.describe(["1 Nov", "2 Nov", "3 Nov"], [Series("out1", [2, 9, 4])])
    assert said == "out1 began at 2, was highest at 9 (2 Nov) and ended at 4."
