"""`manage.py demo_logins`: print who can sign in, with what, and what to click."""

from typing import Any

from django.core.management.base import BaseCommand

from sendserver.local import logins


class Command(BaseCommand):
    """Prints passwords: for the local world only, where they protect nothing."""

    requires_system_checks: tuple[str, ...] = ()  # they load every page, which a command has no use for
    help = "Print the demo people with passwords and current codes."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print."""
        self.stdout.write(logins.text())
