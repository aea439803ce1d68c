"""What must be reached, by the names that are printed; the numbers of the performance targets, each once."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

QUICK_SHARE: Final = 0.8  # of a must, which the short run holds against
BLASTER_FLOOR: Final = {"20k": 1.10, "3k": 1.30}  # of smtp-source; below it the machine was not ours
SIGNATURES: Final = 2  # of the portal on each message: the customer's and the platform's


@dataclass(frozen=True)
class Must:
    """A bound on a median: at least, or at most."""

    bound: float
    goal: float
    at_most: bool = False

    def limit(self, share: float = 1.0) -> float:
        """Return the bound, loosened to a share of it."""
        return self.bound / share if self.at_most else self.bound * share

    def holds(self, value: float, share: float = 1.0) -> bool:
        """Tell whether a value keeps the bound."""
        return value <= self.limit(share) if self.at_most else value >= self.limit(share)


MUSTS: Final[Mapping[str, Must]] = {
    "send_vs_smtp_source_20k": Must(0.80, 1.0),
    "send_vs_smtp_source_3k": Must(0.75, 1.0),
    "send_vs_blaster_20k": Must(0.65, 0.80),
    "send_vs_blaster_3k": Must(0.50, 0.60),
    "send_vs_naive_20k": Must(15, 25),
    "send_vs_naive_3k": Must(15, 25),
    "send_rsa_vs_rsa_limit_20k": Must(0.45, 0.60),
    "send_rsa_vs_rsa_limit_3k": Must(0.65, 0.85),
    "cost_100k_vs_10k": Must(1.10, 1.03, at_most=True),
    "cost_1m_vs_10k": Must(1.10, 1.03, at_most=True),
    "lane_rss_mib": Must(100, 60, at_most=True),
    "lane_rss_growth_mib": Must(5, 0, at_most=True),
    "plan_vs_copy": Must(0.18, 0.30),
}
IMPORT_MUSTS: Final[Mapping[str, Must]] = {
    "import_vs_copy": Must(0.25, 0.31),
    "import_rss_mib": Must(100, 60, at_most=True),
    "import_still_s": Must(2.0, 1.0, at_most=True),
    "import_page_p95_ms": Must(200, 100, at_most=True),
    "import_crowd_vs_none": Must(0.85, 0.95),
    "import_read_crowd_vs_none": Must(0.85, 0.95),
}
NAMES_IMPORT: Final = tuple(IMPORT_MUSTS)


def bound_of(name: str) -> Must | None:
    """Return what a figure must reach, None where nothing is asked of it."""
    return MUSTS.get(name) or IMPORT_MUSTS.get(name)


NAMES_FULL: Final = (*MUSTS, "send_tls_vs_plain")
NAMES_QUICK: Final = tuple(name for name in NAMES_FULL if name.startswith("send_"))


@dataclass(frozen=True)
class Figure:
    """One name with what each round measured."""

    name: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return the middle."""
        return statistics.median(self.values)

    def as_json(self) -> dict[str, float | str]:
        """Return the figure as it is printed for programs; `ratio` is the median."""
        return {
            "name": self.name,
            "ratio": round(self.median, 4),
            "min": round(min(self.values), 4),
            "max": round(max(self.values), 4),
        }


def missed(figures: Sequence[Figure], names: Sequence[str], *, share: float) -> list[str]:
    """Return in words which musts were missed; a name that was to be measured and was not is missed too."""
    measured = {figure.name: figure for figure in figures if figure.values}
    found = [f"{name} was not measured" for name in names if name not in measured]
    for name, figure in measured.items():
        must = bound_of(name)
        if must and not must.holds(figure.median, share):
            sign = "at most" if must.at_most else "at least"
            found.append(f"{name} is {figure.median:.3g}, must be {sign} {must.limit(share):.3g}")
    return found
