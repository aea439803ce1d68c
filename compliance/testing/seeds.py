"""Which seeds may be looked at while weights are chosen, and which only measure.

Weights and thresholds of compliance.provenance are chosen on TUNING alone. HELD_OUT was not run before they stood;
figures that are reported come from it. A change of weights after a look at HELD_OUT needs a new range here, with a
line that says so.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from compliance.testing import bad, honest
from compliance.testing.made import Maker, Upload

TUNING: Final = range(40)
HELD_OUT: Final = range(5_000, 5_200)


def make(maker: Maker, seed: int) -> Upload:
    """Return the upload of a kind and a seed: always the same one."""
    kind = getattr(maker, "__name__", "")
    return replace(maker(random.Random(f"{kind}:{seed}")), seed=seed)  # noqa: S311 (made-up people)


def all_of(seeds: range, *, harder: bool = False) -> Iterator[Upload]:
    """Yield every kind under every seed, the harder bad ones only when asked for."""
    makers = (*honest.MAKERS, *bad.MAKERS, *(bad.HARDER if harder else ()))
    for maker in makers:
        for seed in seeds:
            yield make(maker, seed)
