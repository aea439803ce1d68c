"""The facts of one upload, gathered where its rows stand in a temporary table. One call, at the end of the scan.

Costs a bounded sample however long the file is: OVERLAP_SAMPLE addresses by the order of their keyed hashes, which
nobody outside can steer, and which is the same for the same file.
"""

from __future__ import annotations

from typing import Any

from django.db import connection

from compliance import policy
from compliance.models import ImportJob
from compliance.provenance import domains, marks, traits


def collect(job: ImportJob, table: str) -> dict[str, Any]:
    """Return the traits of an upload as JSON. `table` (our own name) has columns line, key and hash, one row a person.

    Asks DNS for some domains, unless LIST_LOOKUPS is off.
    """
    by_hash = _sample(table)
    dead = domains.dead_among(key.rpartition("@")[2] for _, key in by_hash[: policy.DOMAINS_SAMPLE])
    looked_up = [key.rpartition("@")[2] for _, key in by_hash[: policy.DOMAINS_SAMPLE]]
    by_hash.sort()
    keys = [key for _, key in by_hash]
    by_hash.clear()  # twenty thousand rows; the importer counts its megabytes
    found = traits.read(
        keys,
        looked_at=sum(domain in dead for domain in looked_up),
        dead=sum(dead.get(domain, False) for domain in looked_up),
        traps=_traps(table),
        overlap=marks.overlap(job.organization, keys),
    )
    return found.to_json()


def _sample(table: str) -> list[tuple[int, str]]:
    """Return (line, key) of the sampled rows, by the order of their hashes."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT line, key FROM {table} ORDER BY hash LIMIT %s", [policy.OVERLAP_SAMPLE])  # noqa: S608
        rows: list[tuple[int, str]] = cursor.fetchall()
    return rows


def _traps(table: str) -> int:
    """Return how many rows are trap addresses: all rows are asked, there are few traps."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM {table} s JOIN compliance_trap t ON t.address_hash = s.hash"  # noqa: S608
        )
        return int(cursor.fetchone()[0])
