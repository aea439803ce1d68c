"""Numbers, rates, times and states as the pages write them. Pure: data in, text out; no HTML, no settings."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

DAY: Final = timedelta(days=1)

# (word, colour class) of each standing; five and no other (accounts.Standing holds the same values).
STANDINGS: Final[dict[str, tuple[str, str]]] = {
    "unverified": ("Unverified", ""),
    "good": ("Good", "is-ok"),
    "warned": ("Warned", "is-warn"),
    "suspended": ("Suspended", "is-bad"),
    "blocked": ("Blocked", "is-bad"),
}
# (word, colour class) of each campaign state; unknown states print their own name.
CAMPAIGN_STATES: Final[dict[str, tuple[str, str]]] = {
    "draft": ("Draft", ""),
    "held": ("Waiting for check", "is-warn"),
    "scheduled": ("Scheduled", "is-info"),
    "planning": ("Preparing", "is-info"),
    "sending": ("Sending", "is-info"),
    "paused": ("Paused", "is-warn"),
    "sent": ("Sent", "is-ok"),
    "stopped": ("Stopped", "is-bad"),
}


def number(value: float | None) -> str:
    """Return `value` with thousands separators, or "not known" for None; fractions keep their digits."""
    return "not known" if value is None else f"{value:,}"


def percent(part: float, base: float) -> str:
    """Return `part` of `base` as a percentage: two decimals under 1 %, one above; "0%" without a base."""
    if not base or not part:
        return "0%"
    share = 100 * part / base
    if share >= 99.95 and part < base:
        return "99.9%"  # only the whole is 100%
    return f"{share:.2f}%" if share < 0.995 else f"{share:.1f}%".replace(".0%", "%")


def rate(part: int, base: int, noun: str = "people", one: str = "person") -> str:
    """Return a rate with its count, such as "0.02%, 2 people"; "none of 0 yet" when nothing was counted."""
    if not base:
        return "nothing counted yet"
    return f"{percent(part, base)}, {count(part, noun, one)}"


def count(value: int, many: str, one: str = "") -> str:
    """Return the number with its noun: `count(2, "rows")` is "2 rows"; `one` defaults to `many` without its s."""
    singular = one or many.removesuffix("s")
    return f"{value:,} {singular if value == 1 else many}"


def file_size(octets: int) -> str:
    """Return a size in bytes as "214 KB" (1 KB = 1,000 bytes)."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if octets >= scale:
            return f"{octets / scale:.1f}".removesuffix(".0") + f" {unit}"
    return count(octets, "bytes")


_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Version", "Safari"))
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
)


def browser(agent: str) -> str:
    """Return "Firefox 131 on Windows" for what a browser calls itself, or the first of its own words when unknown."""
    found = ((name, re.search(rf"{mark}/(\d+)", agent)) for mark, name in _BROWSERS)
    name = next((f"{name} {match[1]}" for name, match in found if match), "")
    if not name:
        return agent[:60] or "not said"
    system = next((system for mark, system in (*_SYSTEMS, ("Linux", "Linux")) if mark in agent), "")
    return f"{name} on {system}" if system else name


def duration(seconds: float) -> str:
    """Return seconds as people say them, two units at most: "5 h 12 min", "40 s", "3 days"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return count(hours // 24, "days")


def stamp(moment: datetime, now: datetime) -> str:
    """Return an aware time in its own zone: "3 Nov, 10:18 UTC"; the year appears when it is not this year's."""
    year = f" {moment.year}" if moment.year != now.astimezone(moment.tzinfo).year else ""
    return f"{moment.day} {moment:%b}{year}, {moment:%H:%M} {moment.tzname()}"


def relative(moment: datetime, now: datetime) -> str:
    """Return "4 min ago" or "in 2 h 5 min" when less than a day away, else an empty string."""
    distance = moment - now
    if abs(distance) >= DAY:
        return ""
    seconds = abs(distance.total_seconds())
    if seconds < 1:
        return "now"
    spoken = duration(seconds)
    return f"in {spoken}" if distance > timedelta(0) else f"{spoken} ago"


def fill(part: float, base: float) -> int:
    """Return how full a meter stands, 0 to 100; the smallest part that is not nothing shows as 1."""
    if base <= 0 or part <= 0:
        return 0
    return min(100, max(1, round(100 * part / base)))


def initials(name: str) -> str:
    """Return up to two letters for an organization's badge."""
    words = [word for word in name.split() if word[:1].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "?"


def typed(text: str, most: int = 4000) -> str:
    """Return what somebody typed into a small form as the database can keep it: no NUL, at most `most` characters."""
    return text.replace("\x00", "").strip()[:most]
