"""Say what the importer would make of a file; a dry run that needs no service and writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from compliance.imports import dry_run, words


class Command(BaseCommand):
    """`manage.py check_list FILE [--json]`; exit code 1 when the file as a whole is refused."""

    help = "Check a list as an upload would, without a portal running."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file and the form of the answer."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the result."""
        path: Path = options["file"]
        try:
            result = dry_run.check(path)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}") from error
        self.stdout.write(result.as_json() if options["json"] else "\n".join(_lines(result)))
        if result.refused:
            raise CommandError(result.refused)


def _lines(result: dry_run.Result) -> list[str]:
    """Return the result as a person reads it."""
    mark = {"\t": "tab"}.get(result.delimiter, result.delimiter)
    return [
        f"{result.encoding or 'no'} encoding, delimiter {mark or 'none'}, {len(result.header)} columns",
        f"{result.rows:,} rows: {result.accepted:,} taken, {result.duplicates:,} twice in the file",
        *(f"{count:,} not taken: {words.label(reason)}" for reason, count in result.rejected.most_common()),
        *(f"  row {row['line']:,}: {row['value'][:80]!r} {words.label(row['reason'])}" for row in result.rejects[:20]),
    ]
