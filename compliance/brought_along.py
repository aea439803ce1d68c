"""Who said no or bounced at a customer's previous tool: a file of addresses goes onto the do-not-mail list at once.

One row holds one address, in whatever column; rows without one are counted, not guessed at. The file is read where it
came in and deleted; its fingerprint and figures stand in the audit log and, beside an upload, in its statement. Taking
such an entry back is the person's alone, by a newer sign-up.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction

from accounts import audit
from accounts.models import Organization, User
from compliance import policy
from compliance.errors import FileRefusedError
from compliance.imports import files, reading, receive
from compliance.models import Suppression
from sendserver.lib import clock
from sendserver.lib.addresses import Address, AddressKey, parse, suppression_hashes

PIECE: Final = 5000  # addresses a statement
SOURCE: Final = "brought_along"
_INSERT: Final = """
INSERT INTO compliance_suppression
  (organization_id, address_hash, key_id, act, reason, source, delivery_id, created_at, until, lifted_at, lifted_reason)
SELECT %(organization)s, entry.hash, entry.key_id, entry.act, %(reason)s, %(source)s, NULL, %(now)s, NULL, NULL, ''
FROM unnest(%(hashes)s::bytea[], %(key_ids)s::text[], %(acts)s::uuid[]) AS entry(hash, key_id, act)
ORDER BY entry.hash
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True)
class Taken:
    """What became of a file: different addresses on the list now, rows without an address, its fingerprint."""

    taken: int
    wrong: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a statement keeps it."""
        return {"taken": self.taken, "wrong": self.wrong, "sha256": self.sha256}


def bring(organization: Organization, chunks: Iterable[bytes], *, actor: User) -> Taken:
    """Put every address of a file onto the organization's do-not-mail list; all of it or nothing.

    FileRefusedError in words: no file we read, more than OPTOUTS_ROWS rows, not one address in it.
    """
    stored = files.receive(chunks)
    try:
        keys, wrong = _addresses(stored)
    finally:
        files.forget(stored.name)
    if not keys:
        raise FileRefusedError("No row of the file has an e-mail address.")
    found = Taken(len(keys), wrong, stored.sha256.hex())
    with transaction.atomic():
        ordered = sorted(keys)
        for start in range(0, len(ordered), PIECE):
            _write(organization, ordered[start : start + PIECE])
        audit.record(
            "suppression.brought",
            actor=actor,
            organization=organization,
            subject=f"organization:{organization.uid}",
            detail=found.to_json(),
        )
    return found


def _addresses(stored: files.Stored) -> tuple[set[AddressKey], int]:
    keys: set[AddressKey] = set()
    wrong = 0
    for number, cells in enumerate(_rows(stored)):
        if number > policy.OPTOUTS_ROWS:
            raise FileRefusedError(f"The file has more than {policy.OPTOUTS_ROWS:,} rows. Split it.")
        found = next((one for one in (parse(cell) for cell in cells if "@" in cell) if isinstance(one, Address)), None)
        if found is not None:
            keys.add(found.key)
        elif number and any(cell.strip() for cell in cells):  # (the first row may be the names of the columns)
            wrong += 1
    return keys, wrong


def _rows(stored: files.Stored) -> Iterator[list[str]]:
    path = files.path_of(stored.name)
    for row in reading.rows(path, receive.dialect_of(path, stored.kind)):
        yield row.cells


def _write(organization: Organization, keys: Iterable[AddressKey]) -> None:
    names = list(settings.SUPPRESSION_KEYS)
    rows: list[tuple[bytes, str, uuid.UUID]] = []
    for key in keys:
        act = uuid.uuid4()
        rows += [(key_hash, name, act) for key_hash, name in zip(suppression_hashes(key), names, strict=True)]
    values: dict[str, Any] = {
        "organization": organization.pk,
        "reason": Suppression.Reason.BROUGHT.value,
        "source": SOURCE,
        "now": clock.now(),
        "hashes": [row[0] for row in rows],
        "key_ids": [row[1] for row in rows],
        "acts": [row[2] for row in rows],
    }
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, values)
