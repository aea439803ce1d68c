"""A person's yes to counting what they open and click: asked and recorded apart from the yes to mail (rules 1.6).

The words are ours and versioned: one is added, none is edited. Without this yes nothing is counted for a person;
taking it back is in campaigns.choosing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from compliance import consent_events
from compliance.consent_events import Circumstances, Kind, Step
from compliance.models import Contact


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
    Contact.objects.filter(pk=contact.pk).update(tracking_consent_at=at)
    contact.tracking_consent_at = at
    consent_events.record(contact, Step(Kind.TRACKING_GIVEN, at), around)


def shown(contact: Contact) -> dict[str, object]:
    """Return what a person's page says of it beside the day: the words, or when they took it back."""
    steps = consent_events.of_contact(contact).filter(kind__in=[Kind.TRACKING_GIVEN, Kind.TRACKING_WITHDRAWN])
    last = steps.order_by("-pk").first()
    if last is None:
        return {}
    if last.kind == Kind.TRACKING_WITHDRAWN:
        return {"counting_ended": last.at}
    part = consent_events.person_of(last)
    return {"counting_words": part.wording if part else ""}
