"""Lists: made, counted, held, closed. Who on a list may be mailed is compliance.consent's answer, counted here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.models import Organization, User
from compliance import policy
from compliance.consent import country_sql, mailable_sql
from compliance.models import ContactList, ImportJob, ListMembership
from compliance.suppression import live_suppression_sql
from sendserver.lib import clock

_FROM = """
FROM compliance_listmembership m
JOIN compliance_contact c ON c.id = m.contact_id
JOIN compliance_contactlist l ON l.id = m.contact_list_id
WHERE l.organization_id = %(organization)s AND l.id = ANY(%(lists)s) AND m.contact_list_id = ANY(%(lists)s)
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
    """Write and return how many people are on the list; reads all of it, so it is for workers."""
    with transaction.atomic():
        _hold(contact_list)
        count = ListMembership.objects.filter(contact_list=contact_list).count()
        _write_count(contact_list, count)
    return count


def step(contact_list: ContactList, by: int) -> None:
    """Bring the number of people in step after `by` came (or, below 0, went); reads no more than a short list."""
    with transaction.atomic():
        before = _hold(contact_list)
        some = few([contact_list])
        _write_count(contact_list, max(0, before + by) if some is None else some)


def _hold(contact_list: ContactList) -> int:
    """Lock the list's row, so that what somebody else has not committed yet is not lost to a count."""
    return ContactList.objects.select_for_update().values_list("people_count", flat=True).get(pk=contact_list.pk)


def _write_count(contact_list: ContactList, count: int) -> None:
    ContactList.objects.filter(pk=contact_list.pk).update(people_count=count)
    contact_list.people_count = count


def few(lists: Iterable[ContactList]) -> int | None:
    """Return how many memberships lists have together, None where a page must not count them: more than the bound."""
    rows = ListMembership.objects.filter(contact_list__in=[row.pk for row in lists]).order_by()
    return _up_to_the_bound(rows)


def few_of_import(job: ImportJob) -> int | None:
    """Return how many memberships an upload has, None where they are more than a page counts."""
    return _up_to_the_bound(ListMembership.objects.filter(import_job=job).order_by())


def _up_to_the_bound(rows: QuerySet[ListMembership]) -> int | None:
    found = rows.values("contact_id")[: policy.COUNTED_AT_ONCE + 1].count()
    return found if found <= policy.COUNTED_AT_ONCE else None


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


def reason_counts_of_import(job: ImportJob) -> dict[str, int]:
    """Return how many people of one upload stand under each reason ("" is mailable)."""
    sql = f"SELECT {state_sql()} AS reason, count(*) {_FROM} AND m.import_job_id = {int(job.pk)} GROUP BY 1"
    return dict(_fetch(sql, [job.contact_list]))


def breakdowns(lists: Iterable[ContactList]) -> dict[int, list[tuple[str, str, int]]]:
    """Return, for each list's key, (country code, reason, people) in one walk; "" is unknown and mailable."""
    rows = list(lists)
    found: dict[int, list[tuple[str, str, int]]] = {row.pk: [] for row in rows}
    if not rows:
        return found
    sql = f"""SELECT list, place, reason, count(*)
      FROM (SELECT l.id AS list, {country_sql()} AS place, {state_sql()} AS reason {_FROM}) AS person
      GROUP BY 1, 2, 3"""  # noqa: S608
    for pk, place, reason, people in _fetch(sql, rows):
        found[pk].append((place, reason, people))
    return found


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
