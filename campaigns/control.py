"""Pause, resume and stop by the customer's hand. The lanes see it within the stop poll; the state moves here."""

from __future__ import annotations

from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from campaigns import brakes, lifecycle
from campaigns.errors import CampaignError
from campaigns.models import Brake, Campaign, CampaignState

OWN: Final = (Brake.Kind.CUSTOMER, Brake.Kind.LATE)  # brakes that the customer may lift


class ControlRefusedError(CampaignError):
    """Not for this person to do; the text says who can."""


@transaction.atomic
def pause(campaign: Campaign, *, actor: User) -> Campaign:
    """Pause a campaign: a brake for the lanes, the state for the pages."""
    lifecycle.move(campaign, CampaignState.PAUSED, actor=actor, reason="Paused by the customer")
    brakes.set_brake(Brake.Kind.CUSTOMER, "Paused by the customer", campaign=campaign, actor=actor)
    return campaign


@transaction.atomic
def resume(campaign: Campaign, *, actor: User) -> Campaign:
    """Go on after a pause; refused while a brake is on that only staff can lift."""
    others = brakes.holding(campaign).exclude(kind__in=OWN)
    if others.exists():
        raise ControlRefusedError(f"Our staff has to look first: {others[0].reason}")
    lifted = [brakes.lift(brake, actor=actor, reason="Resumed by the customer") for brake in _own(campaign)]
    if any(lifted) and campaign.state in (CampaignState.PLANNING, CampaignState.SENDING):
        return campaign  # a late start was braked without a pause; the lanes go on by themselves
    target = CampaignState.SENDING if campaign.planned_at else CampaignState.PLANNING
    return lifecycle.move(campaign, target, actor=actor, reason="Resumed by the customer")


def can_resume(campaign: Campaign) -> bool:
    """Tell whether the customer may let it go on: its own pause, or a start that came too late."""
    return campaign.state == CampaignState.PAUSED or _own(campaign).exists()


def _own(campaign: Campaign) -> QuerySet[Brake]:
    return brakes.live(campaign=campaign).filter(kind__in=OWN)


@transaction.atomic
def stop(campaign: Campaign, *, actor: User) -> Campaign:
    """Stop a campaign for good; who has not been mailed never will be by this campaign."""
    return lifecycle.move(campaign, CampaignState.STOPPED, actor=actor, reason="Stopped by the customer")
