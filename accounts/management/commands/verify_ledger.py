"""Walk the ledger and every hash chain, and name the first record that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import ledger_heads
from accounts.ledger_walk import Report, walk
from sendserver.lib.heads import Head


class Command(BaseCommand):
    """`manage.py verify_ledger [--heads FILE]`; exit code 1 when a record is bad, which is then named first."""

    help = "Check the hash chains of all evidence, the personal parts beside it, and the signed heads."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file of heads; by default the one that this machine keeps, if there is one."""
        parser.add_argument("--heads", type=Path, help="exported heads, one JSON object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Walk, print what was seen, and fail when something is wrong."""
        report = walk(exported=_exported(options["heads"]))
        self._print(report)
        if not report.is_sound:
            first, *more = report.faults
            rest = "".join(f"\n  {fault}" for fault in more)
            raise CommandError(f"First bad record: {first}{rest}", returncode=1)
        self.stdout.write("Sound.")

    def _print(self, report: Report) -> None:
        for table, count in sorted(report.records.items()):
            bad = any(fault.table == table for fault in report.faults)
            verdict = "BROKEN" if bad else "sound" if report.is_whole else "not proven"
            self.stdout.write(f"{table}: {count:,} records, {verdict}")
        self.stdout.write(f"ledger: {report.entries:,} entries, {report.organizations:,} organizations")
        self.stdout.write(f"signed heads: {report.heads:,}")
        for note in report.notes:
            self.stdout.write(note)


def _exported(path: Path | None) -> list[Head]:
    """Return the exported heads; CommandError when the file is named and cannot be read."""
    chosen = path or ledger_heads.file()
    if path is None and not chosen.exists():
        return []
    try:
        return list(ledger_heads.read(chosen))
    except (OSError, ValueError) as error:
        raise CommandError(f"The exported heads cannot be read: {error}") from error
