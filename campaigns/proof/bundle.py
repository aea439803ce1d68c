"""The bundle: a page for people, the records for machines, and how to check both with standard tools.

Anybody may be given the file: of other organizations it holds nothing but hashes. It does hold the person's address
and what is on record about them, so it is made for the sender, our staff, or the person.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Final

from django.conf import settings
from django.template.loader import render_to_string

from accounts import audit, ledger, ledger_heads
from accounts.models import User
from campaigns.models import Delivery
from campaigns.proof import gather, records
from campaigns.proof.gather import Message, Person
from campaigns.proof.records import Proven
from compliance.models import Contact
from sendserver.lib import clock, heads

STAMP: Final = (1980, 1, 1, 0, 0, 0)  # of every file in the zip: the same facts give the same bytes
_SCRIPT: Final = "campaigns/proof/check.sh"


@dataclass(frozen=True)
class Bundle:
    """A person, their messages, and the records behind both."""

    person: Person
    messages: list[Message]
    proven: list[Proven]
    made_at: datetime

    @property
    def is_sound(self) -> bool:
        """Tell whether every record fits its place and a signed head."""
        ways = [message.inclusion for message in self.messages if message.inclusion]
        return not any(one.fault for one in self.proven) and all(way.holds for way in ways)


def of_delivery(delivery: Delivery) -> Bundle:
    """Return the bundle of one message; signs the ledger's head if needed, so that everything in it is covered."""
    return _bundle(gather.person_of_delivery(delivery), [delivery])


def of_contact(contact: Contact) -> Bundle:
    """Return the bundle of one person with every message to them, at most gather.MESSAGES_AT_MOST."""
    address_hash = bytes(contact.address_hash)
    person = gather.person_of(contact.organization, contact, contact.address, address_hash)
    return _bundle(person, gather.deliveries_of(contact))


def _bundle(person: Person, deliveries: Iterable[Delivery]) -> Bundle:
    messages = [gather.message_of(delivery) for delivery in deliveries]
    ledger_heads.export()
    behind = [row for message in messages for row in message.records]
    behind += [step for step, _ in person.steps]
    behind += [row.attestation for row in person.memberships if row.attestation]
    return Bundle(person, messages, records.prove(behind), clock.now())


def note(bundle: Bundle, *, actor: User | None, reason: str) -> None:
    """Write down that a bundle was made, by whom and for what."""
    contact = bundle.person.contact
    subject = f"contact:{contact.uid}" if contact else f"message:{bundle.messages[0].delivery.pk}"
    audit.record(
        "proof.made",
        actor=actor,
        organization=bundle.person.organization,
        subject=subject,
        reason=reason,
        detail={"messages": len(bundle.messages), "records": len(bundle.proven)},
    )


def page(bundle: Bundle) -> str:
    """Return the readable page: one HTML file that needs nothing else."""
    return render_to_string("campaigns/proof/page.html", context(bundle))


def context(bundle: Bundle) -> dict[str, Any]:
    """Return what the page and the portal's own one show."""
    return {"bundle": bundle, "person": bundle.person, "platform": settings.PLATFORM, "base": settings.BASE_URL}


def write(bundle: Bundle, out: IO[bytes]) -> None:
    """Write the zip: page, records, their places, signed heads, keys, and how to check them."""
    files = {"proof.html": page(bundle).encode(), **_record_files(bundle.proven)}
    files |= _inclusion_files(bundle.messages)
    files["check.sh"] = render_to_string(_SCRIPT).encode()
    files["README.txt"] = render_to_string("campaigns/proof/readme.txt", context(bundle)).encode()
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    files["SHA256SUMS"] = sums.encode()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in sorted(files.items()):
            packed.writestr(zipfile.ZipInfo(name, STAMP), content, zipfile.ZIP_DEFLATED)


def _inclusion_files(messages: Iterable[Message]) -> dict[str, bytes]:
    """Return, for each message, the block of hashes that holds its address and the way from there to the root."""
    files: dict[str, bytes] = {}
    for message in messages:
        if message.inclusion is None:
            continue
        base = f"addresses/{message.delivery.pk}"
        files[f"{base}.block"] = message.inclusion.block
        files[f"{base}.hash"] = bytes(message.delivery.address_hash)
        lines = [f"{side} {beside}\n" for side, beside in message.inclusion.path]
        files[f"{base}.path"] = "".join(lines).encode()
        files[f"{base}.root"] = f"{message.inclusion.root}\n".encode()
    return files


def _record_files(proven: Iterable[Proven]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for one in proven:
        base = f"records/{one.name}"
        files[f"{base}.json"] = one.content
        files[f"{base}.previous"] = bytes(one.record.previous_hash)  # type: ignore[attr-defined]
        files[f"{base}.said"] = ledger.said_line(one.entry).encode()
        files[f"chain/{one.name}.txt"] = "".join(f"{line}\n" for line in one.way).encode()
        if one.head is not None:
            head = f"heads/{one.head.position}.{one.head.key_id}"
            files[f"{head}.text"] = one.head.text.encode()
            files[f"{head}.signature"] = one.head.signature
    files |= {f"keys/{key_id}.pem": pem.encode() for key_id, pem in heads.public_keys().items()}
    return files
