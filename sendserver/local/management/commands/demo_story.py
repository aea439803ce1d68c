"""`manage.py demo_story`: tell the demo story; what was told before is left as it is."""

from typing import Any

from django.core.management.base import BaseCommand

from sendserver.local import demo


class Command(BaseCommand):
    """Needs the local world's names and relays to run."""

    requires_system_checks: tuple[str, ...] = ()  # they load every page, which a command has no use for
    help = "Load the demo story (once)."

    def handle(self, *args: Any, **options: Any) -> None:
        """Tell it, a line a chapter."""
        demo.tell(self.stdout.write)
