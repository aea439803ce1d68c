"""Sending domains: the one module others import. Keys, zone and look-ups live in their own modules."""

from __future__ import annotations

from datetime import timedelta

from accounts import policy
from accounts.domain_keys import SigningKey, ensure_keys, platform_key, signing_key
from accounts.models import SendingDomain
from accounts.zone import ZoneRecord, platform_zone, return_path_host
from sendserver.lib import clock

__all__ = [
    "SigningKey",
    "ZoneRecord",
    "ensure_keys",
    "is_ready_to_send",
    "platform_key",
    "platform_zone",
    "return_path_host",
    "signing_key",
]


def is_ready_to_send(domain: SendingDomain) -> bool:
    """Tell whether all records were right at a check within the last 24 hours and nothing is wrong since."""
    if domain.removed_at or domain.verified_at is None or domain.last_good_at is None:
        return False
    if clock.now() - domain.last_good_at > timedelta(hours=policy.DOMAIN_AUTH_MAX_AGE_H):
        return False
    return not domain.records.filter(ok=False, temporary=False).exists()
