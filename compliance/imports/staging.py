"""Rows on their way through the database: a temporary table, COPY, and the questions both readings ask of it.

Table and column names in the statements are our own words, never data.
"""

# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connection

from compliance.suppression import live_suppression_sql
from sendserver.lib.addresses import AddressKey, suppression_hash, suppression_hashes

hash_of = suppression_hash


@contextmanager
def table(name: str, columns: str) -> Iterator[None]:
    """Have an empty temporary table of this session; both arguments are our own words, never data."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{name}")
        cursor.execute(f"CREATE TEMPORARY TABLE {name} ({columns})")
    try:
        yield
    finally:
        if not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{name}")


def copy(name: str, columns: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Load rows by COPY. Text must hold no NUL; the row check has refused such rows."""
    with connection.cursor() as cursor, cursor.copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN") as stream:
        for row in rows:
            stream.write_row(row)


def take_suppressed(cursor: Any, name: str, values: dict[str, Any]) -> dict[str, int]:
    """Delete the rows of `name` (columns key, hash) that must not be mailed; return how many for each reason.

    The earliest entry names the reason. After a key rotation addresses are looked up under the older keys too.
    """
    counts: dict[str, int] = {}
    for sql_hash in ("s.hash", *(f"s.hash_{number}" for number in _add_old_hashes(cursor, name))):
        cursor.execute(
            f"""WITH gone AS (DELETE FROM {name} s
                  WHERE {live_suppression_sql(sql_hash, "%(organization)s")} RETURNING {sql_hash} AS hash)
                SELECT (SELECT e.reason FROM compliance_suppression e
                        WHERE e.address_hash = gone.hash AND e.lifted_at IS NULL
                          AND (e.organization_id = %(organization)s OR e.organization_id IS NULL)
                        ORDER BY e.created_at, e.id LIMIT 1) AS reason, count(*)
                FROM gone GROUP BY 1""",
            values,
        )
        for reason, count in cursor.fetchall():
            counts[reason] = counts.get(reason, 0) + count
    return counts


def _add_old_hashes(cursor: Any, name: str) -> range:
    """Add a column for each older key and fill it; return the numbers of these columns."""
    older = list(settings.SUPPRESSION_KEYS)[1:]
    if not older:
        return range(0)
    cursor.execute(f"SELECT DISTINCT key FROM {name}")
    keys = [row[0] for row in cursor.fetchall()]
    for number in range(len(older)):
        cursor.execute(f"ALTER TABLE {name} ADD COLUMN hash_{number} bytea")
        hashes = [suppression_hashes(AddressKey(key))[number + 1] for key in keys]
        cursor.execute(
            f"""UPDATE {name} s SET hash_{number} = old.hash
                FROM unnest(%s::text[], %s::bytea[]) AS old(key, hash) WHERE old.key = s.key""",
            [keys, hashes],
        )
    return range(len(older))
