"""System checks of campaigns: the two relays."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from campaigns.sending import relays


@register()
def two_relays(**_: Any) -> list[CheckMessage]:
    """Refuse any number of relays but two, and plain SMTP beyond loopback."""
    return [Error(problem, id="campaigns.E001") for problem in relays.problems()]


@register()
def webhook_is_sound(**_: Any) -> list[CheckMessage]:
    """Refuse a webhook that anybody could read or forge on its way."""
    if not settings.ONCALL_WEBHOOK:
        return []
    url = urlsplit(settings.ONCALL_WEBHOOK)
    is_near = url.scheme == "http" and url.hostname in ("127.0.0.1", "::1", "localhost")
    found = [] if url.scheme == "https" or is_near else ["ONCALL_WEBHOOK must begin with https://."]
    if len(settings.ONCALL_WEBHOOK_KEY) < 16:
        found.append("ONCALL_WEBHOOK_KEY must have 16 characters or more: it signs what the webhook is told.")
    return [Error(problem, id="campaigns.E002") for problem in found]
