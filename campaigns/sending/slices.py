"""What a slice of a lane holds and counts, and what its counts may set going."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from django.db.models import Sum

from campaigns import brakes
from campaigns.bounces import BLOCKS
from campaigns.models import Campaign, Event, EventKind, Outcome, Tally
from campaigns.sending.claim import Claim, Item
from campaigns.sending.letters import LetterError
from campaigns.sending.outcomes import Result
from campaigns.sending.taken import Taken

GC_ALLOCATIONS: Final = 10_000
FRESH_SECONDS: Final = 1.0  # a recipient looked up longer ago is looked up again before the message goes


class UnsureError(RuntimeError):
    """The database did not say whether it has written; the next slice compares it with the journal."""


@dataclass(frozen=True)
class Report:
    """What a slice did. `busy`: another process has this lane. `more`: there is work for another slice at once."""

    attempted: int = 0
    accepted: int = 0
    system: int = 0
    in_doubt: int = 0
    busy: bool = False
    more: bool = False


@dataclass
class Held:
    """A claim in work: what is to be sent, what is on the wire, what waits to be written down."""

    claim: Claim
    waiting: deque[tuple[Item, float]]
    lease_until: float  # on the monotonic clock, by the time of asking: never later than the database's own
    on_wire: int = 0
    results: list[Result] = field(default_factory=list)
    taken: Taken | None = None  # of a chunk: results besides, the commonest
    later: list[tuple[Item, str]] = field(default_factory=list)  # put off for a provider's sake, not yet written
    put_back: int = 0
    is_unsure: bool = False  # its last results may or may not be written; the journal has them too
    broken: bool = False  # a surprise: what is on record is written, nothing is given back or called done

    @property
    def has_news(self) -> bool:
        """Tell whether something waits to be written down."""
        return bool(self.results or self.taken or self.later)

    @property
    def is_through(self) -> bool:
        """Tell whether nothing of it is waiting or on the wire."""
        return not self.waiting and not self.on_wire

    def is_leased(self) -> bool:
        """Tell whether nobody can have taken it over yet; a process that was stopped may wake behind its lease."""
        return time.monotonic() < self.lease_until


@dataclass
class Counts:
    """What one slice saw of a campaign; not all of it is in the database yet."""

    tried: int = 0
    render_failed: int = 0
    blocked: int = 0


def brake_for(campaign_id: int, error: LetterError) -> None:
    """Brake a campaign whose letter cannot be loaded; a person must look."""
    campaign = Campaign.objects.select_related("organization").get(pk=campaign_id)
    brakes.set_brake(error.kind, error.text, campaign=campaign)


def judge(campaign_id: int, counts: Counts) -> bool:
    """Set the technical brake that all slices' counts together ask for; tell whether one is on."""
    campaign = Campaign.objects.select_related("organization").get(pk=campaign_id)
    tallies = Tally.objects.filter(campaign=campaign).exclude(state__in=("planned", "skipped", "suppressed"))
    sums = dict(tallies.values_list("state").annotate(Sum("count")))
    blocked = Event.objects.filter(
        campaign_id=campaign_id, kind=EventKind.BOUNCED, source="smtp", bounce_class__in=BLOCKS
    )
    brake = brakes.judge_technical(
        campaign,
        tried=max(counts.tried, sum(sums.values())),
        render_failed=max(counts.render_failed, sums.get(Outcome.State.RENDER_FAILED, 0)),
        blocked=max(counts.blocked, blocked.count()),
    )
    return brake is not None


def raise_surprise(outcomes: Sequence[object], held: Sequence[Held]) -> None:
    """Raise what ended a connection's work by surprise, or UnsureError when the database did not answer the watch."""
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    if any(one.is_unsure for one in held):
        raise UnsureError("results may or may not be written")


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let Python look for cycles rarely, and never at what is loaded already.

    A lane's process has frozen that once and for all (sendserver.lane); elsewhere it is frozen for the slice.
    """
    before, is_frozen = gc.get_threshold(), gc.get_freeze_count() > 0
    if not is_frozen:
        gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not is_frozen:
            gc.unfreeze()
