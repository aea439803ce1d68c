"""A campaign's people by receiver, minute and reason: the same at once and by a worker, and pages say which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import Organization
from campaigns import breakdown
from campaigns.models import Campaign, Delivery
from campaigns.tests.lanes import planned, run_both, two_relays
from compliance import counting, policy
from compliance.models import KeptCount
from sendserver.testing.personas import Persona
from sendserver.testing.relay import Phase, reply

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(larkfield: Organization, settings: Any, tmp_path: Path) -> Campaign:
    """Return a campaign to twelve people: two at one provider, one of those waits, nine elsewhere, one left out."""
    with two_relays(settings, tmp_path) as pair:
        for relay in pair:
            relay.on(Phase.RCPT, reply("450 4.2.0 later"), when=lambda session: "reader3@" in session.commands[-1])
        campaign = planned(larkfield, 11)
        for seq in (3, 4):
            one = Delivery.objects.get(campaign=campaign, address=f"reader{seq}@crowd.example")
            Delivery.objects.filter(pk=one.pk).update(domain="gmail.com")
        out = Delivery.objects.get(campaign=campaign, address="reader5@crowd.example")
        Delivery.objects.create(
            campaign=campaign, organization=larkfield, contact_id=10**9, address="out@crowd.example",
            address_hash=out.address_hash, domain="crowd.example", skip_reason="no_basis",
        )  # fmt: skip
        run_both()
    campaign.refresh_from_db()
    return campaign


def test_a_short_campaign_is_read_at_once(sent: Campaign) -> None:
    found = breakdown.known(sent)
    assert (found.is_known, found.at, found.waits) == (True, None, False)
    assert [(one.name, one.sent, one.accepted, one.waiting) for one in found.receivers] == [
        ("Gmail", 2, 1, 1),
        ("Others", 9, 9, 0),
    ]
    assert [(one.code, one.planned, one.sending) for one in found.left_out] == [("no_basis", 1, 0)]
    assert sum(sum(counts) for _, counts in found.attempts) == 11
    assert not KeptCount.objects.exists()


def test_a_worker_says_the_same_of_a_long_one(sent: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = breakdown.known(sent)
    monkeypatch.setattr(policy, "COUNTED_AT_ONCE", 5)
    asked = breakdown.known(sent)
    assert (asked.is_known, asked.waits, asked.receivers) == (False, True, ())
    assert counting.work() == 1
    found = breakdown.known(sent)
    assert found.at is not None
    assert replace(found, at=None) == at_once
    assert KeptCount.objects.get().kind == "campaign"


def test_nobody_learns_of_another_organizations_campaign(sent: Campaign, mallory: Persona) -> None:
    theirs = Organization.objects.get(memberships__user=mallory.user)
    question = counting.Question("campaign", {"campaign": sent.pk})
    counting.look(theirs, [question])
    counting.work()
    answer = counting.look(theirs, [question])[0].answer
    assert answer == {"receivers": [], "left_out": [], "minutes": [[], []], "taken": None}


@pytest.mark.parametrize("name", ["progress", "report"])
def test_pages_say_of_which_moment_they_are(
    name: str, sent: Campaign, alice: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = reverse(f"campaign_{name}", args=[sent.uid])
    short = alice.client.get(url).content.decode()
    assert "Gmail" in short
    assert 'hx-select="#counts"' not in short
    monkeypatch.setattr(policy, "COUNTED_AT_ONCE", 5)
    early = alice.client.get(url).content.decode()
    assert "Gmail" not in early
    assert "Still counting" in early
    assert 'hx-select="#counts"' in early
    part = alice.client.get(url, headers={"HX-Request": "true", "HX-Target": "counts"}).content.decode()
    assert 'id="counts"' in part
    counting.work()
    late = alice.client.get(url).content.decode()
    assert "Gmail" in late
    assert "Counted" in late
    assert 'hx-select="#counts"' not in late
