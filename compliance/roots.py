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
from typing import Any, Final

from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Length

from compliance.models import AddressBlock, Attestation, ImportJob

BLOCK: Final = 1024  # hashes a block: 32 KiB, so that a proof fits into a mail
WIDTH: Final = 32  # octets of a hash

# Blocks go on over the parts: what the last one left over stands in front. Only whole blocks are kept.
_COLLECT: Final = """
WITH numbered AS (
    SELECT single.hash, (row_number() OVER (ORDER BY single.hash) - 1 + %(carried)s) / %(size)s AS block
    FROM (SELECT DISTINCT hash FROM {part}) single
), made AS (
    SELECT block, CASE WHEN block = 0 THEN %(rest)s::bytea ELSE '' END
      || string_agg(hash, ''::bytea ORDER BY hash) AS hashes FROM numbered GROUP BY block
), kept AS (
    INSERT INTO compliance_addressblock (import_uid, number, hashes)
    SELECT %(job)s, %(first)s + block, hashes FROM made WHERE length(hashes) = %(whole)s
    ON CONFLICT (import_uid, number) DO UPDATE SET hashes = excluded.hashes
    RETURNING 1
)
SELECT count(*) FILTER (WHERE length(hashes) = %(whole)s), count(*),
       min(hashes) FILTER (WHERE length(hashes) < %(whole)s)
FROM made
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


class Blocks:
    """The blocks of one job in the making, part after part in the order of the hashes; every call asks the database."""

    def __init__(self, job: ImportJob) -> None:
        self.job, self.number, self.rest = job, 0, b""  # blocks that are whole, and hashes over them

    def add(self, part: str) -> None:
        """Keep the hashes of a temporary table (our own name) whose least is above all that were added before."""
        values: dict[str, Any] = {
            "job": self.job.uid,
            "first": self.number,
            "rest": self.rest,
            "carried": len(self.rest) // WIDTH,
            "size": BLOCK,
            "whole": BLOCK * WIDTH,
        }
        with connection.cursor() as cursor:
            cursor.execute(_COLLECT.format(part=part), values)
            whole, made, rest = cursor.fetchone()
        self.number += whole
        if made:
            self.rest = bytes(rest or b"")

    def finish(self) -> str:
        """Keep what is left over, drop what an earlier counting had beyond, and return the root, "" without hashes."""
        mine = AddressBlock.objects.filter(import_uid=self.job.uid)
        mine.filter(number__gte=self.number).delete()
        if self.rest:
            AddressBlock.objects.create(import_uid=self.job.uid, number=self.number, hashes=self.rest)
        return root_of(leaves(self.job))


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
