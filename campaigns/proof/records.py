"""Chained records as files that anybody can check: their bytes, their place in the ledger, the way to a signed head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import models

from accounts import ledger
from accounts.ledger_heads import of_row
from accounts.models import LedgerEntry, LedgerHead
from sendserver.lib import chain, heads


@dataclass(frozen=True)
class Proven:
    """One record with its place. `fault` says what does not fit, "" when all does."""

    record: models.Model
    entry: LedgerEntry
    content: bytes  # canonical JSON, exactly as it was hashed
    way: list[str]  # lines of the entries from this one to the head
    head: heads.Head | None
    fault: str

    @property
    def name(self) -> str:
        """Return what its files are called."""
        return f"{self.entry.position}-{self.entry.table_name}"


def prove(records: Iterable[models.Model]) -> list[Proven]:
    """Return each record once, in the order of the ledger; records without an entry are not there."""
    found = {}
    for record in records:
        entry = LedgerEntry.objects.filter(table_name=record._meta.db_table, record_id=record.pk).first()
        if entry is not None:
            found[entry.position] = _proven(record, entry)
    return [found[position] for position in sorted(found)]


def _proven(record: models.Model, entry: LedgerEntry) -> Proven:
    content = chain.canonical(ledger.record_of(record))
    row = LedgerHead.objects.filter(pk__gte=entry.position).order_by("pk").first()
    head = of_row(row) if row else None
    entries = list(_way(entry, head))
    return Proven(
        record=record,
        entry=entry,
        content=content,
        way=[ledger.entry_line(one) for one in entries],
        head=head,
        fault=_fault(record, entries, head),
    )


def _way(entry: LedgerEntry, head: heads.Head | None) -> Iterator[LedgerEntry]:
    last = head.position if head else entry.position
    yield from LedgerEntry.objects.filter(position__gte=entry.position, position__lte=last).order_by("position")


def _fault(record: models.Model, way: list[LedgerEntry], head: heads.Head | None) -> str:
    """Return what a reader of the files would find, "" when everything fits."""
    previous, own = bytes(record.previous_hash), bytes(record.record_hash)  # type: ignore[attr-defined]
    if chain.link(previous, ledger.record_of(record)) != own or own != bytes(way[0].record_hash):
        return "the record was altered"
    for before, entry in zip([None, *way], way, strict=False):
        if before is not None and bytes(entry.previous_hash) != bytes(before.entry_hash):
            return f"entry {entry.position} does not follow"
        if ledger.entry_hash(entry) != bytes(entry.entry_hash):
            return f"entry {entry.position} was altered"
    if head is None:
        return "not signed yet"
    if not heads.is_genuine(head) or head.entry_hash != bytes(way[-1].entry_hash):
        return "the signed head does not fit"
    return ""
