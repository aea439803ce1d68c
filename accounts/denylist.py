"""What a blocked customer may not bring back, kept as keyed hashes (rules DENYLIST_MONTHS)."""

from __future__ import annotations

from datetime import timedelta

from accounts import policy
from accounts.models import DenyEntry, Organization
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, suppression_hash, suppression_hashes

DAYS_PER_MONTH = 30.44


def deny(kind: str, value: str, *, reason: str, organization: Organization | None = None) -> DenyEntry:
    """Keep `value` out for the set number of months; a second entry only adds to the first."""
    until = clock.now() + timedelta(days=round(policy.DENYLIST_MONTHS * DAYS_PER_MONTH))
    return DenyEntry.objects.create(
        kind=kind,
        value_hash=suppression_hash(_key(kind, value)),
        reason=reason,
        until=until,
        organization=organization,
    )


def lift(organization: Organization) -> int:
    """Take back what the block of this organization put on the list, and return how many entries; they stay as rows."""
    rows = DenyEntry.objects.filter(organization=organization, lifted_at=None)
    return rows.update(lifted_at=clock.now())


def is_denied(kind: str, value: str) -> bool:
    """Tell whether `value` is kept out now, under any key ever used."""
    hashes = suppression_hashes(_key(kind, value))
    rows = DenyEntry.objects.filter(kind=kind, value_hash__in=hashes, lifted_at=None)
    return rows.filter(until__gt=clock.now()).exists()


def _key(kind: str, value: str) -> AddressKey:
    """Return what is hashed: the kind keeps a domain from matching a register number."""
    return AddressKey(f"{kind}:{' '.join(value.split()).lower()}")
