"""`manage.py alarms`: what is open, for a monitor without a browser: exit code 1 while anything is."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from campaigns import alarms


class Command(BaseCommand):
    """Print the open alarms; look first, with --look."""

    help = (
        "Print open alarms, one a line, and exit with 1 if there are any. --look: look at everything first, and call."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take --look."""
        parser.add_argument("--look", action="store_true", help="do what the beat does every half minute")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print."""
        found = alarms.watch() if options["look"] else list(alarms.live())
        for alarm in found:
            who = f", {alarm.acknowledged_by} looks at it" if alarm.acknowledged_at else ""
            self.stdout.write(f"{alarm.key} since {alarm.since:%Y-%m-%d %H:%M} UTC{who}: {alarm.text}")
        if found:
            sys.exit(1)
