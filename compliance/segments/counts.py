"""How many people conditions pick, and how many of them may be mailed now.

A page waits for QUICK and no longer; what takes longer is counted by a worker (compliance.counting) and shown with its
time. Nothing is decided by these figures: planning picks anew.
"""

# ruff: noqa: S608 (statements of our own words)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Sum

from accounts.models import Organization
from compliance import counting, policy
from compliance.consent import mailable_sql
from compliance.counting import Question, SlowError, at_most, work
from compliance.models import ContactList, KeptCount, ListMembership
from compliance.segments.conditions import Conditions, from_json
from compliance.segments.where import Where, where_of

__all__ = ["Count", "SlowError", "ask", "count", "counted", "is_long", "kept_counts", "work"]

QUICK: Final = 0.04  # seconds that a page waits for a count
LONG: Final = 50_000  # people on lists; a page does not even try to count more
PEEK: Final = 0.03  # seconds that it then waits for "at least"
PEEKED: Final = 300  # memberships looked at for that
WAITING_AT_MOST: Final = 20  # segments that one organization may wait for
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


def count(organization: Organization, where: Where) -> tuple[int, int]:
    """Return (people, of them mailable now) on the organization's open lists, each person once."""
    return _fetch(
        f"""SELECT count(*), count(*) FILTER (WHERE ok) FROM (
              SELECT m.contact_id, bool_or({mailable_sql()} = '') AS ok {_FROM} AND {where.sql}
              GROUP BY m.contact_id) AS person""",
        organization,
        where,
    )


@counting.answers("segment", most=policy.SEGMENT_COUNT_S)
def _answer(organization: Organization, asked: counting.Answer) -> counting.Answer:
    people, mailable = count(organization, where_of(organization, from_json(asked)))
    return {"people": people, "mailable": mailable}


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


def _question(conditions: Conditions) -> Question:
    return Question("segment", conditions.to_json())


def counted(organization: Organization, conditions: Conditions, *, quick: float | None = None) -> Count:
    """Return what can be said of conditions within the time of a page; asks the worker where that is not enough.

    Whoever calls pokes the worker when the answer `waits`.
    """
    question = _question(conditions)
    kept = counting.kept_rows(organization, [question]).get(question.digest)
    if kept is not None and counting.is_fresh(kept):
        return _shown(kept)
    if quick is None:
        quick = 0.0 if is_long(organization) else QUICK
    # What took a worker seconds is not tried again by a page.
    if quick and (kept is None or kept.took is None or kept.took < quick):
        found = _at_once(organization, conditions, quick)
        if found is not None:
            return found
    waits = ask(organization, conditions)
    if kept is not None and kept.took is not None:
        return _shown(kept, waits=waits)
    return Count(at_least=_seen(organization, conditions), waits=waits)


def _at_once(organization: Organization, conditions: Conditions, quick: float) -> Count | None:
    try:
        with at_most(quick):
            return Count(*count(organization, where_of(organization, conditions)))
    except SlowError:
        return None


def _seen(organization: Organization, conditions: Conditions) -> int:
    try:
        with at_most(PEEK):
            return _peek(organization, where_of(organization, conditions))
    except SlowError:
        return 0


def _shown(row: KeptCount, *, waits: bool = False) -> Count:
    kept = counting.answer_of(row)
    if kept.answer is None:
        return Count(failed=kept.failed)
    return Count(kept.answer["people"], kept.answer["mailable"], kept.at, waits=waits)


def ask(organization: Organization, conditions: Conditions) -> bool:
    """Ask the worker for a count; False where the organization waits for too many already."""
    return bool(counting.ask(organization, [_question(conditions)], most=WAITING_AT_MOST))


def kept_counts(organization: Organization, wanted: Sequence[Conditions]) -> dict[bytes, Count]:
    """Return what is known of several conditions by their digest, in one query; nothing is counted."""
    rows = counting.kept_rows(organization, [_question(one) for one in wanted])
    by_digest = {one.digest: rows.get(_question(one).digest) for one in wanted}
    return {digest: _shown(row) for digest, row in by_digest.items() if row is not None and row.counted_at is not None}
