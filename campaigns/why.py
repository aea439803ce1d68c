"""Why did I get this: sender, sign-up, statement and way of one message, for the person who holds its token.

Says what is on record and who says so: what we saw ourselves (a step in the consent ledger) reads otherwise than what
the sender told us (the membership) or signed for (the statement). The token may be in other hands, so neither the
address nor a name stands here, nor anything of other messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings

from accounts.models import BusinessProfile, SendingDomain, Standing, Verification, VerificationState
from campaigns.models import Delivery, Outcome
from campaigns.returning import Holder
from compliance import answers, consent_events
from compliance.models import Attestation, ConsentEvent, ListMembership

Kind = ConsentEvent.Kind
# What each step reads like; the list it belongs to and the words shown follow.
STEPS: Final[dict[str, tuple[str, str]]] = {
    Kind.REQUESTED: ("people", "Someone entered this address"),
    Kind.CONFIRMED: ("mail", "The link in our mail was opened"),
    Kind.RECORDED: ("list", "The sender wrote down a yes"),
    Kind.TRACKING_GIVEN: ("eye", "Agreed that opens and clicks are counted"),
    Kind.TRACKING_WITHDRAWN: ("eye", "Took that back: opens and clicks are not counted"),
    Kind.LIST_LEFT: ("no", "Left the list"),
    Kind.LIST_BACK: ("undo", "Chose the list again"),
}
# Without a step that says how it began, the sender's own word on the membership stands in the first place.
_BEGINNINGS: Final = frozenset({Kind.REQUESTED, Kind.RECORDED})


@dataclass(frozen=True)
class Moment:
    """One line of the record; `words` are what the person saw, "" when nobody kept them."""

    icon: str
    title: str
    at: datetime | None = None
    text: str = ""
    words: str = ""

    @property
    def is_day(self) -> bool:
        """Tell whether only the day is known: a date without a time is midnight."""
        return self.at is not None and f"{self.at:%H:%M:%S}" == "00:00:00"


@dataclass(frozen=True)
class Why:
    """Everything the page says; whatever we do not know is None or empty and is not shown."""

    subject: str
    sent_at: datetime | None
    list_name: str
    record: list[Moment]
    is_confirmed: bool  # a second step is on record
    profile: BusinessProfile | None
    verified_at: datetime | None
    domain: SendingDomain | None
    from_address: str
    relay_name: str
    counts_since: datetime | None  # when they agreed that opens and clicks are counted
    sender_is_gone: str  # "", "stopped" by our staff, or "closed"


def explain(holder: Holder) -> Why:
    """Return what is known of a message."""
    delivery = holder.delivery
    membership = _membership(holder)
    outcome = Outcome.objects.filter(delivery_id=delivery.pk).order_by("-pk").first()
    relay = settings.RELAYS.get(outcome.relay) if outcome else None
    sender = delivery.campaign.from_address
    verified = Verification.objects.filter(organization=holder.organization, state=VerificationState.APPROVED)
    contacts = holder.contacts
    return Why(
        subject=delivery.campaign.subject,
        sent_at=outcome.at if outcome and outcome.state in (Outcome.State.ACCEPTED, Outcome.State.IN_DOUBT) else None,
        list_name=membership.contact_list.name if membership else "",
        record=list(_record(holder, membership)),
        is_confirmed=membership is not None and membership.confirmed_at is not None,
        profile=BusinessProfile.objects.filter(organization=holder.organization).first(),
        verified_at=verified.order_by("-decided_at").values_list("decided_at", flat=True).first(),
        domain=sender.domain if sender else None,
        from_address=sender.address if sender else "",
        relay_name=relay.name if relay else "",
        counts_since=contacts[0].tracking_consent_at if contacts else None,
        sender_is_gone=_gone(holder),
    )


def _gone(holder: Holder) -> str:
    if holder.organization.standing in (Standing.SUSPENDED, Standing.BLOCKED):
        return "stopped"
    return "closed" if holder.organization.closed_at else ""


def _membership(holder: Holder) -> ListMembership | None:
    """Return the membership that permitted the message, while the same address is still on the list."""
    delivery: Delivery = holder.delivery
    if delivery.membership_id is None:
        return None
    rows = ListMembership.objects.select_related("contact_list", "attestation")
    return rows.filter(pk=delivery.membership_id, contact__in=holder.contacts).first()


def _record(holder: Holder, membership: ListMembership | None) -> Iterator[Moment]:
    """Yield the record of the sign-up, oldest first, the statement at its end."""
    if membership is None:
        return
    steps = _steps(holder, membership)
    kinds = {event.kind for event in steps}
    if not kinds & _BEGINNINGS:
        yield _told(membership)
    if membership.confirmed_at and Kind.CONFIRMED not in kinds:
        said = f"By a link in a mail to it, says {holder.organization.name}."
        yield Moment("mail", "The address was confirmed", membership.confirmed_at, said)
    for event in steps:
        yield _step(event)
    if membership.attestation is not None:
        yield from _signed(membership.attestation)


def _steps(holder: Holder, membership: ListMembership) -> list[ConsentEvent]:
    """Return the steps of this person that belong to the message's list, or to no list."""
    mine = [event for contact in holder.contacts for event in consent_events.of_contact(contact)]
    return [event for event in mine if event.list_uid in (None, membership.contact_list.uid)]


def _told(membership: ListMembership) -> Moment:
    """Return what the sender says of the sign-up."""
    title = membership.get_basis_display() if membership.basis else "No permission on record"
    source = f"Source: {membership.source}." if membership.source else ""
    answered: dict[str, Any] = membership.attestation.answers if membership.attestation else {}
    return Moment("list", title, membership.consent_at, source, str(answered.get("wording", "")))


def _step(event: ConsentEvent) -> Moment:
    icon, title = STEPS[event.kind]
    part = consent_events.person_of(event)
    place = f"At: {part.source}." if part and part.source else ""
    return Moment(icon, title, event.at, place, part.wording if part else "")


def _signed(record: Attestation) -> Iterator[Moment]:
    collected = answers.source_line(record.answers)
    yield Moment(
        "file",
        "The sender signed for it",
        record.signed_at,
        f"{record.legal_name} stated to us that everybody on this list gave the address to it directly and agreed. "
        f"The list was not bought, rented or copied."
        + (f" How it collected the addresses: {collected}." if collected else "")
        + f" Statement {record.wording_version}, number {str(record.uid)[:8]}.",
    )
