"""Held campaigns in front of staff: the answer, and the letter that tells the customer."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from accounts.models import User
from accounts.notices import send_notice
from accounts.people import members_to_notify
from campaigns.approve import decide_held
from campaigns.models import Campaign, CampaignState
from campaigns.sending.poke import poke_planner


@transaction.atomic
def answer(campaign: Campaign, *, release: bool, actor: User, reason: str) -> Campaign:
    """Let a held campaign go or give it back, write to the customer, and start it after the commit."""
    decide_held(campaign, release=release, actor=actor, reason=reason)
    words = "goes out" if release else "needs a change"
    name = "campaign_progress" if release else "campaign_edit"
    context = {
        "campaign": campaign,
        "reason": reason.strip(),
        "release": release,
        "url": f"{settings.BASE_URL}{reverse(name, args=[campaign.uid])}",
    }
    send_notice(
        members_to_notify(campaign.organization, urgent=True),
        subject=f"{campaign.name}: {words}",
        template="emails/campaign_answer.txt",
        context=context,
    )
    if campaign.state == CampaignState.PLANNING:
        transaction.on_commit(poke_planner)
    return campaign
