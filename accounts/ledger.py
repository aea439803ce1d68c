"""Append-only, hash-chained tables: one way in. Checking them is accounts.ledger_walk's.

A chained model has `previous_hash` and `record_hash`; every other column (the key aside) is part of the record, so a
walk needs nothing but the table. Columns filled by the database or at saving (`auto_now_add`) do not fit such a model.
The database enters each record into the ledger (models.LedgerEntry), which binds its key and place: one chain over
everything, and one for each organization.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar
from uuid import UUID

from django.apps import apps
from django.db import connection, models, transaction

from sendserver.lib import chain
from sendserver.lib.appendonly import LEDGER_LOCK

Row = TypeVar("Row", bound=models.Model)

_NOT_HASHED = frozenset({"previous_hash", "record_hash"})


@dataclass(frozen=True)
class BrokenLink:
    """The first record of a table that does not fit: `why` is "altered" or "gap"."""

    table: str
    pk: int
    why: str


def append_chained(model: type[Row], fields: Mapping[str, Any]) -> Row:
    """Insert one row behind the table's last one and return it. Fields hold no floats.

    Takes the lock of all chains until the surrounding transaction ends (one for all, so that two appends cannot wait
    in a circle): make it the transaction's last act.
    """
    with transaction.atomic():
        _take_lock()
        previous = _last_hash(model)
        row = model(**fields)
        row.previous_hash = previous  # type: ignore[attr-defined]
        row.record_hash = chain.link(previous, record_of(row))  # type: ignore[attr-defined]
        row.save(force_insert=True)
        return row


def record_of(row: models.Model) -> dict[str, Any]:
    """Return what is hashed of a row: every column but its key and the two hashes, as JSON values.

    Columns that a table got later (`ledger_later` of the model) are left out where they are empty, so that records
    made before keep their hash; an empty one and a filled one can still not be taken for each other.
    """
    later: frozenset[str] = getattr(row, "ledger_later", frozenset())
    columns = [field for field in row._meta.concrete_fields if not field.primary_key]
    found = {f.attname: plain(getattr(row, f.attname)) for f in columns if f.attname not in _NOT_HASHED}
    return {name: value for name, value in found.items() if value is not None or name not in later}


def first_broken(model: type[models.Model]) -> BrokenLink | None:
    """Walk the whole table and return the first record that was altered, removed or slipped in, or None."""
    expected = chain.GENESIS
    for row in model._default_manager.order_by("pk").iterator(chunk_size=2000):
        if bytes(row.previous_hash) != expected:  # type: ignore[attr-defined]
            return BrokenLink(model._meta.db_table, row.pk, "gap")
        expected = chain.link(expected, record_of(row))
        if bytes(row.record_hash) != expected:  # type: ignore[attr-defined]
            return BrokenLink(model._meta.db_table, row.pk, "altered")
    return None


def chained_models() -> Iterator[type[models.Model]]:
    """Yield every chained table of the installed apps, the ledger over them aside."""
    for model in apps.get_models():
        names = {field.name for field in model._meta.concrete_fields}
        if names >= _NOT_HASHED and "entry_hash" not in names:
            yield model


def said_line(entry: Any) -> str:
    """Return what an entry says, as a line: table, key, organization, record's hash, organization's entry before."""
    organization = "-" if entry.organization_id is None else entry.organization_id
    hashes = (bytes(one).hex() for one in (entry.record_hash, entry.organization_previous))
    return " ".join([entry.table_name, str(entry.record_id), str(organization), *hashes])


def entry_line(entry: Any) -> str:
    """Return the line whose SHA-256 is an entry's hash: place, hash of what it says, hash of the entry before.

    It tells nothing of the record, so the chain between two records of one organization can be shown to it. The
    database writes the same lines (sendserver.lib.appendonly).
    """
    said = hashlib.sha256(said_line(entry).encode()).hexdigest()
    return f"{entry.position} {said} {bytes(entry.previous_hash).hex()}"


def entry_hash(entry: Any) -> bytes:
    """Return the hash that an entry must have, 32 bytes."""
    return hashlib.sha256(entry_line(entry).encode()).digest()


def _take_lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LEDGER_LOCK])


def _last_hash(model: type[models.Model]) -> bytes:
    last = model._default_manager.order_by("-pk").values_list("record_hash", flat=True).first()
    return bytes(last) if last is not None else chain.GENESIS


def plain(value: Any) -> Any:
    """Return a value as JSON knows it, the same before saving and after reading back."""
    if isinstance(value, models.enums.Choices):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
