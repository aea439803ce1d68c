"""National opt-out registers (Directive 2000/31/EC article 7(2); Austria: ECG section 7(2), RTR list).

An adapter for registers that are given out as files of checksums: one a line in hexadecimal, or packed one behind the
other; SHA-1 or SHA-256 of the lower-case address, of its domain, or of "@" and its domain. (Which of these the
Austrian list uses is unconfirmed, so all are compared; a checksum too many leaves a person out, never in.)

Only express permission beats a register. Whoever has another basis is mailed only after their address was compared
with a current file that is not older than the register's age allows; consent.mailable_sql() asks for that at planning
and at sending. Nothing is fetched here: an operator's job brings the file (`manage.py load_register`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.db import connection, transaction

from accounts import audit
from compliance import policy
from compliance.errors import RegisterRefusedError
from compliance.models import RegisterCheck, RegisterEntry, RegisterFile
from compliance.models.lists import EXPRESS_BASES, Contact
from sendserver.lib import clock

BATCH: Final = 5000
SIZES: Final = {20: "sha1", 32: "sha256"}  # octets of a checksum -> how it is made


@dataclass(frozen=True)
class Register:
    """One country's list."""

    code: str
    country: str
    name: str
    source: str


REGISTERS: Final[dict[str, Register]] = {
    "AT-ECG": Register("AT-ECG", "AT", "ECG list (RTR)", "AT ECG s.7(2) [P]; Directive 2000/31/EC 7(2) [P]")
}

# Contacts of the country with a basis that a register beats, not yet compared with the current file.
_UNCHECKED: Final = """
SELECT c.id, c.address_key, c.domain FROM compliance_contact c
WHERE c.id > %(after)s AND EXISTS (
    SELECT 1 FROM compliance_listmembership m WHERE m.contact_id = c.id
      AND m.basis <> '' AND NOT m.basis = ANY(%(express)s)
      AND COALESCE(NULLIF(c.country, ''), m.country) = %(country)s)
  AND NOT EXISTS (SELECT 1 FROM compliance_registercheck k WHERE k.contact_id = c.id AND k.file_id = %(file)s)
ORDER BY c.id LIMIT %(batch)s
"""


def read(path: Path) -> set[bytes]:
    """Return the checksums of a file; RegisterRefusedError when it is not one of one kind."""
    data = path.read_bytes()
    try:
        found = {bytes.fromhex(line.decode().strip()) for line in data.splitlines() if line.strip()}
    except ValueError:
        found = set(_packed(data))
    if not found or len({len(one) for one in found}) != 1 or len(next(iter(found))) not in SIZES:
        raise RegisterRefusedError("This is no list of SHA-1 or SHA-256 checksums.")
    return found


def _packed(data: bytes) -> Iterator[bytes]:
    """Yield the checksums of a packed file: SHA-1, unless only SHA-256 fits its length."""
    size = next((size for size in SIZES if data and len(data) % size == 0), 0)
    if not size:
        raise RegisterRefusedError("This is no list of SHA-1 or SHA-256 checksums.")
    yield from (data[at : at + size] for at in range(0, len(data), size))


@transaction.atomic
def load(code: str, path: Path, *, fetched_at: datetime) -> RegisterFile:
    """Load a register's file, compare everybody it concerns, and let it take the place of the one before."""
    checksums = read(path)
    if fetched_at > clock.now():
        raise RegisterRefusedError("A file cannot be fetched in the future.")
    file = RegisterFile.objects.create(
        register=REGISTERS[code].code,
        sha256=hashlib.sha256(path.read_bytes()).digest(),
        entry_count=len(checksums),
        fetched_at=fetched_at,
        loaded_at=clock.now(),
    )
    rows = (RegisterEntry(file=file, checksum=one) for one in checksums)
    RegisterEntry.objects.bulk_create(rows, batch_size=BATCH)
    RegisterFile.objects.filter(register=code, is_current=True).update(is_current=False)
    RegisterFile.objects.filter(pk=file.pk).update(is_current=True)
    file.is_current = True
    _check_all(file)
    RegisterFile.objects.filter(register=code, is_current=False).delete()
    audit.record("register.loaded", actor=None, subject=f"register:{code}", detail={"entries": len(checksums)})
    return file


def check_new() -> int:
    """Compare contacts that came since the files were loaded; return how many were compared."""
    return sum(_check_all(file) for file in RegisterFile.objects.filter(is_current=True))


def _check_all(file: RegisterFile) -> int:
    size = len(bytes(file.entries.values_list("checksum", flat=True)[:1][0]))
    checked, after = 0, 0
    while rows := _unchecked(file, after):
        listed = _listed(file, {pk: checksums(key, domain, size) for pk, key, domain in rows})
        RegisterCheck.objects.bulk_create(
            [RegisterCheck(file=file, contact_id=pk, is_listed=pk in listed) for pk, _, _ in rows],
            ignore_conflicts=True,
        )
        checked, after = checked + len(rows), rows[-1][0]
    return checked


def _unchecked(file: RegisterFile, after: int) -> list[tuple[int, str, str]]:
    values: dict[str, int | str | list[str]] = {
        "file": file.pk,
        "after": after,
        "express": [str(basis) for basis in EXPRESS_BASES],
        "country": REGISTERS[file.register].country,
        "batch": BATCH,
    }
    with connection.cursor() as cursor:
        cursor.execute(_UNCHECKED, values)
        return cursor.fetchall()


def checksums(key: str, domain: str, size: int) -> list[bytes]:
    """Return the checksums under which an address or its whole domain may stand in a file; `size` octets each."""
    return [hashlib.new(SIZES[size], text.encode()).digest() for text in (key, domain, f"@{domain}")]


def _listed(file: RegisterFile, wanted: dict[int, list[bytes]]) -> set[int]:
    every = [one for row in wanted.values() for one in row]
    found = {bytes(one) for one in file.entries.filter(checksum__in=every).values_list("checksum", flat=True)}
    return {pk for pk, row in wanted.items() if found.intersection(row)}


def state_of(contact: Contact, country: str) -> str:
    """Return what a register says of a contact now: "" (free, or no register there), "missing" or "listed"."""
    register = next((one for one in REGISTERS.values() if one.country == country), None)
    if register is None:
        return ""
    oldest = clock.now() - timedelta(days=policy.REGISTER_MAX_AGE_D)
    check = RegisterCheck.objects.filter(
        contact=contact, file__register=register.code, file__is_current=True, file__fetched_at__gt=oldest
    ).first()
    return "missing" if check is None else "listed" if check.is_listed else ""


def register_sql(contact: str, country: str) -> str:
    """Return a SQL expression that says the same: '', 'missing' or 'listed'. Holds no percent sign.

    `contact` is an alias of compliance_contact, `country` the expression of the country whose law applies.
    """
    places = " ".join(_case(one, contact, country) for one in REGISTERS.values())
    return f"CASE {places} ELSE '' END"


def _case(register: Register, contact: str, country: str) -> str:
    """Return the case of one register. Its aliases are its own: the lanes call the contact k."""
    return f"""WHEN {country} = '{register.country}' THEN COALESCE((
      SELECT CASE WHEN compared.is_listed THEN 'listed' ELSE '' END FROM compliance_registercheck compared
      JOIN compliance_registerfile given ON given.id = compared.file_id
      WHERE compared.contact_id = {contact}.id AND given.register = '{register.code}' AND given.is_current
        AND given.fetched_at > now() - interval '{policy.REGISTER_MAX_AGE_D} days'), 'missing')"""  # noqa: S608 (our own codes)
