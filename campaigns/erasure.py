"""Erase a person at their request (GDPR article 17): nothing readable stays, and no upload brings them back.

The do-not-mail entry comes first, so that the person is out even if the rest fails. What stays: keyed hashes (GDPR
article 17(3)(b) and (e), unconfirmed), deliveries without address and values, the steps of their consent (blocked,
deleted by retention), raw inbound mail and logs until their days are over, backups until theirs (docs/operations.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.models import Organization, User
from campaigns.models import Delivery, SystemMail
from campaigns.returning import Holder
from compliance import people
from compliance.models import Contact, ImportRow, Signup, Suppression
from compliance.suppression import ERASED, suppress
from sendserver.lib.addresses import AddressKey, Who, suppression_hashes


def erase(contact: Contact, *, actor: User | None) -> None:
    """Erase a contact of one organization: suppressed for good, deleted, and taken out of messages and upload rows."""
    messages = Delivery.objects.filter(organization=contact.organization, contact_id=contact.pk)
    _erase(contact.organization, AddressKey(contact.address.lower()), [contact], messages, actor)


def erase_holder(holder: Holder) -> bool:
    """Erase the person who got a message, at their own order; tell whether there was anything to erase.

    Works also where the sender has removed them meanwhile, or uploaded them again.
    """
    if holder.is_erased:
        return False
    _erase(holder.organization, holder.key, holder.contacts, holder.messages, None)
    return True


@transaction.atomic
def _erase(
    organization: Organization,
    who: Who,
    found: Sequence[Contact],
    messages: QuerySet[Delivery],
    actor: User | None,
) -> None:
    suppress(
        who,
        organization=organization,
        reason=Suppression.Reason.OBJECTION,
        source=ERASED,
    )
    if isinstance(who, str):
        _forget(organization, who)
    ImportRow.objects.filter(job__organization=organization, contact__in=found).delete()
    blanked = messages.order_by().update(address="", merge={}, domain="")
    subjects = [f"contact:{contact.uid}" for contact in found] or [""]
    for contact in found:
        people.delete(contact)
    for subject in subjects:
        audit.record(
            "contact.erased", actor=actor, organization=organization, subject=subject, detail={"messages": blanked}
        )


def _forget(organization: Organization, address: str) -> None:
    """Take the address out of upload rows, and delete our own letters to the person that have left.

    Those are copies of their data, and links to erase it.
    """
    ImportRow.objects.filter(job__organization=organization, value__iexact=address).delete()
    # The steps stand in the ledger, their personal part beside it; the sign-up itself is data like any other.
    Signup.objects.filter(organization=organization, address_hash__in=suppression_hashes(AddressKey(address))).delete()
    SystemMail.objects.filter(
        recipient__iexact=address, state__in=[SystemMail.State.SENT, SystemMail.State.FAILED]
    ).delete()
