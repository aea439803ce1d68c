"""The root over all addresses of a file (rules 2.1): later one address can be proved in or out without the file.

The keyed hashes of all rows that could be taken, sorted and each once, are cut into blocks of BLOCK. A leaf is the
SHA-256 of a block; a node is the SHA-256 of "left right", both in hexadecimal; the last node of an odd row goes up as
it is. (A block's length is a multiple of 32 octets and a node's text has 129, so neither can pass for the other.)
The blocks are kept beside the statement; the root is signed into it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction
from django.db.models import Sum
from django.db.models.functions import Length

from compliance.models import AddressBlock, Attestation, ImportJob

BLOCK: Final = 1024  # hashes a block: 32 KiB, so that a proof fits into a mail
WIDTH: Final = 32  # octets of a hash

_COLLECT: Final = """
INSERT INTO compliance_addressblock (import_uid, number, hashes)
SELECT %(job)s, numbered.block, string_agg(numbered.hash, ''::bytea ORDER BY numbered.hash)
FROM (SELECT single.hash, (row_number() OVER (ORDER BY single.hash) - 1) / %(size)s AS block
      FROM (SELECT DISTINCT hash FROM import_scan) single) numbered
GROUP BY numbered.block
"""


@dataclass(frozen=True)
class Inclusion:
    """One address in one file: its block, and for each step up the hash beside it ("L": it stands left, "R", "-")."""

    block: bytes
    path: tuple[tuple[str, str], ...]
    root: str

    @property
    def holds(self) -> bool:
        """Tell whether block and path lead to the root."""
        found = hashlib.sha256(self.block).hexdigest()
        for side, beside in self.path:
            found = found if side == "-" else _node(beside, found) if side == "L" else _node(found, beside)
        return found == self.root


def collect(job: ImportJob) -> str:
    """Keep the hashes of the scan's temporary table as blocks and return their root in hexadecimal, "" without rows."""
    AddressBlock.objects.filter(import_uid=job.uid).delete()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")  # three sorts of all hashes, in memory up to two million
        cursor.execute(_COLLECT, {"job": job.uid, "size": BLOCK})
    return root_of(leaves(job))


def leaves(job: ImportJob) -> list[str]:
    """Return the leaves of a job's blocks, in hexadecimal."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT encode(sha256(hashes), 'hex') FROM compliance_addressblock WHERE import_uid = %s ORDER BY number",
            [job.uid],
        )
        return [row[0] for row in cursor.fetchall()]


def count(job: ImportJob) -> int:
    """Return how many addresses the blocks hold."""
    octets = AddressBlock.objects.filter(import_uid=job.uid).aggregate(all=Sum(Length("hashes")))["all"]
    return (octets or 0) // WIDTH


def root_of(row: Sequence[str]) -> str:
    """Return the root over leaves in hexadecimal, "" when there are none."""
    level = list(row)
    while len(level) > 1:
        pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
        level = [_node(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0] if level else ""


def _node(left: str, right: str) -> str:
    return hashlib.sha256(f"{left} {right}".encode()).hexdigest()


def inclusion(record: Attestation, hashes: Sequence[bytes]) -> Inclusion | None:
    """Return the proof that one of these hashes was in the signed file, None when none was or the blocks are gone."""
    if record.rows_root is None:
        return None
    blocks = list(AddressBlock.objects.filter(import_uid=record.import_uid).order_by("number"))
    for number, block in enumerate(blocks):
        if any(_is_in(bytes(block.hashes), one) for one in hashes):
            row = [hashlib.sha256(bytes(one.hashes)).hexdigest() for one in blocks]
            return Inclusion(bytes(block.hashes), _path(row, number), bytes(record.rows_root).hex())
    return None


def _is_in(block: bytes, one: bytes) -> bool:
    return one in {block[at : at + WIDTH] for at in range(0, len(block), WIDTH)}


def _path(row: list[str], place: int) -> tuple[tuple[str, str], ...]:
    """Return the hashes beside the way from a leaf to the root."""
    found, level = [], row
    while len(level) > 1:
        beside = place ^ 1
        side = "-" if beside >= len(level) else "L" if beside < place else "R"
        found.append((side, level[beside] if side != "-" else "-"))
        pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
        level = [_node(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
        place //= 2
    return tuple(found)
