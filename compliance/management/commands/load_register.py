"""Load a copy of a national opt-out register."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from compliance import registers
from compliance.errors import RegisterRefusedError


class Command(BaseCommand):
    """`manage.py load_register AT-ECG FILE [--fetched 2026-11-23T04:00]`; without a time the file's own one counts."""

    help = "Load a national opt-out register from a file of checksums."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the register's code, the file, and when it was fetched (UTC)."""
        parser.add_argument("register", choices=sorted(registers.REGISTERS))
        parser.add_argument("file", type=Path)
        parser.add_argument("--fetched", type=datetime.fromisoformat)

    def handle(self, *args: Any, **options: Any) -> None:
        """Load, compare, and say how many entries count now."""
        path: Path = options["file"]
        try:
            fetched = options["fetched"] or datetime.fromtimestamp(path.stat().st_mtime, UTC)
            fetched = fetched if fetched.tzinfo else fetched.replace(tzinfo=UTC)
            loaded = registers.load(options["register"], path, fetched_at=fetched)
        except (OSError, RegisterRefusedError) as error:
            raise CommandError(str(error)) from error
        day = f"{loaded.fetched_at:%Y-%m-%d %H:%M} UTC"
        self.stdout.write(f"{loaded.register}: {loaded.entry_count:,} entries, fetched {day}")
