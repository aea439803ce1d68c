"""Who would get a campaign: counts by country and reason, fields, sample values. Plans and freezes nothing.

The per-person answer is compliance's SQL; here it is only grouped, one row per person even on several lists.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.cache import cache
from django.db import connection

from campaigns.content.merge import NAME
from compliance.consent import EXPRESS, WORDS, country_sql, mailable_sql
from compliance.gate import AudienceFacts
from compliance.lists import state_sql
from compliance.models import Contact, ContactList
from compliance.segments.where import Where

BUILT_IN: Final = ("first_name", "last_name", "email")
COLUMNS: Final = {"first_name": "c.first_name", "last_name": "c.last_name", "email": "c.address"}
FIELD_SAMPLE: Final = 2_000  # people whose further columns are looked at
KEPT_ABOVE: Final = 20_000  # people; counting more takes long enough to be noticed
KEPT_SECONDS: Final = 60


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
WHERE l.organization_id = %(organization)s AND l.id = ANY(%(lists)s) {where}
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
    """Return who would get a message to `lists` now; `needed` are keys of values that everybody must have."""
    if not lists:
        return AudienceFacts()
    rows = _query(
        f"SELECT country, reason, basis, count(*) FROM ({_best(only)}) best GROUP BY 1, 2, 3",  # noqa: S608
        organization_id,
        lists,
        only,
    )
    return AudienceFacts(
        total=sum(row[3] for row in rows),
        mailable=sum(row[3] for row in rows if not row[1]),
        by_country=_by_country(rows),
        left_out=_by_reason(rows),
        without_express=sum(row[3] for row in rows if not row[1] and row[2] not in EXPRESS),
        missing_values=_missing(organization_id, lists, needed, only),
    )


def count_lately(
    organization_id: int, lists: Sequence[ContactList], needed: Collection[str] = (), only: Where | None = None
) -> AudienceFacts:
    """Return `count`, at most KEPT_SECONDS old for long lists: the editor asks after every pause in typing."""
    if sum(one.people_count for one in lists) < KEPT_ABOVE:
        return count(organization_id, lists, needed, only)
    parts = [str(organization_id), *(str(one.pk) for one in lists), *sorted(needed), repr(only)]
    key = "audience:" + hashlib.blake2s("|".join(parts).encode(), digest_size=12).hexdigest()
    found: AudienceFacts | None = cache.get(key)
    if found is None:
        found = count(organization_id, lists, needed, only)
        cache.set(key, found, KEPT_SECONDS)
    return found


def by_country_and_reason(
    organization_id: int, lists: Sequence[ContactList], only: Where | None = None
) -> dict[str, list[tuple[str, int]]]:
    """Return for each country the reasons for leaving people out, most frequent first."""
    if not lists:
        return {}
    sql = f"SELECT country, reason, count(*) FROM ({_best(only)}) best WHERE reason <> '' GROUP BY 1, 2"  # noqa: S608
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for country, reason, people in sorted(_query(sql, organization_id, lists, only), key=lambda row: -row[2]):
        found[country].append((label(reason), people))
    return dict(found)


def left_out(organization_id: int, lists: Sequence[ContactList], only: Where | None = None) -> Iterator[Left]:
    """Yield everybody who is left out, by address."""
    sql = f"SELECT address, country, reason FROM ({_best(only)}) best WHERE reason <> '' ORDER BY address"  # noqa: S608
    for row in _query(sql, organization_id, lists, only) if lists else []:
        yield Left(*row)


def samples(organization_id: int, lists: Sequence[ContactList], size: int, only: Where | None = None) -> list[Contact]:
    """Return up to `size` mailable people, those without a name first: what breaks shows early.

    Looks at the first FIELD_SAMPLE memberships only, so that a list of a million costs no more.
    """
    if not lists:
        return []
    few = f"""AND m.id IN (SELECT early.id FROM compliance_listmembership early
                           WHERE early.contact_list_id = ANY(%(lists)s) ORDER BY early.id LIMIT {FIELD_SAMPLE})"""  # noqa: S608 (our own text)
    sql = (
        f"SELECT id FROM ({_best(only, few)}) best WHERE reason = '' ORDER BY (first_name <> ''), id LIMIT {int(size)}"  # noqa: S608
    )
    ids = [row[0] for row in _query(sql, organization_id, lists, only)]
    known = Contact.objects.in_bulk(ids)
    return [known[pk] for pk in ids]


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
    if not lists:
        return []
    sql = """SELECT DISTINCT jsonb_object_keys(few.fields) FROM (
               SELECT c.fields FROM compliance_listmembership m JOIN compliance_contact c ON c.id = m.contact_id
               WHERE m.contact_list_id = ANY(%s) AND c.fields <> '{}' LIMIT %s) few"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [[one.pk for one in lists], FIELD_SAMPLE])
        return sorted(row[0] for row in cursor.fetchall())


def values_of(contact: Contact) -> dict[str, str]:
    """Return the merge values of one person; planning freezes the same shape into each delivery."""
    own = {"first_name": contact.first_name, "last_name": contact.last_name, "email": contact.address}
    return {**{name: str(value) for name, value in contact.fields.items()}, **own}


def _by_country(rows: Sequence[tuple]) -> tuple[tuple[str, int, int], ...]:
    got: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for country, reason, _, people in rows:
        (left if reason else got)[country] += people
    countries = sorted(got | left, key=lambda one: (one == "", -(got[one] + left[one]), one))
    return tuple((one, got[one], left[one]) for one in countries)


def _by_reason(rows: Sequence[tuple]) -> tuple[tuple[str, str, int], ...]:
    reasons: Counter[str] = Counter()
    for _, reason, _, people in rows:
        if reason:
            reasons[reason] += people
    return tuple((reason, label(reason), people) for reason, people in reasons.most_common())


def _missing(
    organization_id: int, lists: Sequence[ContactList], needed: Collection[str], only: Where | None
) -> tuple[tuple[str, int], ...]:
    keys = sorted(needed)
    if not keys:
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
    sql: str, organization_id: int, lists: Sequence[ContactList], only: Where | None, **more: str
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        chosen: dict[str, Any] = {"organization": organization_id, "lists": [one.pk for one in lists]}
        cursor.execute(sql, {**chosen, **(only.values if only else {}), **more})
        return cursor.fetchall()
