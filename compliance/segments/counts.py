"""How many people conditions pick, and how many of them may be mailed now.

A page waits for QUICK and no longer; what takes longer is counted by a worker, kept, and shown with its time. Nothing
is decided by these figures: planning picks anew.
"""

# ruff: noqa: S608 (statements of our own words)

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import OperationalError, connection, transaction
from django.db.models import F, Q, Sum

from accounts.models import Organization
from compliance import policy
from compliance.consent import mailable_sql
from compliance.errors import SegmentRefusedError
from compliance.models import ContactList, ListMembership, SegmentCount
from compliance.segments.conditions import Conditions, from_json
from compliance.segments.where import Where, where_of
from sendserver.lib import clock

QUICK: Final = 0.04  # seconds that a page waits for a count
LONG: Final = 50_000  # people on lists; a page does not even try to count more
PEEK: Final = 0.03  # seconds that it then waits for "at least"
PEEKED: Final = 300  # memberships looked at for that
LONGER: Final = 60.0  # times what it took, a count is kept
KEPT_AT_LEAST: Final = 60.0  # seconds
KEPT_AT_MOST: Final = 300.0
FORGOTTEN: Final = timedelta(days=7)
STALE: Final = timedelta(seconds=policy.SEGMENT_COUNT_S + 60)  # a worker that began so long ago is gone
WAITING_AT_MOST: Final = 20  # counts that one organization may wait for
CANCELED: Final = "57014"  # PostgreSQL's query_canceled, Appendix A of its manual
_FROM: Final = """FROM compliance_listmembership m
  JOIN compliance_contact c ON c.id = m.contact_id
  JOIN compliance_contactlist l ON l.id = m.contact_list_id
  WHERE l.organization_id = %(organization)s AND c.organization_id = %(organization)s AND l.closed_at IS NULL"""


@dataclass(frozen=True)
class Count:
    """What is known: `people` None where nothing is; `at_least` people were seen before time was up.

    `at` is None for a count of this moment. `waits`: a worker is asked. `failed`: it took too long for a worker too.
    """

    people: int | None = None
    mailable: int = 0
    at: datetime | None = None
    at_least: int = 0
    waits: bool = False
    failed: bool = False


class _SlowError(Exception):
    """The time for a statement is up."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let no statement in the block take longer; _SlowError when one would."""
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
        raise _SlowError from error


def count(organization: Organization, where: Where) -> tuple[int, int]:
    """Return (people, of them mailable now) on the organization's open lists, each person once."""
    return _fetch(
        f"""SELECT count(*), count(*) FILTER (WHERE ok) FROM (
              SELECT m.contact_id, bool_or({mailable_sql()} = '') AS ok {_FROM} AND {where.sql}
              GROUP BY m.contact_id) AS person""",
        organization,
        where,
    )


def _peek(organization: Organization, where: Where) -> int:
    """Return how many of the people of some PEEKED memberships fit: no more than so many are looked at.

    Two short statements; in one, the planner gathers whole lists for their first rows.
    """
    lists = ContactList.objects.for_org(organization).filter(closed_at=None).values_list("pk", flat=True)
    some = ListMembership.objects.filter(contact_list__in=list(lists)).order_by().values_list("pk", flat=True)[:PEEKED]
    looked_at = Where(f"m.id = ANY(%(some)s) AND {where.sql}", {**where.values, "some": list(some)})
    return int(_fetch(f"SELECT count(DISTINCT m.contact_id) {_FROM} AND {looked_at.sql}", organization, looked_at)[0])


def _fetch(sql: str, organization: Organization, where: Where) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"organization": organization.pk, **where.values})
        return cursor.fetchone()


def is_long(organization: Organization) -> bool:
    """Tell whether an organization has more people than a page can count."""
    rows = ContactList.objects.for_org(organization).filter(closed_at=None)
    return (rows.aggregate(people=Sum("people_count"))["people"] or 0) > LONG


def counted(organization: Organization, conditions: Conditions, *, quick: float | None = None) -> Count:
    """Return what can be said of conditions within the time of a page; asks the worker where that is not enough.

    Whoever calls pokes the worker when the answer `waits`.
    """
    kept = SegmentCount.objects.filter(organization=organization, digest=conditions.digest).first()
    if kept is not None and _is_fresh(kept):
        return _answer(kept)
    if quick is None:
        quick = 0.0 if is_long(organization) else QUICK
    # What took a worker seconds is not tried again by a page.
    if quick and (kept is None or kept.took is None or kept.took < quick):
        found = _at_once(organization, conditions, quick)
        if found is not None:
            return found
    waits = ask(organization, conditions)
    if kept is not None and kept.took is not None:
        return Count(kept.people, kept.mailable, kept.counted_at, waits=waits)
    return Count(at_least=_seen(organization, conditions), waits=waits)


def _at_once(organization: Organization, conditions: Conditions, quick: float) -> Count | None:
    try:
        with at_most(quick):
            return Count(*count(organization, where_of(organization, conditions)))
    except _SlowError:
        return None


def _seen(organization: Organization, conditions: Conditions) -> int:
    try:
        with at_most(PEEK):
            return _peek(organization, where_of(organization, conditions))
    except _SlowError:
        return 0


def _is_fresh(row: SegmentCount) -> bool:
    if row.counted_at is None or row.asked_at > row.counted_at:
        return False
    kept = KEPT_AT_MOST if row.took is None else min(KEPT_AT_MOST, max(KEPT_AT_LEAST, LONGER * row.took))
    return clock.now() - row.counted_at < timedelta(seconds=kept)


def _answer(row: SegmentCount) -> Count:
    if row.took is None:
        return Count(failed=True)
    return Count(row.people, row.mailable, row.counted_at)


def ask(organization: Organization, conditions: Conditions) -> bool:
    """Ask the worker for a count; False where the organization waits for too many already."""
    mine = SegmentCount.objects.filter(organization=organization)
    if mine.filter(digest=conditions.digest, begun_at__gt=clock.now() - STALE).filter(_waiting()).exists():
        return True
    if mine.filter(_waiting()).exclude(digest=conditions.digest).count() >= WAITING_AT_MOST:
        return False
    SegmentCount.objects.update_or_create(
        organization=organization,
        digest=conditions.digest,
        defaults={"conditions": conditions.to_json(), "asked_at": clock.now(), "begun_at": None},
    )
    return True


def kept_counts(organization: Organization, wanted: Sequence[Conditions]) -> dict[bytes, Count]:
    """Return what is known of several conditions by their digest, in one query; nothing is counted."""
    rows = SegmentCount.objects.filter(organization=organization, digest__in=[one.digest for one in wanted])
    return {bytes(row.digest): _answer(row) for row in rows if row.counted_at is not None}


def _waiting() -> Q:
    return Q(counted_at=None) | Q(asked_at__gt=F("counted_at"))


def work(*, seconds: float = 50.0, most: float = policy.SEGMENT_COUNT_S) -> int:
    """Count what pages asked for, oldest first, for about `seconds`; return how many. Forgets what is old.

    Two workers never count the same; one that dies leaves its row to the next after STALE.
    """
    ends, done = time.monotonic() + seconds, 0
    SegmentCount.objects.filter(asked_at__lt=clock.now() - FORGOTTEN).delete()
    while (row := _claim()) is not None:
        _count_one(row, most)
        done += 1
        if time.monotonic() > ends:
            break
    return done


@transaction.atomic
def _claim() -> SegmentCount | None:
    now = clock.now()
    free = Q(begun_at=None) | Q(begun_at__lt=now - STALE)
    rows = SegmentCount.objects.select_for_update(skip_locked=True).filter(_waiting(), free)
    row = rows.order_by("asked_at", "pk").first()
    if row is not None:
        SegmentCount.objects.filter(pk=row.pk).update(begun_at=now)
    return row


def _count_one(row: SegmentCount, most: float) -> None:
    begun, now = time.monotonic(), clock.now()
    found: dict[str, Any] = {"took": None}
    try:
        where = where_of(row.organization, from_json(row.conditions))
        with at_most(most):
            people, mailable = count(row.organization, where)
        found = {"people": people, "mailable": mailable, "took": time.monotonic() - begun}
    except (_SlowError, SegmentRefusedError):
        pass  # took stays empty: the page says that it was given up
    # Asked anew meanwhile (asked_at later than counted_at) means counted again.
    SegmentCount.objects.filter(pk=row.pk).update(**found, counted_at=max(now, row.asked_at), begun_at=None)
