"""Steps of one person's consent, as chained records with a personal part beside each (rules CONSENT-DOI, -PROOF).

One way in. What permits mailing stands in the list membership; these rows are the proof of it.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts import personal
from accounts.ledger import append_chained
from accounts.models import User
from compliance.models import ConsentEvent, ConsentEventPerson, Contact, ContactList
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, suppression_hash, suppression_hashes, suppression_key_id

Kind = ConsentEvent.Kind


@dataclass(frozen=True)
class Circumstances:
    """What is known of a step: where, in which words, from which network, by which mail. Kept beside the record."""

    source: str = ""
    wording: str = ""
    mail: str = ""  # the confirmation mail as it went out
    network: str = ""  # /24 or /48: sendserver.lib.clientip.prefix
    user_agent: str = ""


@dataclass(frozen=True)
class Step:
    """One step: a ConsentEvent.Kind, when the person took it, for which list, on which basis."""

    kind: str
    at: datetime
    contact_list: ContactList | None = None
    basis: str = ""
    actor: User | None = None  # who recorded it; None: the person took the step
    request_uid: UUID | None = None


def record(contact: Contact, step: Step, around: Circumstances | None = None) -> ConsentEvent:
    """Write one step and return it. Takes the chain's lock: make it one of the transaction's last acts."""
    around = around or Circumstances()
    salt = secrets.token_bytes(16)
    part = {
        "address": contact.address,
        "network": around.network[:45],
        "user_agent": around.user_agent[:300],
        "source": around.source[:400],
        "wording": around.wording,
        "mail": around.mail,
    }
    with transaction.atomic():
        event = append_chained(
            ConsentEvent,
            {
                "organization_id": contact.organization_id,
                "list_uid": step.contact_list.uid if step.contact_list else None,
                "contact_uid": contact.uid,
                "address_hash": suppression_hash(AddressKey(contact.address_key)),
                "key_id": suppression_key_id(),
                "kind": Kind(step.kind).value,
                "basis": step.basis,
                "at": step.at,
                "recorded_at": clock.now(),
                "actor_uid": step.actor.uid if step.actor else None,
                "request_uid": step.request_uid,
                "wording_sha256": hashlib.sha256(around.wording.encode()).digest(),
                "mail_sha256": hashlib.sha256(around.mail.encode()).digest() if around.mail else b"",
                "person_commitment": personal.commitment(salt, part),
            },
        )
        ConsentEventPerson.objects.create(event_uid=event.uid, salt=salt, **part)
    return event


def of_contact(contact: Contact) -> QuerySet[ConsentEvent]:
    """Return the steps of a contact, also those from before it was deleted and made again, oldest first."""
    hashes = suppression_hashes(AddressKey(contact.address_key))
    rows = ConsentEvent.objects.filter(organization_id=contact.organization_id, address_hash__in=hashes)
    return rows.order_by("pk")


def person_of(event: ConsentEvent) -> ConsentEventPerson | None:
    """Return the personal part, or None when retention has deleted it."""
    return ConsentEventPerson.objects.filter(pk=event.uid).first()
