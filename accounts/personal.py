"""Personal parts of evidence: side rows that retention may delete while the record beside them stays.

A side model names its record by `ledger_side`; the record holds a salted commitment to the side row, so an altered
part is found, and a deleted one is sound only where an audit row says when and under which rule it went.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models

from accounts import audit
from accounts.ledger import plain
from accounts.models import AuditEntry
from sendserver.lib import chain

DELETED = "personal_part.deleted"


@dataclass(frozen=True)
class Side:
    """How a side row hangs on its record: "app.Model", the record's column, the row's column, the commitment."""

    record: str
    record_column: str
    link: str
    commitment: str = "person_commitment"


def side_models() -> Iterator[tuple[type[models.Model], Side]]:
    """Yield every side table with how it hangs on its record."""
    for model in apps.get_models():
        side = getattr(model, "ledger_side", None)
        if isinstance(side, Side):
            yield model, side


def record_model(side: Side) -> type[models.Model]:
    """Return the model of the records that a side table belongs to."""
    return apps.get_model(side.record)


def part_of(row: models.Model, side: Side) -> dict[str, Any]:
    """Return what of a side row the commitment covers: all but key, link and salt."""
    left_out = {side.link, "salt"}
    columns = [f.attname for f in row._meta.concrete_fields if not f.primary_key and f.attname not in left_out]
    return {name: plain(getattr(row, name)) for name in columns}


def commitment(salt: bytes, part: Mapping[str, Any]) -> bytes:
    """Return what binds a record to its side row: SHA-256 over the salt and the part as canonical JSON, 32 bytes."""
    return hashlib.sha256(salt + chain.canonical(dict(part))).digest()


def subject_of(record: models.Model) -> str:
    """Return how the audit log names the record that lost its personal part."""
    return f"{record._meta.db_table}:{record.pk}"


def delete(row: models.Model, *, rule: str) -> None:
    """Delete a personal part under a rule ("DATA-RETENTION"), audited first, as the tables' owner.

    Two connections, so no one transaction: a crash in between leaves the part and the row that says it goes, and
    the walk says so until it is done again.
    """
    side: Side = row.ledger_side  # type: ignore[attr-defined]
    record = record_model(side)._default_manager.get(**{side.record_column: getattr(row, side.link)})
    if not AuditEntry.objects.filter(action=DELETED, subject=subject_of(record)).exists():
        audit.record(
            DELETED,
            actor=None,
            organization=getattr(record, "organization", None),
            subject=subject_of(record),
            reason=rule,
        )
    type(row)._default_manager.using("owner").filter(pk=row.pk).delete()
