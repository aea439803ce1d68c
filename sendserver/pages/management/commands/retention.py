"""Delete what is kept no longer (rules DATA-RETENTION), or say what would be deleted."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sendserver.pages import retention

LINE = "{:<16}{:<12}{:>10}{:>10}  {}"


class Command(BaseCommand):
    """`manage.py retention [--dry-run]`: one line a rule."""

    help = "Delete what is kept no longer; with --dry-run only count it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to delete."""
        parser.add_argument("--dry-run", action="store_true", help="count, delete nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line for each rule."""
        dry = options["dry_run"]
        self.stdout.write(LINE.format("rule", "before", "due" if dry else "ended", "left", "what"))
        for one in retention.run(dry=dry):
            self.stdout.write(LINE.format(one.code, f"{one.before:%Y-%m-%d}", one.rows, one.rest, one.what))
