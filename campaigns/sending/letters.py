"""The letter of a campaign: its frozen content compiled, its keys read, its headers fixed; once per slice of a lane."""

from __future__ import annotations

from django.conf import settings

from accounts.domains import is_ready_to_send, platform_key, return_path_host, signing_key
from accounts.models import Organization, SendingDomain
from campaigns.content import snapshot as snapshots
from campaigns.content.compile import MessageContent, compile_message
from campaigns.errors import CampaignError
from campaigns.models import Brake, Campaign
from campaigns.sending import relays
from campaigns.sending.dkim import Signer
from campaigns.sending.mime import Letter


class LetterError(CampaignError):
    """The campaign cannot be sent as it stands; `kind` is the brake that fits."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind, self.text = kind, text


def load(campaign_id: int, relay_key: str) -> Letter:
    """Return the letter of a running campaign; raises LetterError when its domain or its content cannot carry it."""
    campaign = Campaign.objects.select_related("organization", "snapshot", "from_address__domain").get(pk=campaign_id)
    if campaign.snapshot is None or campaign.from_address is None:
        raise LetterError(Brake.Kind.RENDER, "The approved message is missing.")
    domain = campaign.from_address.domain
    if not is_ready_to_send(domain):
        raise LetterError(
            Brake.Kind.DOMAIN, f"The records of {domain.name} are wrong or were not seen for a day. Check the domain."
        )
    try:
        content = snapshots.load(campaign.snapshot)
    except ValueError as error:
        raise LetterError(Brake.Kind.RENDER, "The message is not the one that was approved.") from error
    if content.from_address.rpartition("@")[2] != domain.name:
        raise LetterError(Brake.Kind.DOMAIN, "The From address is not at the domain that was approved.")
    return letter_of(content, domain, feedback_id(campaign), relay_key=relay_key)


def letter_of(
    content: MessageContent, domain: SendingDomain, feedback: str, *, relay_key: str, prefix: str = ""
) -> Letter:
    """Return the letter of a content; it is not signed where the relay signs."""
    signs = not relays.config(relay_key).signs
    return Letter(
        compiled=compile_message(content),
        from_name=content.from_name,
        from_address=content.from_address,
        reply_to=content.reply_to,
        list_name=content.list_name,
        list_id=content.list_id,
        feedback_id=feedback,
        return_host=return_path_host(domain),
        signers=(Signer.of(signing_key(domain)), Signer.of(platform_key())) if signs else (),
        subject_prefix=prefix,
    )


def feedback_id(campaign: Campaign) -> str:
    """Return Feedback-ID: campaign, customer, kind, and the constant sender id of 5 to 15 characters (rules 3.3)."""
    return f"c{campaign.uid.hex[:10]}:{customer_key(campaign.organization)}:mkt:{sender_id()}"


def customer_key(organization: Organization) -> str:
    """Return the short key by which receivers know a customer; says nothing about who it is."""
    return organization.uid.hex[:8]


def sender_id() -> str:
    """Return the platform's constant id in Feedback-ID."""
    name = settings.PLATFORM.domain.replace(".", "").replace("-", "")
    return f"mx{name}"[:15]
