"""Register an address that signed up nowhere; a list that holds it was collected or bought (rules SRC-TRAP)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from compliance.models import Trap
from sendserver.lib import clock
from sendserver.lib.addresses import BadAddress, parse, suppression_hash, suppression_key_id


class Command(BaseCommand):
    """`manage.py trap ADDRESS --note WHERE`: only the keyed hash is kept."""

    help = "Register a trap address by its keyed hash; --note says where it was laid out."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the address and where it was laid out."""
        parser.add_argument("address")
        parser.add_argument("--note", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the row, or say that it stands there already."""
        found = parse(options["address"])
        if isinstance(found, BadAddress):
            raise CommandError(f"Not an address that could stand on a list: {found.reason}.")
        fields = {"key_id": suppression_key_id(), "note": options["note"][:200], "created_at": clock.now()}
        _, is_new = Trap.objects.get_or_create(address_hash=suppression_hash(found.key), defaults=fields)
        self.stdout.write("Registered." if is_new else "It was registered before.")
