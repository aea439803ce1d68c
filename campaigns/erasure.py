"""Erase a person at their request (GDPR article 17): nothing readable stays, and no upload brings them back.

The do-not-mail entry comes first, so that the person is out even if the rest fails. What stays: keyed hashes (GDPR
article 17(3)(b) and (e), unconfirmed), deliveries without address and values, the steps of their consent (blocked,
deleted by retention), raw inbound mail and logs until their days are over, backups until theirs (docs/operations.md).
"""

from __future__ import annotations

from django.db import transaction

from accounts import audit
from accounts.models import Organization, User
from campaigns.models import Delivery
from compliance import people
from compliance.models import Contact, ImportRow, Suppression
from compliance.suppression import suppress
from sendserver.lib.addresses import AddressKey


@transaction.atomic
def erase(contact: Contact, *, actor: User | None) -> None:
    """Erase a contact of one organization: suppressed for good, deleted, and taken out of messages and upload rows."""
    organization, uid = contact.organization, contact.uid
    suppress(
        AddressKey(contact.address_key),
        organization=organization,
        reason=Suppression.Reason.OBJECTION,
        source="erased",
    )
    blanked = _blank(organization, contact)
    people.delete(contact)
    audit.record(
        "contact.erased",
        actor=actor,
        organization=organization,
        subject=f"contact:{uid}",
        detail={"messages": blanked},
    )


def _blank(organization: Organization, contact: Contact) -> int:
    """Take address and values out of the person's deliveries and the address out of upload rows; count deliveries."""
    ImportRow.objects.filter(job__organization=organization, contact=contact).delete()
    ImportRow.objects.filter(job__organization=organization, value__iexact=contact.address).delete()
    rows = Delivery.objects.filter(organization=organization, contact_id=contact.pk)
    return rows.update(address="", merge={}, domain="")
