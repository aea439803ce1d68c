"""What the addresses of a file look like together, read from a sample. Pure.

No trait is bad by itself: a company that sells to companies has one address a domain, a choir has no dates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from compliance.sources import SHARED_MAILBOXES

ALONE: Final = 2  # addresses of a domain in the sample, at most, for it to count as one of many small ones

PAIRS: Final = 50  # neighbours that differ, before their order says anything


@dataclass(frozen=True)
class Overlap:
    """How many of `asked` sampled addresses others know, counts only; `holders` are the largest shares, unnamed."""

    asked: int = 0
    known: int = 0  # at one unrelated customer or more
    widely: int = 0  # at three or more
    blocked: int = 0  # at a customer that is blocked
    complained: int = 0  # elsewhere
    bounced: int = 0  # elsewhere
    holders: tuple[int, ...] = ()


@dataclass(frozen=True)
class Traits:
    """Counts over `sampled` addresses of a file; `looked_at` and `dead` count addresses whose domain was looked up."""

    sampled: int = 0
    shared: int = 0  # mailboxes such as info@
    alone: int = 0  # at domains that hardly another address has
    locals: int = 0  # different parts before the @
    by_address: float = 0.0  # share of neighbours in alphabetical order
    by_domain: float = 0.0
    looked_at: int = 0
    dead: int = 0
    traps: int = 0
    overlap: Overlap = field(default_factory=Overlap)

    def to_json(self) -> dict[str, Any]:
        """Return the traits as they are kept with an upload."""
        kept = dict(vars(self))
        return {**kept, "overlap": {**vars(self.overlap), "holders": list(self.overlap.holders)}}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Traits:
        """Return traits that were kept; those of an upload from before this room are empty."""
        own = {name: value for name, value in kept.items() if name in cls.__dataclass_fields__ and name != "overlap"}
        known = {name: value for name, value in kept.get("overlap", {}).items() if name in Overlap.__dataclass_fields__}
        known["holders"] = tuple(known.get("holders", ()))
        return cls(**own, overlap=Overlap(**known))


def read(keys: Sequence[str], **more: Any) -> Traits:
    """Return the traits of sampled address keys, given in the order of the file; `more` are traits known otherwise."""
    parts = [key.rpartition("@") for key in keys]
    domains = Counter(domain for _, _, domain in parts)
    return Traits(
        sampled=len(keys),
        shared=sum(local in SHARED_MAILBOXES for local, _, _ in parts),
        alone=sum(domains[domain] <= ALONE for _, _, domain in parts),
        locals=len({local for local, _, _ in parts}),
        by_address=_in_order(keys),
        by_domain=_in_order([domain for _, _, domain in parts]),
        **more,
    )


def _in_order(values: Sequence[str]) -> float:
    """Return the share of neighbours that stand in order, of those that differ; few of them say nothing."""
    pairs = [(a, b) for a, b in pairwise(values) if a != b]
    return sum(a < b for a, b in pairs) / len(pairs) if len(pairs) >= PAIRS else 0.0
