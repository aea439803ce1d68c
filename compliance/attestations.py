"""Statements of where a list comes from: asked, signed, kept for ever (rules section 2)."""

from __future__ import annotations

from compliance import policy
from compliance.consent import months_before
from compliance.models import Attestation, ContactList
from sendserver.lib import clock


def valid_attestation(contact_list: ContactList) -> Attestation | None:
    """Return the list's newest statement while it still covers people added from the same source, else None."""
    return (
        Attestation.objects.for_org(contact_list.organization)
        .filter(
            list_uid=contact_list.uid,
            signed_at__gt=months_before(clock.now(), policy.ATTESTATION_ADDS_MONTHS),
        )
        .order_by("-signed_at", "-pk")
        .first()
    )
