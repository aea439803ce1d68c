"""Walk the ledger: every entry, the record behind it, its personal part, and the heads that were signed.

Reads only. What it cannot find: a record that was never written, and a whole history written anew by somebody who
also holds the signing key and every exported head.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connections, models, transaction

from accounts import ledger, personal
from accounts.models import AuditEntry, LedgerEntry, LedgerHead
from sendserver.lib import chain
from sendserver.lib.heads import Head, is_genuine

BATCH: Final = 2000
FAULTS_AT_MOST: Final = 20  # more are not listed: the first one is where to look


@dataclass(frozen=True)
class Fault:
    """A record that does not fit, by table and key, and what is wrong in words."""

    table: str
    pk: object
    why: str

    def __str__(self) -> str:
        return f"{self.table} {self.pk}: {self.why}"


@dataclass
class Report:
    """What a walk saw. `faults` stand in the order of the ledger: the first one is the first bad record."""

    entries: int = 0
    organizations: int = 0
    records: dict[str, int] = field(default_factory=dict)  # table -> records
    heads: int = 0
    notes: list[str] = field(default_factory=list)  # personal parts that were deleted: sound
    faults: list[Fault] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Tell whether nothing was found."""
        return not self.faults

    def blame(self, table: str, pk: object, why: str) -> None:
        """Add a fault."""
        self.faults.append(Fault(table, pk, why))

    @property
    def is_whole(self) -> bool:
        """Tell whether the ledger itself holds: behind a broken entry no record is proven."""
        return not any(fault.table == LedgerEntry._meta.db_table for fault in self.faults)

    @property
    def is_full(self) -> bool:
        """Tell whether enough was found."""
        return len(self.faults) >= FAULTS_AT_MOST


def walk(*, using: str = "default", exported: Iterable[Head] = ()) -> Report:
    """Return what is wrong with the evidence; `exported` are heads kept outside the database."""
    report = Report()
    with _one_moment(using):
        heads = _heads(report, using, exported)
        _Walk(report, using, heads).run()
        for model, side in personal.side_models():
            _check_side(report, model, side, using)
    return report


@contextmanager
def _one_moment(using: str) -> Iterator[None]:
    """Let the whole walk see one state, whatever is written meanwhile."""
    connection = connections[using]
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic(using=using):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _heads(report: Report, using: str, exported: Iterable[Head]) -> dict[int, list[Head]]:
    """Return all signed heads by position; one that is not genuine is blamed and left out."""
    table = LedgerHead._meta.db_table
    kept = [
        Head(row.pk, bytes(row.entry_hash), row.at, row.key_id, bytes(row.signature))
        for row in LedgerHead.objects.using(using).order_by("pk")
    ]
    found: dict[int, list[Head]] = {}
    for source, heads in ((table, kept), ("exported head", exported)):
        for head in heads:
            report.heads += 1
            if is_genuine(head):
                found.setdefault(head.position, []).append(head)
            else:
                report.blame(source, head.position, "its signature does not fit, or its key is not known")
    return found


class _Walk:
    """The entries in order, each beside the next record of its table."""

    def __init__(self, report: Report, using: str, heads: dict[int, list[Head]]) -> None:
        self.report, self.using, self.heads = report, using, heads
        self.models = {model._meta.db_table: model for model in ledger.chained_models()}
        self.rows = {table: self._rows(model) for table, model in self.models.items()}
        self.ahead = {table: next(rows, None) for table, rows in self.rows.items()}
        self.previous = dict.fromkeys(self.models, chain.GENESIS)
        self.last = chain.GENESIS
        self.last_of: dict[int | None, bytes] = {}

    def _rows(self, model: type[models.Model]) -> Iterator[Any]:
        return iter(model._default_manager.using(self.using).order_by("pk").iterator(chunk_size=BATCH))

    def run(self) -> None:
        """Walk to the end, or to the first entry that breaks the chain: behind it nothing is proven."""
        report = self.report
        report.records = dict.fromkeys(self.models, 0)
        for entry in LedgerEntry.objects.using(self.using).order_by("position").iterator(chunk_size=BATCH):
            why = self._entry_fault(entry)
            if why:
                report.blame(LedgerEntry._meta.db_table, entry.position, why)
                return
            self._check_record(entry)
            if report.is_full:
                return
        self._check_rest()
        report.organizations = len(self.last_of) - (None in self.last_of)

    def _entry_fault(self, entry: LedgerEntry) -> str:
        if entry.position != self.report.entries + 1:
            return f"number {self.report.entries + 1} is missing before it"
        if bytes(entry.previous_hash) != self.last:
            return "it does not follow the entry before"
        if bytes(entry.organization_previous) != self.last_of.get(entry.organization_id, chain.GENESIS):
            return "it does not follow its organization's entry before"
        if bytes(entry.entry_hash) != ledger.entry_hash(entry):
            return "altered"
        self.report.entries += 1
        self.last = self.last_of[entry.organization_id] = bytes(entry.entry_hash)
        if any(head.entry_hash != self.last for head in self.heads.get(entry.position, ())):
            return "not what was signed at this place"
        return ""

    def _check_record(self, entry: LedgerEntry) -> None:
        table = entry.table_name
        if table not in self.models:
            self.report.blame(table, entry.record_id, "this table is not known")
            return
        row = self._next(table, entry.record_id)
        if row is None:
            self.report.blame(table, entry.record_id, "missing")
        else:
            self.report.records[table] += 1
            why = self._record_fault(table, row, entry)
            if why:
                self.report.blame(table, row.pk, why)
        self.previous[table] = bytes(entry.record_hash)

    def _next(self, table: str, pk: int) -> Any:
        """Return the row with that key, None when it is gone; rows before it, unknown to the ledger, are blamed."""
        while (row := self.ahead[table]) is not None and row.pk <= pk:
            self.ahead[table] = next(self.rows[table], None)
            if row.pk == pk:
                return row
            self.report.blame(table, row.pk, "not in the ledger")
        return None

    def _record_fault(self, table: str, row: Any, entry: LedgerEntry) -> str:
        expected = chain.link(self.previous[table], ledger.record_of(row))
        kept = (bytes(row.previous_hash), bytes(row.record_hash), row.organization_id)
        if kept != (self.previous[table], expected, entry.organization_id) or expected != bytes(entry.record_hash):
            return "altered"
        return ""

    def _check_rest(self) -> None:
        """Blame rows that the ledger does not know, and signed heads beyond its end."""
        for table, row in self.ahead.items():
            if row is not None:
                self.report.blame(table, row.pk, "not in the ledger")
        beyond = [position for position in self.heads if position > self.report.entries]
        if beyond:
            why = f"missing: a signed head says that there was an entry {min(beyond)}"
            self.report.blame(LedgerEntry._meta.db_table, self.report.entries + 1, why)


def _check_side(report: Report, model: type[models.Model], side: personal.Side, using: str) -> None:
    """Compare personal parts with the commitments of their records."""
    record_model = personal.record_model(side)
    records = record_model._default_manager.using(using).order_by("pk")
    batch: list[Any] = []
    for record in records.iterator(chunk_size=BATCH):
        batch.append(record)
        if len(batch) == BATCH:
            _check_parts(report, batch, model, side, using)
            batch = []
    _check_parts(report, batch, model, side, using)
    known = record_model._default_manager.using(using).values(side.record_column)
    strays = model._default_manager.using(using).exclude(**{f"{side.link}__in": known}).order_by("pk")
    for pk in strays.values_list("pk", flat=True)[:FAULTS_AT_MOST]:
        report.blame(model._meta.db_table, pk, "belongs to no record")


def _check_parts(
    report: Report, records: list[Any], model: type[models.Model], side: personal.Side, using: str
) -> None:
    keys = [getattr(record, side.record_column) for record in records]
    found = model._default_manager.using(using).filter(**{f"{side.link}__in": keys})
    rows = {getattr(row, side.link): row for row in found}
    gone = _deletions([record for record, key in zip(records, keys, strict=True) if key not in rows], using)
    for record, key in zip(records, keys, strict=True):
        promised, row = bytes(getattr(record, side.commitment)), rows.get(key)
        subject = personal.subject_of(record)
        if row is not None:
            part = personal.commitment(bytes(row.salt), personal.part_of(row, side))  # type: ignore[attr-defined]
            if part != promised:
                report.blame(model._meta.db_table, row.pk, f"altered (personal part of {subject})")
        elif subject in gone:
            entry = gone[subject]
            report.notes.append(f"{subject}: personal part deleted on {entry.at:%Y-%m-%d} under rule {entry.reason}")
        elif promised:
            report.blame(record._meta.db_table, record.pk, f"its personal part in {model._meta.db_table} is missing")


def _deletions(records: list[Any], using: str) -> dict[str, AuditEntry]:
    subjects = [personal.subject_of(record) for record in records]
    rows = AuditEntry.objects.using(using).filter(action=personal.DELETED, subject__in=subjects)
    return {row.subject: row for row in rows}
