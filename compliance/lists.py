"""Lists: made, counted, held, closed. Who on a list may be mailed is compliance.consent's answer, counted here."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.models import Organization, User
from compliance.consent import country_sql, mailable_sql
from compliance.models import ContactList, ImportJob, ListMembership
from compliance.suppression import live_suppression_sql
from sendserver.lib import clock

WORTH_KEEPING: Final = 0.1  # seconds that counting took
LONGER: Final = 60.0  # times what it took, a count is kept
KEPT_AT_MOST: Final = 300.0  # seconds
_FROM = """
FROM compliance_listmembership m
JOIN compliance_contact c ON c.id = m.contact_id
JOIN compliance_contactlist l ON l.id = m.contact_list_id
WHERE l.organization_id = %(organization)s AND l.id = ANY(%(lists)s)
"""


def state_sql() -> str:
    """Return a SQL expression over aliases m, c, l: why a person gets nothing now ('' if mailable)."""
    suppressed = live_suppression_sql("c.address_hash", "c.organization_id")
    return f"CASE WHEN {suppressed} THEN 'suppressed' ELSE {mailable_sql()} END"


def open_lists(organization: Organization) -> QuerySet[ContactList]:
    """Return the organization's lists that were not closed, newest first."""
    return ContactList.objects.for_org(organization).filter(closed_at=None).order_by("-created_at", "-pk")


def create_list(
    organization: Organization, name: str, *, actor: User | None, topics: str = "", frequency: str = ""
) -> ContactList:
    """Return a new, empty list."""
    with transaction.atomic():
        made = ContactList.objects.create(
            organization=organization, name=name.strip(), topics=topics.strip(), frequency=frequency.strip()
        )
        audit.record("list.created", actor=actor, organization=organization, subject=f"list:{made.uid}")
    return made


def close_list(contact_list: ContactList, *, actor: User) -> bool:
    """Close a list, so that nobody is mailed through it; tell whether it was open. People stay on record."""
    with transaction.atomic():
        rows = ContactList.objects.filter(pk=contact_list.pk, closed_at=None)
        if not rows.update(closed_at=clock.now()):
            return False
        organization = contact_list.organization
        audit.record("list.closed", actor=actor, organization=organization, subject=f"list:{contact_list.uid}")
    return True


def recount(contact_list: ContactList) -> int:
    """Write and return how many people are on the list."""
    count = ListMembership.objects.filter(contact_list=contact_list).count()
    ContactList.objects.filter(pk=contact_list.pk).update(people_count=count)
    contact_list.people_count = count
    return count


def mailable_count(contact_list: ContactList) -> int:
    """Return how many people of a list may be mailed now."""
    return reason_counts([contact_list]).get(contact_list.pk, {}).get("", 0)


def reason_counts(lists: Iterable[ContactList]) -> dict[int, dict[str, int]]:
    """Return, for each list's key, how many people stand under each reason ("" is mailable). One query."""
    rows = list(lists)
    found: dict[int, dict[str, int]] = {row.pk: {} for row in rows}
    if not rows:
        return found
    sql = f"SELECT l.id, {state_sql()} AS reason, count(*) {_FROM} GROUP BY 1, 2"
    for pk, reason, count in _fetch(sql, rows):
        found[pk][reason] = count
    return found


@dataclass(frozen=True)
class Counted:
    """Counts of some lists (keys as `reason_counts`) and the seconds since 1970 at which they were made."""

    counts: dict[int, dict[str, int]]
    at: float


def recent_reason_counts(organization: Organization, lists: Iterable[ContactList]) -> Counted:
    """Return the counts of lists for an overview, some minutes old at most where counting takes long.

    What took a second to count is kept for a minute, at most KEPT_AT_MOST: a page of long lists stays quick, also
    while one of them is read. Nothing is decided by these figures; planning counts anew.
    """
    rows = list(lists)
    state = repr([(row.pk, row.people_count, row.held_at) for row in rows])
    key = f"list-counts:{organization.pk}:{zlib.crc32(state.encode())}"
    kept = cache.get(key)
    if isinstance(kept, Counted):
        return kept
    begun = time.monotonic()
    made = Counted(reason_counts(rows), clock.now().timestamp())
    took = time.monotonic() - begun
    if took > WORTH_KEEPING:
        cache.set(key, made, min(KEPT_AT_MOST, LONGER * took))
    return made


def reason_counts_of_import(job: ImportJob) -> dict[str, int]:
    """Return how many people of one upload stand under each reason ("" is mailable)."""
    sql = f"SELECT {state_sql()} AS reason, count(*) {_FROM} AND m.import_job_id = {int(job.pk)} GROUP BY 1"
    return dict(_fetch(sql, [job.contact_list]))


def breakdown(contact_list: ContactList) -> list[tuple[str, str, int]]:
    """Return (country code, reason, people) of a list in one walk; "" is unknown and mailable."""
    sql = f"""SELECT place, reason, count(*)
      FROM (SELECT {country_sql()} AS place, {state_sql()} AS reason {_FROM}) AS person GROUP BY 1, 2"""  # noqa: S608
    return [(place, reason, people) for place, reason, people in _fetch(sql, [contact_list])]


def country_counts(rows: Iterable[tuple[str, str, int]]) -> list[tuple[str, int, int]]:
    """Return (country code, people, mailable) of a breakdown, most people first."""
    found: dict[str, list[int]] = {}
    for place, reason, people in rows:
        both = found.setdefault(place, [0, 0])
        both[0] += people
        both[1] += 0 if reason else people
    return sorted(((place, all_, ok) for place, (all_, ok) in found.items()), key=lambda row: (-row[1], row[0]))


def _fetch(sql: str, lists: list[ContactList]) -> list[tuple]:
    values: dict[str, Any] = {"organization": lists[0].organization_id, "lists": [row.pk for row in lists]}
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def record_mailed(membership_ids: list[int], at: datetime) -> int:
    """Note that these memberships were mailed at `at`, so their permission does not fade (rules CONSENT-STALE)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE compliance_listmembership SET last_contact_at = GREATEST(last_contact_at, %s) WHERE id = ANY(%s)",
            [at, membership_ids],
        )
        return int(cursor.rowcount)


def record_bounced(contact_id: int, address_hash: bytes, at: datetime) -> None:
    """Note that a mail to a contact came back at `at`; nothing where they have another address by now, or are gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO compliance_contactbounce AS b (contact_id, at)
               SELECT c.id, %s FROM compliance_contact c WHERE c.id = %s AND c.address_hash = %s
               ON CONFLICT (contact_id) DO UPDATE SET at = GREATEST(b.at, excluded.at)""",
            [at, contact_id, address_hash],
        )
