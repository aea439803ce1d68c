"""Rows on their way through the database: a temporary table, COPY, and the questions both readings ask of it.

Table and column names in the statements are our own words, never data.
"""

# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.conf import settings
from django.db import connection

from compliance.suppression import live_suppression_sql
from sendserver.lib.addresses import AddressKey, suppression_hashes

LINES_AT_ONCE: Final = 1000
_OLD: Final = "import_old_hash"
# Each row looked up by the index: of a table a moment old, or one that grew since the last ANALYZE, the planner thinks
# that it is small, and walks all of it for every row, or for every stretch of rows.
ONE_BY_ONE: Final = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@contextmanager
def table(name: str, columns: str) -> Iterator[None]:
    """Have an empty temporary table of this session; both arguments are our own words, never data.

    `columns` is what stands behind the name in CREATE TABLE.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{name}")
        cursor.execute(f"CREATE TEMPORARY TABLE {name} {columns}")
    yield
    # After an error the transaction may be void; the next one to ask for the table drops it.
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{name}")


def empty_tables(cursor: Any, tables: Mapping[str, str]) -> None:
    """Have temporary tables (name -> columns) that are empty now and behind this transaction.

    They stay with the session: made anew for each piece of a list they would cost more than what is done in them.
    """
    made = [
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} {what} ON COMMIT DELETE ROWS" for name, what in tables.items()
    ]
    cursor.execute("; ".join((*made, *(f"DELETE FROM pg_temp.{name}" for name in tables))))


def copy(name: str, columns: Iterable[str], lines: Iterable[str]) -> None:
    """Load lines as `line_of` makes them by COPY; some at a time, for a process that counts its megabytes."""
    rest = iter(lines)
    with connection.cursor() as cursor, cursor.copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN") as stream:
        while some := "".join(islice(rest, LINES_AT_ONCE)):
            stream.write(some.encode())


def line_of(texts: Sequence[str], *others: str) -> str:
    """Return a line of COPY's text format: `texts` are escaped, `others` (numbers, times, hashes) stand as they are.

    Text must hold no NUL; the row check has refused such rows. Written by hand since psycopg's own way costs three
    times as much a row.
    """
    line = "\t".join(texts)
    if "\\" in line or "\n" in line or "\r" in line or line.count("\t") != len(texts) - 1:
        line = "\t".join(text.translate(_ESCAPES) for text in texts)
    return "\t".join((line, *others)) + "\n"


def time_of(moment: datetime | None) -> str:
    """Return a time in COPY's text format."""
    return moment.isoformat() if moment else "\\N"


def bytes_of(value: bytes) -> str:
    """Return bytes in COPY's text format."""
    return f"\\\\x{value.hex()}"


def take_suppressed(cursor: Any, name: str, values: dict[str, Any]) -> dict[str, int]:
    """Delete the rows of `name` (columns key, hash) that must not be mailed; return how many for each reason.

    The earliest entry names the reason. After a key rotation addresses are looked up under the older keys too.
    """
    counts: dict[str, int] = {}
    for source in (name, *_old_hashes(cursor, name)):
        # First by the hash alone, row by row in an index: the planner must not read the whole do-not-mail list, nor
        # all entries of one organization for each row. What is found is judged in full, one by one again (a condition
        # that IS TRUE becomes no join), and deleted by its place in the table.
        cursor.execute(
            f"""WITH hit AS MATERIALIZED (SELECT {_place(source, name)} AS place, s.hash FROM {source} s
                  WHERE (SELECT true FROM compliance_suppression e
                         WHERE e.address_hash = s.hash AND e.lifted_at IS NULL LIMIT 1)),
                live AS MATERIALIZED (SELECT place, hash FROM hit
                  WHERE ({live_suppression_sql("hit.hash", "%(organization)s")}) IS TRUE),
                gone AS (DELETE FROM {name} s USING live WHERE s.ctid = live.place RETURNING live.hash AS hash)
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


def _place(source: str, name: str) -> str:
    return "s.ctid" if source == name else "s.place"


def _old_hashes(cursor: Any, name: str) -> list[str]:
    """Return the name of a table (place, hash) of the rows' hashes under older keys; none where there is one key only.

    `place` is where the row stands in `name`.
    """
    older = list(settings.SUPPRESSION_KEYS)[1:]
    if not older:
        return []
    cursor.execute(f"SELECT ctid::text, key FROM {name}")
    rows = cursor.fetchall()
    places = [row[0] for row in rows]
    cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{_OLD}")
    cursor.execute(f"CREATE TEMPORARY TABLE {_OLD} (place tid, hash bytea)")
    for number in range(len(older)):
        hashes = [suppression_hashes(AddressKey(key))[number + 1] for _, key in rows]
        cursor.execute(f"INSERT INTO {_OLD} SELECT * FROM unnest(%s::tid[], %s::bytea[])", [places, hashes])
    return [_OLD]
