"""`manage.py inbound_door`: receive bounces, complaints, unsubscribe mails and reports by SMTP."""

from __future__ import annotations

import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from campaigns.inbound.door import serve


class Command(BaseCommand):
    """Serve the inbound door until it is stopped."""

    help = "Receive bounces, complaints, unsubscribe mails and reports at INBOUND_LISTEN."

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve."""
        asyncio.run(serve(settings.INBOUND_LISTEN))
