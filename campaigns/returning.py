"""What the person at the other end may do with the token in a mail: stop, take it back, choose, ask for lost links.

Works whatever has become of the sender: suspended, blocked, closed (rules UNSUB-LINK-LIFE). Needs no account, asks for
nothing, and says nothing about an address to somebody who does not hold its token.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string

from accounts.models import Organization
from campaigns.events import EventData, record_event, who
from campaigns.inbound.addresses import Links
from campaigns.models import Delivery, EventKind, Outcome
from compliance.models import Contact, ListMembership
from compliance.suppression import Who, is_suppressed, suppress, undo_unsubscribe
from sendserver.lib import clock
from sendserver.lib.addresses import Address, AddressKey, parse, suppression_hashes
from sendserver.lib.tokens import Purpose, open_token

NOBODY: Final = 0  # the token of test messages
PAUSES: Final = (30, 90)  # days
LOST_SENDERS_MAX: Final = 20


@dataclass(frozen=True)
class Holder:
    """Who holds a token: the delivery, and whose address it is."""

    delivery: Delivery
    token: str

    @property
    def organization(self) -> Organization:
        """Return the sender."""
        return self.delivery.organization

    @property
    def key(self) -> Who:
        """Return the normal form of the address, or what is left of it."""
        return who(self.delivery)

    @property
    def masked(self) -> str:
        """Return the address as a bystander may see it."""
        local, _, domain = self.delivery.address.rpartition("@")
        if not domain:
            return "your address"  # erased, or the message is so old: we keep its hash only
        return f"{local[:1]}••••@{domain}"

    @property
    def is_stopped(self) -> bool:
        """Tell whether this sender may not mail the address."""
        return is_suppressed(self.organization, self.key)


def holder_of(token: str) -> Holder | None:
    """Return who holds `token`; None when it is not ours, or its delivery is no longer kept."""
    delivery_id = open_token(Purpose.DELIVERY, token)
    if not delivery_id:
        return None
    delivery = Delivery.objects.select_related("organization", "campaign").filter(pk=delivery_id).first()
    return None if delivery is None else Holder(delivery, token)


def is_test_token(token: str) -> bool:
    """Tell the token that stands in test messages."""
    return open_token(Purpose.DELIVERY, token) == NOBODY


def stop(holder: Holder, *, source: str, platform: bool = False) -> None:
    """Unsubscribe from everything of this sender; with `platform` from every sender. In force when this returns."""
    record_event(
        EventData(
            kind=EventKind.UNSUBSCRIBED,
            source=source,
            dedupe=f"unsubscribe:{holder.delivery.pk}:{source}{':all' if platform else ''}",
            at=clock.now(),
            delivery=holder.delivery,
            platform=platform,
        )
    )


def take_back(holder: Holder) -> bool:
    """Undo a stop that was pressed on the page within ten minutes; tell whether it was."""
    with transaction.atomic():
        if not undo_unsubscribe(holder.organization, holder.key, delivery_id=holder.delivery.pk):
            return False
        now = clock.now()
        record_event(
            EventData(
                kind=EventKind.SUBSCRIBED,
                source="page",
                dedupe=f"undo:{holder.delivery.pk}:{now.timestamp():.3f}",
                at=now,
                delivery=holder.delivery,
            )
        )
    return True


def pause(holder: Holder, days: int) -> None:
    """Keep this sender away for some days; whoever stopped for good stays stopped."""
    suppress(
        holder.key,
        organization=holder.organization,
        reason="unsubscribe",
        source="preferences",
        delivery_id=holder.delivery.pk,
        until=clock.now() + timedelta(days=days),
    )


def lists_of(holder: Holder) -> list[ListMembership]:
    """Return the lists of this sender that the person is on."""
    rows = ListMembership.objects.filter(
        contact_id=holder.delivery.contact_id,
        contact_list__organization=holder.organization,
        contact_list__closed_at=None,
    )
    return list(rows.select_related("contact_list").order_by("contact_list__name"))


def keep_lists(holder: Holder, wanted: set[str]) -> int:
    """Leave every list whose uid is not in `wanted`; return how many were left. Nobody joins a list here."""
    left = [row.pk for row in lists_of(holder) if str(row.contact_list.uid) not in wanted]
    ListMembership.objects.filter(pk__in=left).delete()
    return len(left)


def mail_lost_links(text: str) -> None:
    """Mail the links of everybody who mailed this address lately to this address; says nothing to the caller."""
    address = parse(text)
    if not isinstance(address, Address):
        return
    latest = _latest(address.key)
    if latest:
        senders = [{"name": row.organization.name, "links": Links.of(row.pk)} for row in latest]
        body = render_to_string("campaigns/public/lost_links.txt", {"senders": senders})
        EmailMessage("Your links", body, None, [address.original]).send()


def _latest(key: AddressKey) -> list[Delivery]:
    """Return the newest message of each sender that reached the address."""
    contacts = Contact.objects.filter(address_hash__in=suppression_hashes(key)).values("pk")
    sent = Outcome.objects.filter(state__in=[Outcome.State.ACCEPTED, Outcome.State.IN_DOUBT]).values("delivery_id")
    rows = Delivery.objects.filter(contact_id__in=contacts, pk__in=sent).select_related("organization").order_by("pk")
    newest = {row.organization_id: row for row in rows}
    return list(newest.values())[:LOST_SENDERS_MAX]
