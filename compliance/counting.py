"""Counts that take longer than a page may: asked for by a page, made by a worker, kept with their moment.

A page counts by itself what is short (compliance.lists.few); everything else it asks for here and shows what is known,
with its moment and with whether the lists changed since. Nothing is sent on these figures alone: decision 0042.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, TypeVar

from django.db import OperationalError, connection, transaction
from django.db.models import F, Q

from accounts.models import Organization
from compliance import policy
from compliance.errors import SegmentRefusedError
from compliance.models import KeptCount
from sendserver.lib import chain, clock

LONGER: Final = 60.0  # times what it took, a count is kept
KEPT_AT_LEAST: Final = 60.0  # seconds
KEPT_AT_MOST: Final = 300.0
CALM: Final = 3.0  # times what it took: a list that changes all the time is not counted all the time
CALM_AT_LEAST: Final = 5.0  # seconds
FORGOTTEN: Final = timedelta(days=7)
STALE: Final = timedelta(seconds=policy.COUNT_S + 60)  # a worker that began so long ago is gone
WAITING_AT_MOST: Final = 250  # counts of one kind that an organization may wait for
CANCELED: Final = "57014"  # PostgreSQL's query_canceled, Appendix A of its manual

Answer = dict[str, Any]  # what is kept, as JSON
Counter = Callable[[Organization, Answer], Answer]
AnyCounter = TypeVar("AnyCounter", bound=Counter)
_KINDS: dict[str, tuple[Counter, float]] = {}


class SlowError(Exception):
    """The time for a statement is up."""


@dataclass(frozen=True)
class Question:
    """What is to be counted. `lists` are the keys of lists whose change makes an answer old, for `asked` to name."""

    kind: str
    asked: Answer  # JSON, without floats
    lists: tuple[int, ...] = ()

    @cached_property
    def digest(self) -> bytes:
        """Return what the answer is kept under, 32 bytes."""
        return hashlib.sha256(chain.canonical({"kind": self.kind, "asked": self.asked})).digest()


@dataclass(frozen=True)
class Kept:
    """What is known: `answer` None where nothing is, counted `at`.

    `waits`: a newer one is on its way. `failed`: it took too long for a worker too. `changed`: the lists are otherwise
    by now.
    """

    answer: Answer | None = None
    at: datetime | None = None
    waits: bool = False
    failed: bool = False
    changed: bool = False


def answers(kind: str, *, most: float = policy.COUNT_S) -> Callable[[AnyCounter], AnyCounter]:
    """Return a decorator: this function counts for questions of `kind`, within `most` seconds for each statement."""

    def register(function: AnyCounter) -> AnyCounter:
        _KINDS[kind] = (function, most)
        return function

    return register


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let no statement in the block take longer; SlowError when one would."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            before = cursor.fetchone()[0]
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{int(seconds * 1000)}ms"])
            yield
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != CANCELED:
            raise
        raise SlowError from error


def look(organization: Organization, questions: Sequence[Question]) -> list[Kept]:
    """Return what is known of each question, asking the worker for what is missing or old; counts nothing itself.

    Four queries for any number. Whoever calls pokes the worker where an answer `waits`.
    """
    rows = kept_rows(organization, questions)
    states = _states(organization, {key for one in questions for key in one.lists})
    old = [one for one in questions if not _is_fresh(rows.get(one.digest), _state(one, states))]
    waits = ask(organization, old) if old else set()
    found = [answer_of(rows.get(one.digest), state=_state(one, states), waits=one.digest in waits) for one in questions]
    # What changed a breath ago is asked for by the next look.
    return [replace(one, waits=True) if one.changed else one for one in found]


def kept_rows(organization: Organization, questions: Sequence[Question]) -> dict[bytes, KeptCount]:
    """Return what is kept of questions by their digest, in one query."""
    rows = KeptCount.objects.filter(organization=organization, digest__in=[one.digest for one in questions])
    return {bytes(row.digest): row for row in rows}


def answer_of(row: KeptCount | None, *, state: str = "", waits: bool = False) -> Kept:
    """Return a row as an answer; `state` is how the lists are now."""
    if row is None or row.counted_at is None:
        return Kept(waits=waits)
    if row.took is None:
        return Kept(failed=True, waits=waits)
    return Kept(row.answer, row.counted_at, waits=waits, changed=row.state != state)


def is_fresh(row: KeptCount | None) -> bool:
    """Tell whether an answer that depends on no list in particular need not be made anew."""
    return _is_fresh(row, "")


def _is_fresh(row: KeptCount | None, state: str) -> bool:
    if row is None or row.counted_at is None or row.asked_at > row.counted_at:
        return False
    if row.took is None:
        seconds = KEPT_AT_MOST
    elif row.state == state:
        seconds = min(KEPT_AT_MOST, max(KEPT_AT_LEAST, LONGER * row.took))
    else:
        seconds = max(CALM_AT_LEAST, CALM * row.took)
    return clock.now() - row.counted_at < timedelta(seconds=seconds)


def state_of(organization: Organization, question: Question) -> str:
    """Return how the lists of a question are now."""
    return _state(question, _states(organization, set(question.lists)))


def _state(question: Question, states: dict[int, str]) -> str:
    return " ".join(states.get(key, "gone") for key in sorted(question.lists))


def _states(organization: Organization, keys: set[int]) -> dict[int, str]:
    """Return for lists, by key, what changes with them: people, hold, close, and how their uploads stand."""
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT l.id, l.people_count, l.held_at IS NOT NULL, l.closed_at IS NOT NULL, up.stand FROM
                 compliance_contactlist l LEFT JOIN LATERAL (
                   SELECT concat(count(*) FILTER (WHERE j.state = 'done'), '/',
                          count(*) FILTER (WHERE j.state = 'held'),
                          '/', count(*) FILTER (WHERE j.state = 'reading'), '/', max(j.finished_at)) AS stand
                   FROM compliance_importjob j WHERE j.contact_list_id = l.id) up ON true
               WHERE l.organization_id = %s AND l.id = ANY(%s)""",
            [organization.pk, sorted(keys)],
        )
        return {row[0]: f"{row[0]}:{row[1]}{'h' * row[2]}{'c' * row[3]}:{row[4]}" for row in cursor.fetchall()}


def ask(organization: Organization, questions: Sequence[Question], *, most: int = WAITING_AT_MOST) -> set[bytes]:
    """Ask the worker, and return the digests that are waited for: all, unless `most` of a kind wait already.

    What is waited for already keeps its place.
    """
    waiting = KeptCount.objects.filter(_waiting(), organization=organization, kind__in={one.kind for one in questions})
    kinds = {bytes(digest): kind for digest, kind in waiting.values_list("digest", "kind")}
    now, rows = clock.now(), []
    for one in {one.digest: one for one in questions}.values():
        if one.digest not in kinds and sum(kind == one.kind for kind in kinds.values()) < most:
            kinds[one.digest] = one.kind
            rows.append(_row(organization, one, now))
    if rows:
        KeptCount.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["organization", "digest"],
            update_fields=["asked_at", "begun_at"],
        )
    return {one.digest for one in questions} & set(kinds)


def _row(organization: Organization, one: Question, now: datetime) -> KeptCount:
    return KeptCount(
        organization=organization,
        digest=one.digest,
        kind=one.kind,
        asked=one.asked,
        lists=sorted(one.lists),
        asked_at=now,
    )


def _waiting() -> Q:
    return Q(counted_at=None) | Q(asked_at__gt=F("counted_at"))


def work(*, seconds: float = 50.0, most: float | None = None) -> int:
    """Count what pages asked for, oldest first, for about `seconds`; return how many. Forgets what is old.

    `most` bounds a statement, where the kind's own bound is not meant. Two workers never count the same; one that dies
    leaves its row to the next after STALE.
    """
    ends, done = time.monotonic() + seconds, 0
    KeptCount.objects.filter(asked_at__lt=clock.now() - FORGOTTEN).delete()
    while (row := _claim()) is not None:
        _count_one(row, most)
        done += 1
        if time.monotonic() > ends:
            break
    return done


@transaction.atomic
def _claim() -> KeptCount | None:
    now = clock.now()
    free = Q(begun_at=None) | Q(begun_at__lt=now - STALE)
    rows = KeptCount.objects.select_for_update(skip_locked=True).filter(_waiting(), free, kind__in=_KINDS)
    row = rows.order_by("asked_at", "pk").first()
    if row is not None:
        KeptCount.objects.filter(pk=row.pk).update(begun_at=now)
    return row


def _count_one(row: KeptCount, most: float | None) -> None:
    begun, now = time.monotonic(), clock.now()
    # The lists as they are before: what changes while they are counted makes the answer old at once.
    state = state_of(row.organization, Question(row.kind, row.asked, tuple(row.lists)))
    found: dict[str, Any] = {"took": None}
    function, limit = _KINDS[row.kind]
    try:
        with at_most(limit if most is None else most):
            answer = function(row.organization, row.asked)
        found = {"answer": answer, "took": time.monotonic() - begun, "state": state}
    except (SlowError, SegmentRefusedError):
        pass  # took stays empty: the page says that it was given up
    # Asked anew meanwhile (asked_at later than counted_at) means counted again.
    KeptCount.objects.filter(pk=row.pk).update(**found, counted_at=max(now, row.asked_at), begun_at=None)
