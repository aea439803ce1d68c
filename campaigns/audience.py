"""Who would get a campaign: counts by country and reason, fields, sample values. Plans and freezes nothing.

The per-person answer is compliance's SQL; here it is only grouped, one row per person even on several lists.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from campaigns.content.merge import NAME
from compliance import contact_fields
from compliance.consent import EXPRESS, WORDS, country_sql, mailable_sql
from compliance.gate import AudienceFacts
from compliance.lists import state_sql
from compliance.models import Contact, ContactList
from compliance.segments.where import Where

BUILT_IN: Final = ("first_name", "last_name", "email")
COLUMNS: Final = {"first_name": "c.first_name", "last_name": "c.last_name", "email": "c.address"}
FIELD_SAMPLE: Final = 2_000  # people whose further columns are looked at, each list its part of them
FIELD_SAMPLE_LEAST: Final = 40  # of each list
PIECE: Final = 2_000  # people looked at in one query for the file of those left out
# The first people of each list, along the index, so that a list of a million costs no more.
_FIRST: Final = """SELECT early.contact_list_id, early.contact_id FROM unnest(%(lists)s::bigint[]) AS chosen (id)
  CROSS JOIN LATERAL (SELECT m.contact_list_id, m.contact_id FROM compliance_listmembership m
    WHERE m.contact_list_id = chosen.id ORDER BY m.contact_id LIMIT %(each)s) early"""
_SOME: Final = "AND c.id = ANY(%(people)s)"
Group = tuple[str, str, str, int]  # country, reason ("" is mailable), basis, people


def _best(only: Where | None, where: str = "") -> str:
    """Return the query with one row per person; built on each call because the allowed bases are a setting.

    `only` is the test of a segment: who does not pass is not in the audience at all (campaigns.narrowing).
    """
    where += f" AND {only.sql}" if only else ""
    return f"""
SELECT DISTINCT ON (c.id) c.id, {country_sql()} AS country, {state_sql()} AS reason, m.basis, c.address, c.fields,
       c.first_name, c.last_name
FROM compliance_listmembership m
JOIN compliance_contact c ON c.id = m.contact_id
JOIN compliance_contactlist l ON l.id = m.contact_list_id
WHERE l.organization_id = %(organization)s AND l.id = ANY(%(lists)s) AND m.contact_list_id = ANY(%(lists)s) {where}
ORDER BY c.id, ({mailable_sql()} <> ''), m.consent_at DESC NULLS LAST, m.id
"""  # noqa: S608 (our own fragments, no data)


@dataclass(frozen=True)
class Left:
    """One person who is left out, and why."""

    address: str
    country: str
    reason: str

    @property
    def words(self) -> str:
        """Return the reason as people read it."""
        return label(self.reason)


def label(reason: str) -> str:
    """Return the short words of a reason."""
    return WORDS.get(reason, (reason, ""))[0]


def count(
    organization_id: int, lists: Sequence[ContactList], needed: Collection[str] = (), only: Where | None = None
) -> AudienceFacts:
    """Return who would get a message to `lists` now; `needed` are keys of values that everybody must have.

    Reads all of the lists: for workers, and for short lists (campaigns.headcount chooses).
    """
    rows = groups(organization_id, lists, only)
    return facts(rows, missing(organization_id, lists, needed, only))


def groups(organization_id: int, lists: Sequence[ContactList], only: Where | None) -> list[Group]:
    """Return (country, reason, basis, people) of everybody on the lists, each person once."""
    sql = f"SELECT country, reason, basis, count(*) FROM ({_best(only)}) best GROUP BY 1, 2, 3"  # noqa: S608
    return _query(sql, organization_id, lists, only) if lists else []


def facts(rows: Sequence[Group], without: Sequence[tuple[str, int]] = ()) -> AudienceFacts:
    """Return groups as the gate is told of them; `without` are people who lack a needed value, by field."""
    return AudienceFacts(
        total=sum(row[3] for row in rows),
        mailable=sum(row[3] for row in rows if not row[1]),
        by_country=_by_country(rows),
        left_out=_by_reason(rows),
        without_express=sum(row[3] for row in rows if not row[1] and row[2] not in EXPRESS),
        missing_values=tuple(without),
        left_by_country=_left_by_country(rows),
    )


def _left_by_country(rows: Sequence[Group]) -> tuple[tuple[str, str, int], ...]:
    found: Counter[tuple[str, str]] = Counter()
    for country, reason, _, people in rows:
        if reason:
            found[country, reason] += people
    return tuple((country, label(reason), people) for (country, reason), people in found.most_common())


def left_out(organization_id: int, lists: Sequence[ContactList], only: Where | None = None) -> Iterator[Left]:
    """Yield everybody who is left out, by address; goes through the organization's people PIECE by PIECE."""
    place = ""
    sql = f"SELECT address, country, reason FROM ({_best(only, _SOME)}) best WHERE reason <> '' ORDER BY address"  # noqa: S608
    while lists and (some := _next_piece(organization_id, place)):
        place = some[-1][1]
        for row in _query(sql, organization_id, lists, only, people=[pk for pk, _ in some]):
            yield Left(*row)


def _next_piece(organization_id: int, place: str) -> list[tuple[int, str]]:
    rows = Contact.objects.filter(organization=organization_id, address_key__gt=place).order_by("address_key")
    return list(rows.values_list("pk", "address_key")[:PIECE])


def samples(organization_id: int, lists: Sequence[ContactList], size: int, only: Where | None = None) -> list[Contact]:
    """Return up to `size` mailable people, those without a name first: what breaks shows early.

    Looks at the first FIELD_SAMPLE people of the lists only, so that a list of a million costs no more.
    """
    if not lists:
        return []
    few = f"AND (l.id, c.id) IN ({_FIRST})"
    sql = (
        f"SELECT id FROM ({_best(only, few)}) best WHERE reason = '' ORDER BY (first_name <> ''), id LIMIT {int(size)}"  # noqa: S608
    )
    ids = [row[0] for row in _query(sql, organization_id, lists, only, each=_each(lists))]
    known = Contact.objects.in_bulk(ids)
    return [known[pk] for pk in ids]


def _each(lists: Sequence[ContactList]) -> int:
    return max(FIELD_SAMPLE_LEAST, FIELD_SAMPLE // len(lists))


def available_fields(lists: Sequence[ContactList]) -> dict[str, str]:
    """Return the merge fields of these lists: as written in a text -> the key of the value.

    A column "Favourite plant" is written favourite_plant; of two columns that would be written alike the first counts.
    """
    found = {name: name for name in BUILT_IN}
    for key in _columns(lists):
        found.setdefault(field_name(key), key)
    return {name: key for name, key in found.items() if NAME.fullmatch(name)}


def field_name(key: str) -> str:
    """Return a column's name as it is written in a text; "" when nothing usable is left."""
    plain = unicodedata.normalize("NFKD", key.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:40].strip("_")


def _columns(lists: Sequence[ContactList]) -> list[str]:
    """Return the further columns of these lists: what their uploads kept, and what the first people have."""
    if not lists:
        return []
    sql = f"""SELECT DISTINCT jsonb_object_keys(c.fields) FROM ({_FIRST}) early (list_id, contact_id)
              CROSS JOIN LATERAL (SELECT fields FROM compliance_contact WHERE id = early.contact_id LIMIT 1) c"""  # noqa: S608 (our own text)
    with connection.cursor() as cursor:
        cursor.execute(sql, {"lists": [one.pk for one in lists], "each": _each(lists)})
        found = {row[0] for row in cursor.fetchall()}
    return sorted(found | contact_fields.names_of_lists(lists))


def values_of(contact: Contact) -> dict[str, str]:
    """Return the merge values of one person; planning freezes the same shape into each delivery."""
    own = {"first_name": contact.first_name, "last_name": contact.last_name, "email": contact.address}
    return {**{name: str(value) for name, value in contact.fields.items()}, **own}


def _by_country(rows: Sequence[Group]) -> tuple[tuple[str, int, int], ...]:
    got: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for country, reason, _, people in rows:
        (left if reason else got)[country] += people
    countries = sorted(got | left, key=lambda one: (one == "", -(got[one] + left[one]), one))
    return tuple((one, got[one], left[one]) for one in countries)


def _by_reason(rows: Sequence[Group]) -> tuple[tuple[str, str, int], ...]:
    reasons: Counter[str] = Counter()
    for _, reason, _, people in rows:
        if reason:
            reasons[reason] += people
    return tuple((reason, label(reason), people) for reason, people in reasons.most_common())


def missing(
    organization_id: int, lists: Sequence[ContactList], needed: Collection[str], only: Where | None
) -> tuple[tuple[str, int], ...]:
    """Return (needed field, mailable people without a value), most first; only fields that somebody lacks."""
    keys = sorted(needed)
    if not keys or not lists:
        return ()
    names = {f"key{place}": key for place, key in enumerate(keys)}
    columns = ", ".join(
        f"count(*) FILTER (WHERE btrim(COALESCE({_column(key, at)}, '')) = '')" for at, key in names.items()
    )
    sql = f"SELECT {columns} FROM ({_best(only)}) c WHERE c.reason = ''"  # noqa: S608 (keys are parameters)
    found = zip(keys, _query(sql, organization_id, lists, only, **names)[0], strict=True)
    return tuple(sorted(((name, people) for name, people in found if people), key=lambda pair: -pair[1]))


def _column(key: str, parameter: str) -> str:
    return COLUMNS.get(key, f"c.fields->>%({parameter})s")


def _query(
    sql: str, organization_id: int, lists: Sequence[ContactList], only: Where | None, **more: Any
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        chosen: dict[str, Any] = {"organization": organization_id, "lists": [one.pk for one in lists]}
        cursor.execute(sql, {**chosen, **(only.values if only else {}), **more})
        return cursor.fetchall()
