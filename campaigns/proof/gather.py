"""Everything on record about a message and its person. Reads only; what is no longer known is None or empty."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from django.db import models
from django.utils.text import slugify

from accounts.domains import return_path_host
from accounts.models import AuditEntry, BusinessProfile, Organization
from campaigns.content import snapshot as snapshots
from campaigns.content.compile import compile_message
from campaigns.errors import RenderError
from campaigns.models import Delivery, Event, Outcome
from campaigns.sending import mime
from campaigns.sending.letters import feedback_id
from compliance import attestations, consent_events, tracking_consent
from compliance.models import (
    Attestation,
    AttestationPerson,
    ConsentEvent,
    ConsentEventPerson,
    Contact,
    ImportJob,
    ListMembership,
    Suppression,
    Verdict,
)
from compliance.roots import Inclusion, inclusion
from compliance.suppression import live
from sendserver.lib.addresses import Address, parse, suppression_hashes
from sendserver.lib.tokens import Purpose, open_token

log = logging.getLogger(__name__)
MESSAGES_AT_MOST: Final = 200  # of one person in one bundle, newest first
AUDIT_AT_MOST: Final = 50  # rows a subject
_TOKEN: Final = re.compile(r"[a-z0-9]{2}[a-z2-7]{26}")


@dataclass(frozen=True)
class Person:
    """Who it is about: `contact` is None after a deletion, `steps` are single steps of consent with their part."""

    organization: Organization
    profile: BusinessProfile | None
    address: str
    contact: Contact | None
    memberships: list[ListMembership] = field(default_factory=list)
    steps: list[tuple[ConsentEvent, ConsentEventPerson | None]] = field(default_factory=list)
    stops: list[Suppression] = field(default_factory=list)
    counting_words: str = ""  # with which they agreed that opens and clicks are counted


@dataclass(frozen=True)
class Message:
    """One message: what permitted it, who judged it, how it went."""

    delivery: Delivery
    membership: ListMembership | None
    attestation: Attestation | None
    inclusion: Inclusion | None  # that the address was in the signed file
    signer: AttestationPerson | None
    upload: ImportJob | None
    verdict: Verdict | None
    outcomes: list[Outcome]
    events: list[Event]
    headers: list[tuple[str, str]]
    audit: list[AuditEntry]

    @property
    def records(self) -> Iterator[models.Model]:
        """Yield the chained records that stand behind it."""
        yield from (row for row in (self.attestation, self.verdict) if row is not None)
        yield from self.audit


def find_delivery(text: str) -> Delivery | None:
    """Return the delivery that a Message-ID, a token from a link, or a number means."""
    word = text.strip().strip("<>")
    if word.isdigit():
        return _deliveries().filter(pk=int(word)).first() if len(word) < 19 else None
    for token in _TOKEN.findall(word.lower()):
        number = open_token(Purpose.DELIVERY, token)
        if number:
            return _deliveries().filter(pk=number).first()
    return None


def find_organization(text: str) -> Organization | None:
    """Return the organization with that uid, or the only one whose name reads so in an address ("larkfield-garden")."""
    rows = [row for row in Organization.objects.all() if text in (str(row.uid), slugify(row.name))]
    return rows[0] if len(rows) == 1 else None


def find_contact(organization: Organization, text: str) -> Contact | None:
    """Return the organization's contact with that address."""
    address = parse(text)
    if not isinstance(address, Address):
        return None
    return Contact.objects.for_org(organization).filter(address_key=address.key).first()


def deliveries_of(contact: Contact) -> list[Delivery]:
    """Return the messages that were planned for a person, newest first."""
    return list(_deliveries().filter(contact_id=contact.pk, organization=contact.organization_id)[:MESSAGES_AT_MOST])


def _deliveries() -> models.QuerySet[Delivery]:
    rows = Delivery.objects.select_related("organization", "campaign__snapshot", "campaign__from_address__domain")
    return rows.order_by("-pk")


def person_of(organization: Organization, contact: Contact | None, address: str, address_hash: bytes) -> Person:
    """Return what is on record about a person of one organization."""
    parsed = parse(address)
    hashes = suppression_hashes(parsed.key) if isinstance(parsed, Address) else [address_hash]
    steps = ConsentEvent.objects.filter(organization_id=organization.pk, address_hash__in=hashes).order_by("pk")
    memberships: list[ListMembership] = []
    if contact is not None:
        rows = contact.memberships.select_related("contact_list", "attestation", "import_job", "contact")
        memberships = list(rows.order_by("pk"))
    return Person(
        organization=organization,
        profile=BusinessProfile.objects.filter(organization=organization).first(),
        address=address,
        contact=contact,
        memberships=memberships,
        steps=[(step, consent_events.person_of(step)) for step in steps],
        stops=list(live(organization).filter(address_hash__in=hashes).order_by("created_at")),
        counting_words=str(tracking_consent.shown(contact).get("counting_words", "")) if contact else "",
    )


def person_of_delivery(delivery: Delivery) -> Person:
    """Return what is on record about the person of a message."""
    contact = Contact.objects.for_org(delivery.organization).filter(pk=delivery.contact_id).first()
    address = delivery.address or (contact.address if contact else "")
    return person_of(delivery.organization, contact, address, bytes(delivery.address_hash))


def message_of(delivery: Delivery) -> Message:
    """Return what is on record about a message."""
    rows = ListMembership.objects.select_related("contact_list", "attestation", "import_job")
    membership = rows.filter(pk=delivery.membership_id).first() if delivery.membership_id else None
    attestation = membership.attestation if membership else None
    attestation, inclusion = _statement(delivery, attestation)
    outcomes = list(Outcome.objects.filter(delivery_id=delivery.pk).order_by("pk"))
    return Message(
        delivery=delivery,
        membership=membership,
        attestation=attestation,
        inclusion=inclusion,
        signer=attestations.person_of(attestation) if attestation else None,
        upload=ImportJob.objects.filter(uid=attestation.import_uid).first() if attestation else None,
        verdict=_verdict(delivery),
        outcomes=outcomes,
        events=list(Event.objects.filter(delivery_id=delivery.pk).order_by("pk")),
        headers=_headers(delivery, outcomes),
        audit=_audit(delivery, attestation),
    )


def _statement(delivery: Delivery, attestation: Attestation | None) -> tuple[Attestation | None, Inclusion | None]:
    """Return the statement behind a message and the proof that the address was in its file.

    Without a membership (left, erased) it is the newest statement of the campaign's lists, signed before the plan was
    made, whose file held the address.
    """
    hashes = [bytes(delivery.address_hash)]
    if attestation is not None:
        return attestation, inclusion(attestation, hashes)
    snapshot, planned = delivery.campaign.snapshot, delivery.campaign.planned_at
    if snapshot is None or planned is None:
        return None, None
    lists = snapshot.content.get("lists", [])
    rows = Attestation.objects.for_org(delivery.organization).filter(list_uid__in=lists, signed_at__lt=planned)
    for row in rows.order_by("-pk"):
        found = inclusion(row, hashes)
        if found is not None:
            return row, found
    return None, None


def _verdict(delivery: Delivery) -> Verdict | None:
    """Return the gate's answer for the very content that was sent."""
    snapshot = delivery.campaign.snapshot
    rows = Verdict.objects.filter(organization_id=delivery.organization_id, subject_uid=delivery.campaign.uid)
    same = rows.filter(content_sha256=bytes(snapshot.sha256)) if snapshot else rows.none()
    return same.order_by("-pk").first()


def _audit(delivery: Delivery, attestation: Attestation | None) -> list[AuditEntry]:
    subjects = [f"campaign:{delivery.campaign.uid}"]
    if attestation:
        subjects += [f"import:{attestation.import_uid}", f"list:{attestation.list_uid}"]
    rows = AuditEntry.objects.filter(organization=delivery.organization, subject__in=subjects).order_by("pk")
    return list(rows[: AUDIT_AT_MOST * len(subjects)])


def _headers(delivery: Delivery, outcomes: list[Outcome]) -> list[tuple[str, str]]:
    """Return the header block written again from the frozen content, with the time of the last attempt, unsigned.

    Empty when the message cannot be written: erased, its content not kept, or altered since (which the log says).
    """
    campaign = delivery.campaign
    if not delivery.address or campaign.snapshot is None or campaign.from_address is None or not outcomes:
        return []
    try:
        content = snapshots.load(campaign.snapshot)
    except ValueError:
        log.exception("the proof of delivery %s has no headers", delivery.pk)
        return []
    letter = mime.Letter(
        compiled=compile_message(content),
        from_name=content.from_name,
        from_address=content.from_address,
        reply_to=content.reply_to,
        list_name=content.list_name,
        list_id=content.list_id,
        feedback_id=feedback_id(campaign),
        return_host=return_path_host(campaign.from_address.domain),
    )
    values = {name: str(value) for name, value in delivery.merge.items() if value is not None}
    recipient = mime.Recipient(delivery.pk, delivery.address, values)
    at = outcomes[-1].at.timestamp()
    try:
        raw = mime.write(letter, recipient, clock=lambda: at).message
    except RenderError:
        return []
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii").replace("\r\n ", " ")
    return [(name, value) for name, _, value in (line.partition(": ") for line in head.split("\r\n"))]
