"""Print the DNS records that the operator has to publish, in zone-file form."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from accounts.domains import platform_zone


class Command(BaseCommand):
    """`manage.py platform_dns`; addresses of mx and relay hosts are the operator's own to add."""

    help = "Print the DNS records of the platform's own hosts and of customers' delegated names."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write one record a line."""
        for record in platform_zone():
            self.stdout.write(record.line())
