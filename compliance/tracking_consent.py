"""A person's yes to counting what they open and click: asked and recorded apart from the yes to mail (rules 1.6).

The words are ours and versioned: one is added, none is edited. Without this yes nothing is counted for a person;
taking it back is in campaigns.choosing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from compliance import consent_events
from compliance.consent_events import Circumstances, Kind, Step
from compliance.models import ConsentEvent, Contact, ImportJob
from sendserver.lib.addresses import AddressKey, suppression_hashes


@dataclass(frozen=True)
class Wording:
    """One version of the words beside the box."""

    version: str
    text: str

    @property
    def sha256(self) -> str:
        """Return the fingerprint of the words with their blank, hexadecimal."""
        return hashlib.sha256(f"{self.version}: {self.text}".encode()).hexdigest()


TRK_EN_1_0: Final = Wording(
    "TRK-EN-1.0",
    "{sender} may see which of its messages I open and which links in them I follow. The mail comes without this too, "
    "and I can take it back at any time by a link in every message.",
)
_AGREED: Final = """UPDATE compliance_contact c SET tracking_consent_at = given.at, tracking_import = %s
  FROM unnest(%s::text[], %s::timestamptz[]) AS given(key, at)
  WHERE c.organization_id = %s AND c.address_key = given.key AND c.tracking_consent_at IS NULL"""
# Every version that anybody ever ticked: a test holds their fingerprints.
VERSIONS: Final = {one.version: one for one in (TRK_EN_1_0,)}
CURRENT: Final = TRK_EN_1_0


def words(sender: str) -> str:
    """Return the words beside the box, for a sender."""
    return CURRENT.text.format(sender=sender)


def recorded(sender: str) -> str:
    """Return the words as a record keeps them: with the name of their version."""
    return f"{words(sender)} ({CURRENT.version})"


def plain(recorded: str) -> str:
    """Return recorded words without the name of their version."""
    return recorded.rpartition(" (")[0] or recorded


def give(contact: Contact, *, at: datetime, around: Circumstances) -> None:
    """Note a person's own yes, as a step in the ledger and with the contact; a newer one replaces the day."""
    Contact.objects.filter(pk=contact.pk).update(tracking_consent_at=at, tracking_import=None)
    contact.tracking_consent_at = at
    consent_events.record(contact, Step(Kind.TRACKING_GIVEN, at), around)


def from_upload(job: ImportJob, agreed: Sequence[tuple[str, datetime]]) -> int:
    """Note the yeses that an upload brings (address key, when); return how many counted.

    Whoever took it back before is not brought back by a file, and who agreed already keeps that day. The statement is
    the record. Undoing the upload takes them away again (compliance.imports.undo).
    """
    if not agreed:
        return 0
    hashes = {one: key for key, _ in agreed for one in suppression_hashes(AddressKey(key))}
    withdrawn = ConsentEvent.objects.filter(
        organization_id=job.organization_id, kind=Kind.TRACKING_WITHDRAWN, address_hash__in=list(hashes)
    )
    over = {hashes[bytes(one)] for one in withdrawn.values_list("address_hash", flat=True)}
    left = [(key, at) for key, at in agreed if key not in over]
    values: Any = [job.pk, [key for key, _ in left], [at for _, at in left], job.organization_id]
    with connection.cursor() as cursor:
        cursor.execute(_AGREED, values)
        return int(cursor.rowcount)


def shown(contact: Contact) -> dict[str, object]:
    """Return what a person's page says of it beside the day: the words, or when they took it back."""
    job = ImportJob.objects.filter(pk=contact.tracking_import).first() if contact.tracking_import else None
    if job is not None and contact.tracking_consent_at:
        return {"counting_words": job.answers.get("details", {}).get("tracking_wording", "")}
    steps = consent_events.of_contact(contact).filter(kind__in=[Kind.TRACKING_GIVEN, Kind.TRACKING_WITHDRAWN])
    last = steps.order_by("-pk").first()
    if last is None:
        return {}
    if last.kind == Kind.TRACKING_WITHDRAWN:
        return {"counting_ended": last.at}
    part = consent_events.person_of(last)
    return {"counting_words": part.wording if part else ""}
