"""Hostile tries at the pages of campaigns: input nobody types, and who may answer for whom."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse

from accounts.models import Membership, Organization, Role
from campaigns.approve import Order, OrderRefusedError, approve, decide_held
from campaigns.inbound.arf import _number
from campaigns.models import Campaign, CampaignState
from campaigns.tests.world import make_draft, make_world
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(larkfield: Organization, alice: Persona) -> Campaign:
    return make_draft(make_world(larkfield), alice.user)


@pytest.fixture
def held(larkfield: Organization, alice: Persona) -> Campaign:
    draft = make_draft(make_world(larkfield), alice.user, subject="Last chance for tulips")
    return approve(draft, Order(key=uuid.uuid4(), version=draft.version), actor=alice.user).campaign


def send(draft: Campaign, persona: Persona, **typed: str) -> int:
    values = {"key": str(uuid.uuid4()), "version": draft.version, "when": "now", **typed}
    return persona.client.post(reverse("campaign_review", args=[draft.uid]), values).status_code


@pytest.mark.parametrize("typed", ["²", "9" * 5000])
def test_a_count_that_is_no_number_is_refused(draft: Campaign, alice: Persona, typed: str) -> None:
    assert send(draft, alice, typed=typed) == 422


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/New_York"])
@pytest.mark.parametrize("date", ["0001-01-01", "9999-12-31"])
def test_a_day_at_the_end_of_time_is_refused(draft: Campaign, alice: Persona, zone: str, date: str) -> None:
    assert send(draft, alice, when="later", date=date, time="00:30", zone=zone) == 422


@pytest.mark.parametrize("release", [True, False])
def test_staff_do_not_answer_for_their_own_organization(held: Campaign, moderator: Persona, release: bool) -> None:
    Membership.objects.create(organization=held.organization, user=moderator.user, role=Role.MANAGER)
    with pytest.raises(OrderRefusedError, match="team"):
        decide_held(held, release=release, actor=moderator.user, reason="Looks fine to me.")
    held.refresh_from_db()
    assert held.state == CampaignState.HELD


def test_the_log_does_not_name_staff_to_customers(held: Campaign, alice: Persona, moderator: Persona) -> None:
    decide_held(held, release=True, actor=moderator.user, reason="The season does end.")
    page = alice.client.get(reverse("campaign_progress", args=[held.uid])).content.decode()
    assert "The season does end." in page
    assert "By Alice." in page
    assert moderator.user.name not in page


@pytest.mark.parametrize("text", ["²", "", "x", "1" * 5000])
def test_a_count_in_a_report_that_is_no_number_counts_once(text: str) -> None:
    assert _number(text) == 1
