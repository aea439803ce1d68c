"""Writing a campaign: drafts, what the portal adds to them, and the content they make.

Judges nothing (campaigns.proposals), sends and freezes nothing (campaigns.approve).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts.models import BusinessProfile, FromAddress, Organization, User
from campaigns import audience, tracking
from campaigns.content.body import Built, Frame, build
from campaigns.content.compile import MessageContent
from campaigns.errors import CampaignError
from campaigns.models import Campaign, CampaignState
from compliance import gate
from compliance.models import ContactList, Segment
from sendserver.lib import clock

STARTER = """Hello {{ first_name | default: "there" }},

# What is new this month

Begin with the one thing people should know. Short paragraphs are read, long ones are not.

- The first point
- The second point

**[Read more](https://www.example.com/)**

Thank you for reading.
"""


class StaleDraftError(CampaignError):
    """Somebody else saved this draft in the meantime, or it is no draft any more."""


@dataclass(frozen=True)
class Changes:
    """Everything a person can change in a draft."""

    name: str
    subject: str
    preheader: str
    from_address: FromAddress | None
    body_format: str
    body: str
    offer_ends_at: date | None
    lists: tuple[ContactList, ...]
    segment: Segment | None = None


def new_draft(organization: Organization, *, name: str, actor: User) -> Campaign:
    """Return a new draft with words to start from, the newest list and the only From address chosen."""
    addresses = list(from_addresses(organization)[:2])
    draft = Campaign.objects.create(
        organization=organization,
        name=name,
        body=STARTER,
        from_address=addresses[0] if addresses else None,
        created_by=actor,
    )
    newest = ContactList.objects.for_org(organization).filter(closed_at=None).order_by("-created_at").first()
    if newest:
        draft.lists.add(newest)
    return draft


def copy(campaign: Campaign, *, actor: User) -> Campaign:
    """Return a new draft with the same words and lists; nothing of the sending is copied."""
    draft = Campaign.objects.create(
        organization=campaign.organization,
        name=f"{campaign.name[:112]} (copy)",
        subject=campaign.subject,
        preheader=campaign.preheader,
        from_address=campaign.from_address,
        body_format=campaign.body_format,
        body=campaign.body,
        segment=campaign.segment,
        created_by=actor,
        copied_from=campaign,
    )
    draft.lists.set(campaign.lists.filter(closed_at=None))
    return draft


def from_addresses(organization: Organization):  # type: ignore[no-untyped-def]  # noqa: ANN201 (a queryset)
    """Return the organization's From addresses that still stand."""
    rows = FromAddress.objects.for_org(organization).filter(removed_at=None, domain__removed_at=None)
    return rows.select_related("domain").order_by("-confirmed_at", "pk")


@transaction.atomic
def save_draft(campaign: Campaign, changes: Changes, *, version: int) -> int:
    """Save a draft and return its new version; StaleDraftError when `version` is not the newest (no lost update)."""
    rows = Campaign.objects.filter(pk=campaign.pk, version=version, state=CampaignState.DRAFT)
    saved = rows.update(
        name=changes.name,
        subject=changes.subject,
        preheader=changes.preheader,
        from_address=changes.from_address,
        body_format=changes.body_format,
        body=changes.body.replace("\r\n", "\n").replace("\r", "\n"),
        offer_ends_at=changes.offer_ends_at,
        segment=changes.segment,
        version=F("version") + 1,
        updated_at=clock.now(),
    )
    if not saved:
        raise StaleDraftError("This draft was saved in another window. Reload it before you go on.")
    campaign.lists.set(changes.lists)
    return version + 1


def frame_of(campaign: Campaign, lists: Sequence[ContactList]) -> Frame:
    """Return what the portal adds below the message; empty parts where the profile is not filled in."""
    identity = identity_of(profile_of(campaign.organization))
    names = " and ".join(f"“{one.name}”" for one in lists) or "no list yet"
    return Frame(
        legal_name=identity.legal_name or campaign.organization.name,
        postal_line=identity.postal_line,
        register=identity.register,
        contact=identity.contact,
        website=identity.website,
        reason=f"You get this because you signed up with {campaign.organization.name}: {names}.",
    )


def identity_of(profile: BusinessProfile | None) -> gate.IdentityFacts:
    """Return who the sender is by law, as the footer prints it."""
    if profile is None:
        return gate.IdentityFacts()
    register = " ".join(part for part in (profile.register_name, profile.register_number) if part)
    return gate.IdentityFacts(
        legal_name=profile.legal_name,
        trade_name=profile.trade_name,
        register=register,
        country=profile.country,
        postal_line=profile.postal_line,
        contact=profile.contact_email or profile.contact_phone,
        website=profile.website,
    )


def profile_of(organization: Organization) -> BusinessProfile | None:
    """Return the verified business profile, or None while there is none."""
    return BusinessProfile.objects.filter(organization=organization).first()


def list_id(organization: Organization, first: ContactList | None) -> str:
    """Return the List-Id of a list: stable for ever and free of names (RFC 2919)."""
    key = first.uid.hex[:12] if first else "draft"
    return f"l{key}.{organization.uid.hex[:8]}.lists.{settings.PLATFORM.domain}"


def content_of(campaign: Campaign, *, counted: bool = False) -> tuple[MessageContent, Built]:
    """Return the message as it would be sent; `counted` points links at our counter. Raises ContentError."""
    lists = list(campaign.lists.order_by("pk"))
    click = tracking.click_url(campaign) if counted else None
    built = build(
        campaign.body,
        form=campaign.body_format,
        preheader=campaign.preheader,
        frame=frame_of(campaign, lists),
        click_url=click,
    )
    sender = campaign.from_address
    fields = audience.available_fields(lists)
    content = MessageContent(
        subject=campaign.subject,
        preheader=campaign.preheader,
        from_name=sender.display_name if sender else "",
        from_address=sender.address if sender else "",
        reply_to=sender.reply_to if sender else "",
        html=built.html,
        text=built.text,
        list_name=lists[0].name if lists else "",
        list_id=list_id(campaign.organization, lists[0] if lists else None),
        fields=frozenset(fields),
        columns=tuple(sorted((name, key) for name, key in fields.items() if name != key)),
    )
    return content, built
