"""Numbers, rates and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sendserver.lib import words

NOW = datetime(2026, 11, 3, 10, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("part", "base", "text"),
    [
        (0, 0, "0%"),
        (0, 50, "0%"),
        (2, 9980, "0.02%"),
        (99, 10_000, "0.99%"),
        (1, 100, "1%"),
        (41_206, 41_664, "98.9%"),
        (99_999, 100_000, "99.9%"),
        (100, 100, "100%"),
        (1, 10**9, "0.00%"),
    ],
)
def test_percent(part: int, base: int, text: str) -> None:
    assert words.percent(part, base) == text


def test_a_rate_carries_its_count() -> None:
    assert words.rate(2, 9980) == "0.02%, 2 people"
    assert words.rate(1, 1000) == "0.10%, 1 person"
    assert words.rate(0, 0) == "nothing counted yet"


@pytest.mark.parametrize(("value", "text"), [(0, "0 rows"), (1, "1 row"), (1284310, "1,284,310 rows")])
def test_count(value: int, text: str) -> None:
    assert words.count(value, "rows") == text


def test_number_of_nothing_is_not_zero() -> None:
    assert words.number(None) == "not known"
    assert words.number(0) == "0"


@pytest.mark.parametrize(
    ("octets", "text"), [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (214_000, "214 KB"), (1_500_000, "1.5 MB")]
)
def test_file_size(octets: int, text: str) -> None:
    assert words.file_size(octets) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (18_720, "5 h 12 min"),
        (3 * 86_400, "3 days"),
    ],
)
def test_duration(seconds: int, text: str) -> None:
    assert words.duration(seconds) == text


def test_a_time_names_its_zone_and_an_old_one_its_year() -> None:
    assert words.stamp(datetime(2026, 11, 3, 10, 18, tzinfo=UTC), NOW) == "3 Nov, 10:18 UTC"
    assert words.stamp(datetime(2025, 1, 2, 3, 4, tzinfo=UTC), NOW) == "2 Jan 2025, 03:04 UTC"
    berlin = datetime(2026, 7, 1, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    assert words.stamp(berlin, NOW) == "1 Jul, 12:00 CEST"


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (timedelta(minutes=-4), "4 min ago"),
        (timedelta(hours=2, minutes=5), "in 2 h 5 min"),
        (timedelta(days=1), ""),
        (timedelta(days=-40), ""),
        (timedelta(0), "now"),
    ],
)
def test_relative_only_under_a_day(distance: timedelta, text: str) -> None:
    assert words.relative(NOW + distance, NOW) == text


@pytest.mark.parametrize(
    ("part", "base", "share"), [(0, 10, 0), (1, 10_000, 1), (5, 10, 50), (99, 10, 100), (1, 0, 0), (-1, 5, 0)]
)
def test_a_meter_shows_the_smallest_part_and_never_overflows(part: int, base: int, share: int) -> None:
    assert words.fill(part, base) == share


@pytest.mark.parametrize(
    ("name", "letters"), [("Larkfield Garden Co.", "LG"), ("  ", "?"), ("&", "?"), ("مزرعة النخيل", "ما"), ("ß", "SS")]
)
def test_initials(name: str, letters: str) -> None:
    assert words.initials(name) == letters


@pytest.mark.parametrize(
    ("agent", "text"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0", "Firefox 131 on Windows"),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML) Chrome/130.0.0.0 Safari/537.36",
            "Chrome 130 on Linux",
        ),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/130.0 Mobile Safari/537.36 EdgA/130.0", "Chrome 130 on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1", "Safari 17 on iPhone"),
        ("curl/8.5.0 " + "x" * 90, "curl/8.5.0 " + "x" * 49),
        ("", "not said"),
    ],
)
def test_browser(agent: str, text: str) -> None:
    """A session is told apart by browser and system."""
    assert words.browser(agent) == text
