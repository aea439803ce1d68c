"""The facts of one upload, gathered where its rows stand in a temporary table. One call, at the end of the scan.

Costs a bounded sample however long the file is: OVERLAP_SAMPLE addresses by the order of their keyed hashes, which
nobody outside can steer, and which is the same for the same file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection

from compliance import policy
from compliance.models import ImportJob
from compliance.provenance import domains, marks, traits


def collect(job: ImportJob, tables: Iterable[str], traps: int) -> dict[str, Any]:
    """Return the traits of an upload as JSON; `traps` of its rows are trap addresses.

    `tables` (our own names) have columns line, key and hash, one row a person, each only hashes above the last one's:
    of a long list few of them are looked at. Asks DNS for some domains, unless LIST_LOOKUPS is off.
    """
    by_hash = _sample(tables)
    dead = domains.dead_among(key.rpartition("@")[2] for _, key in by_hash[: policy.DOMAINS_SAMPLE])
    looked_up = [key.rpartition("@")[2] for _, key in by_hash[: policy.DOMAINS_SAMPLE]]
    by_hash.sort()
    keys = [key for _, key in by_hash]
    by_hash.clear()  # twenty thousand rows; the importer counts its megabytes
    found = traits.read(
        keys,
        looked_at=sum(domain in dead for domain in looked_up),
        dead=sum(dead.get(domain, False) for domain in looked_up),
        traps=traps,
        overlap=marks.overlap(job.organization, keys),
    )
    return found.to_json()


def _sample(tables: Iterable[str]) -> list[tuple[int, str]]:
    """Return (line, key) of the sampled rows, by the order of their hashes."""
    rows: list[tuple[int, str]] = []
    with connection.cursor() as cursor:
        for table in tables:
            room = policy.OVERLAP_SAMPLE - len(rows)
            if not room:
                break
            cursor.execute(f"SELECT line, key FROM {table} ORDER BY hash LIMIT %s", [room])  # noqa: S608
            rows += cursor.fetchall()
    return rows


def trapped(table: str) -> int:
    """Return how many rows of a table, as of `collect`, are trap addresses: all are asked, there are few traps."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM {table} s JOIN compliance_trap t ON t.address_hash = s.hash"  # noqa: S608
        )
        return int(cursor.fetchone()[0])
