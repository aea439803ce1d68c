"""One JSON line a fault, from the verdicts of its rounds. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from sendserver.testing.torture.oracle import Verdict


@dataclass
class Round:
    """One seed: the oracle's verdict, how often the fault landed, and what the row itself asserts beyond the oracle."""

    seed: int
    hits: int
    verdict: Verdict
    problems: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Tell whether the fault landed and did no harm."""
        return self.hits > 0 and not self.problems and not self.verdict.problems


def line(fault: int, name: str, rounds: Sequence[Round], *, missing: str = "") -> dict[str, object]:
    """Return the row's line; a fault that did not land in every round, or a feature that is missing, is not ok."""
    verdicts = [one.verdict for one in rounds]
    return {
        "fault": fault,
        "name": f"{name} (missing: {missing})" if missing else name,
        "seeds": len(rounds),
        "hits": sum(one.hits for one in rounds),
        "duplicates": sum(one.duplicates for one in verdicts),
        "lost": sum(one.lost for one in verdicts),
        "in_doubt_max": max((one.in_doubt for one in verdicts), default=0),
        "in_doubt_bound": _bound(verdicts),
        "ok": bool(rounds) and not missing and all(one.is_sound for one in rounds),
    }


def _bound(verdicts: Sequence[Verdict]) -> int:
    """Return the bound of the round with the most doubt, so that the two figures belong together."""
    return max(((one.in_doubt, one.bound) for one in verdicts), default=(0, 0))[1]


def as_json(row: dict[str, object]) -> str:
    """Return the line as it is printed."""
    return json.dumps(row, ensure_ascii=False)
