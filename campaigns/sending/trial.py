"""Test messages: the message as it would be sent, to the confirmed address of the person who asks, marked [Test].

They take the way of our own mail, so they work before an organization may send to anybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from allauth.account.models import EmailAddress
from django.conf import settings
from django.utils import timezone

from accounts.models import Organization, SendingDomain, Standing, User
from campaigns.compose import content_of
from campaigns.errors import CampaignError
from campaigns.inbound.addresses import Links
from campaigns.models import Campaign, SystemMail
from campaigns.sending import letters, mime
from campaigns.sending.poke import poke_after_commit
from campaigns.sending.system import relay_for
from sendserver.lib.addresses import Address, parse

PREFIX: Final = "[Test] "
NOBODY: Final = 0  # no delivery has this number: links in a test message lead to pages that say so


class TrialRefusedError(CampaignError):
    """No test message now; the text is for the customer."""


def send_trial(campaign: Campaign, user: User, values: Mapping[str, str] | None = None) -> str:
    """Queue a test message with `values` filled in and return the address it goes to; raises TrialRefusedError.

    The caller keeps the limit TEST_SENDS_PER_H.

    ContentError and RenderError of the compiler pass through: the editor shows them.
    """
    address = _confirmed_address(user)
    if campaign.from_address is None:
        raise TrialRefusedError("Choose a From address first.")
    _refuse_sender(campaign.organization, campaign.from_address.domain)
    relay = relay_for(address)
    content, _ = content_of(campaign)
    letter = letters.letter_of(
        content, campaign.from_address.domain, letters.feedback_id(campaign), relay_key=relay, prefix=PREFIX
    )
    written = mime.write(letter, mime.Recipient(NOBODY, address.original, values or {"first_name": user.name}))
    SystemMail.objects.create(
        recipient=address.original,
        sender=Links.of(NOBODY).return_path(settings.PLATFORM.return_domain),
        message=written.message,
        relay=relay,
        due_at=timezone.now(),
    )
    poke_after_commit([relay])
    return address.original


def _refuse_sender(organization: Organization, domain: SendingDomain) -> None:
    """Refuse whom staff have stopped, and a domain that nobody has shown to be theirs (rules ID-FROM-TRUTH)."""
    if organization.standing in (Standing.SUSPENDED, Standing.BLOCKED):
        raise TrialRefusedError("Nothing leaves while sending is stopped.")
    if domain.verified_at is None:
        raise TrialRefusedError(f"We have not seen yet that {domain.name} is yours. Put its records in place first.")


def _confirmed_address(user: User) -> Address:
    known = EmailAddress.objects.filter(user=user, verified=True).order_by("-primary").first()
    parsed = parse(known.email) if known else None
    if not isinstance(parsed, Address):
        raise TrialRefusedError("Confirm your own e-mail address first.")
    return parsed
