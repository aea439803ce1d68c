"""System checks of campaigns: the two relays."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register

from campaigns.sending import relays


@register()
def two_relays(**_: Any) -> list[CheckMessage]:
    """Refuse any number of relays but two, and plain SMTP beyond loopback."""
    return [Error(problem, id="campaigns.E001") for problem in relays.problems()]
