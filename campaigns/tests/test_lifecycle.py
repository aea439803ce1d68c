"""The whole transition table, refusals too; one mover wins."""

from __future__ import annotations

import itertools

import pytest

from accounts.models import AuditEntry, Organization
from campaigns import lifecycle
from campaigns.models import Campaign, CampaignState
from sendserver.lib.states import TransitionRefusedError

# Written by hand a second time on purpose: a changed table must be meant.
ALLOWED = {
    ("draft", "held"),
    ("draft", "scheduled"),
    ("draft", "planning"),
    ("held", "draft"),
    ("held", "scheduled"),
    ("held", "planning"),
    ("held", "stopped"),
    ("scheduled", "draft"),
    ("scheduled", "planning"),
    ("scheduled", "stopped"),
    ("planning", "sending"),
    ("planning", "paused"),
    ("planning", "stopped"),
    ("planning", "sent"),
    ("planning", "draft"),  # the planner's alone: not what was approved any more
    ("sending", "paused"),
    ("sending", "sent"),
    ("sending", "stopped"),
    ("paused", "planning"),
    ("paused", "sending"),
    ("paused", "sent"),
    ("paused", "stopped"),
}
PAIRS = list(itertools.product(CampaignState.values, repeat=2))


@pytest.mark.django_db
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_table(source: str, target: str, larkfield: Organization) -> None:
    campaign = Campaign.objects.create(organization=larkfield, name="x", state=source)
    if (source, target) in ALLOWED:
        lifecycle.move(campaign, target, actor=None, reason="because")
    else:
        with pytest.raises(TransitionRefusedError):
            lifecycle.move(campaign, target, actor=None, reason="because")
    campaign.refresh_from_db()
    assert campaign.state == (target if (source, target) in ALLOWED else source)
    rows = AuditEntry.objects.filter(action="campaign.moved", subject=f"campaign:{campaign.uid}")
    assert rows.count() == int((source, target) in ALLOWED)


@pytest.mark.django_db
def test_who_comes_second_is_refused(larkfield: Organization) -> None:
    campaign = Campaign.objects.create(organization=larkfield, name="x", state="sending")
    late = Campaign.objects.get(pk=campaign.pk)
    lifecycle.move(campaign, "stopped", actor=None, reason="first")
    with pytest.raises(TransitionRefusedError):
        lifecycle.move(late, "paused", actor=None, reason="second")
    late.refresh_from_db()
    assert late.state == "stopped"
