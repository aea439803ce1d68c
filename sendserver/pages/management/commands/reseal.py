"""Seal secrets at rest anew with the first of FIELD_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sendserver.pages import resealing


class Command(BaseCommand):
    """Print what was sealed anew; ends with an error while something is left under another key."""

    help = "Seal secrets anew with the newest FIELD_KEYS; --dry-run only counts. Run it until nothing is left."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take --dry-run."""
        parser.add_argument("--dry-run", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, and tell whether old keys can go."""
        dry = options["dry_run"]
        counts = resealing.run(dry=dry)
        for one in counts:
            words = f"{one.kind}: {one.new} under {resealing.newest()!r} already, "
            words += f"{one.resealed} {'to seal' if dry else 'sealed'} anew"
            if one.changed:
                words += f", {one.changed} changed meanwhile"
            if one.unreadable:
                words += f", {len(one.unreadable)} unreadable: {', '.join(one.unreadable[:20])}"
            self.stdout.write(words)
        if any(one.unreadable for one in counts):
            raise CommandError("Some secrets cannot be opened with any key of FIELD_KEYS. Keep every old key.")
        if any(one.changed for one in counts):
            raise CommandError("Some changed meanwhile. Run it again.")
        if not dry:
            self.stdout.write("Everything is under the newest key. Older keys are needed by backups only.")
