"""A planned time comes: what was true at the order is looked at once more."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from accounts.models import Organization, Standing
from campaigns import planning
from campaigns.approve import Order, approve, decide_held
from campaigns.models import Brake, Campaign, CampaignState
from campaigns.tests.world import make_draft, make_world
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db


@pytest.fixture
def scheduled(larkfield: Organization, alice: Persona) -> Campaign:
    draft = make_draft(make_world(larkfield), alice.user)
    order = Order(key=uuid.uuid4(), version=draft.version, at=clock.now() + timedelta(hours=1))
    return approve(draft, order, actor=alice.user).campaign


def start(campaign: Campaign) -> str:
    Campaign.objects.filter(pk=campaign.pk).update(scheduled_at=clock.now() - timedelta(seconds=5))
    planning.start_due()
    campaign.refresh_from_db()
    return campaign.state


def test_nothing_changed_and_it_goes(scheduled: Campaign) -> None:
    assert start(scheduled) == CampaignState.SENDING
    assert not Brake.objects.exists()


def test_a_sender_warned_meanwhile_waits_for_staff(scheduled: Campaign, larkfield: Organization) -> None:
    Organization.objects.filter(pk=larkfield.pk).update(standing=Standing.WARNED)
    start(scheduled)
    brake = Brake.objects.get()
    assert (brake.kind, brake.campaign) == (Brake.Kind.STAFF, scheduled)
    assert "warned" in brake.reason


def test_what_staff_let_go_is_not_held_twice(larkfield: Organization, alice: Persona, moderator: Persona) -> None:
    Organization.objects.filter(pk=larkfield.pk).update(standing=Standing.WARNED)
    draft = make_draft(make_world(larkfield), alice.user)
    order = Order(key=uuid.uuid4(), version=draft.version, at=clock.now() + timedelta(hours=1))
    held = approve(draft, order, actor=alice.user).campaign
    assert held.state == CampaignState.HELD
    decide_held(held, release=True, actor=moderator.user, reason="Read, and fine.")
    start(held)
    assert not Brake.objects.exists()
