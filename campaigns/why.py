"""Why did I get this: sender, sign-up, statement and way of one message, for the person who holds its token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from accounts.models import BusinessProfile, SendingDomain
from campaigns.models import Delivery, Outcome
from campaigns.returning import Holder
from compliance.models import Attestation, ListMembership


@dataclass(frozen=True)
class Why:
    """Everything the page says; whatever we do not know is None or empty and is not shown."""

    subject: str
    sent_at: datetime | None
    membership: ListMembership | None
    attestation: Attestation | None
    profile: BusinessProfile | None
    domain: SendingDomain | None
    from_address: str
    relay_name: str

    @property
    def is_confirmed(self) -> bool:
        """Tell whether the person confirmed by a link of their own."""
        return self.membership is not None and self.membership.confirmed_at is not None


def explain(holder: Holder) -> Why:
    """Return what is known of a message."""
    delivery = holder.delivery
    campaign = delivery.campaign
    membership = _membership(delivery)
    outcome = Outcome.objects.filter(delivery_id=delivery.pk).order_by("-pk").first()
    relay = settings.RELAYS.get(outcome.relay) if outcome else None
    sender = campaign.from_address
    return Why(
        subject=campaign.subject,
        sent_at=outcome.at if outcome and outcome.state in (Outcome.State.ACCEPTED, Outcome.State.IN_DOUBT) else None,
        membership=membership,
        attestation=membership.attestation if membership else None,
        profile=BusinessProfile.objects.filter(organization=holder.organization).first(),
        domain=sender.domain if sender else None,
        from_address=sender.address if sender else "",
        relay_name=relay.name if relay else "",
    )


def _membership(delivery: Delivery) -> ListMembership | None:
    if delivery.membership_id is None:
        return None
    rows = ListMembership.objects.select_related("contact_list", "attestation")
    return rows.filter(pk=delivery.membership_id).first()
