"""What the person at the other end may do with the token in a mail: stop, and take it back.

What else they may choose is campaigns.choosing's, their data campaigns.own_data's, new links campaigns.lost_links'.

Works whatever has become of the sender: suspended, blocked, closed (rules UNSUB-LINK-LIFE). Needs no account, asks for
nothing, and says nothing about an address to somebody who does not hold its token.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Organization
from campaigns.events import EventData, record_event, who
from campaigns.models import Delivery, EventKind
from compliance import suppression
from compliance.models import Contact, Suppression
from compliance.suppression import ERASED
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, Who, suppression_hashes
from sendserver.lib.tokens import Purpose, open_token

NOBODY: Final = 0  # the token of test messages


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
        """Return the normal form of the address, or what is left of it: the hash of a message that is old or erased."""
        return who(self.delivery)

    @property
    def address(self) -> AddressKey | None:
        """Return the address, None once its hash alone is kept."""
        key = self.key
        return None if isinstance(key, bytes) else key

    @property
    def masked(self) -> str:
        """Return the address as a bystander may see it."""
        if self.address:
            local, _, domain = self.address.rpartition("@")
            return f"{local[:1]}••••@{domain}"
        return "an erased address" if self.is_erased else "your address"

    @property
    def entries(self) -> list[Suppression]:
        """Return what keeps this sender from the address, newest first."""
        return suppression.find(self.organization, self.key)

    @property
    def is_stopped(self) -> bool:
        """Tell whether this sender may not mail the address any more; a break is no stop."""
        return any(row.reason != Suppression.Reason.PAUSE for row in self.entries)

    @property
    def is_stopped_everywhere(self) -> bool:
        """Tell whether no sender may mail the address."""
        return any(row.organization_id is None for row in self.entries)

    @property
    def paused_until(self) -> datetime | None:
        """Return when the person's own break ends, None without one."""
        return next((row.until for row in self.entries if row.reason == Suppression.Reason.PAUSE), None)

    @property
    def can_undo(self) -> bool:
        """Tell whether a stop was pressed here within the last minutes and can be taken back."""
        undoable = suppression.undoable(self.organization, self.key, delivery_id=self.delivery.pk)
        return not self.is_erased and bool(undoable)

    @property
    def hashes(self) -> list[bytes]:
        """Return the keyed hashes of the address that the message went to, under every key."""
        address = self.delivery.address.lower()
        return [bytes(self.delivery.address_hash), *(suppression_hashes(AddressKey(address)) if address else [])]

    @property
    def contacts(self) -> list[Contact]:
        """Return what the sender holds of this address today, also when removed and uploaded again; at most one.

        Not by the message's contact: the sender may have corrected its address, to that of somebody else.
        """
        return list(Contact.objects.for_org(self.organization).filter(address_hash__in=self.hashes))

    @property
    def messages(self) -> QuerySet[Delivery]:
        """Return every message of this sender to this address, oldest first."""
        ids = [self.delivery.contact_id, *(row.pk for row in self.contacts)]
        rows = Delivery.objects.filter(organization=self.organization, contact_id__in=ids)
        return rows.filter(address_hash__in=self.hashes).order_by("pk")

    @property
    def is_erased(self) -> bool:
        """Tell whether the person had everything erased; they are on the do-not-mail list since (campaigns.erasure)."""
        return not self.delivery.address and any(row.source == ERASED for row in self.entries)


def holder_of(token: str) -> Holder | None:
    """Return who holds `token`; None when it is not ours, or its delivery is no longer kept."""
    delivery_id = open_token(Purpose.DELIVERY, token)
    return holder_of_delivery(delivery_id, token) if delivery_id else None


def holder_of_delivery(delivery_id: int, token: str) -> Holder | None:
    """Return the holder for a delivery whose token was opened; None when the delivery is no longer kept."""
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
        key, delivery_id = holder.key, holder.delivery.pk
        if holder.is_erased or not suppression.undo_unsubscribe(holder.organization, key, delivery_id=delivery_id):
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
