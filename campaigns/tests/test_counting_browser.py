"""Pages of long lists in a real browser: being counted, then with figures that come by themselves; four looks."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from campaigns.models import Campaign, Delivery
from campaigns.tests.lanes import planned
from campaigns.tests.world import add_person, make_draft, make_world
from compliance import counting, policy
from sendserver.lib import clock
from sendserver.testing.browser import LOOKS, Look, sign_in
from sendserver.testing.personas import Persona

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def draft(larkfield: Any, alice: Persona, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """Return a draft to a list that is longer than a page counts here."""
    monkeypatch.setattr(policy, "COUNTED_AT_ONCE", 2)
    world = make_world(larkfield, 3)
    add_person(world, "out@reader.example", basis="")
    return make_draft(world, alice.user)


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_figures_come_by_themselves(look: Look, draft: Campaign, alice: Persona, live_server: Any) -> None:
    found = draft.lists.get()
    places = {
        "lists": (reverse("lists"), "#counts", "Still counting", "75%"),
        "list": (reverse("list_detail", args=[found.uid]), "main", "takes a moment", "3 of 4 people can be mailed"),
        "edit": (reverse("campaign_edit", args=[draft.uid]), "main", "Counting who will get it", "3 will get it"),
        "review": (reverse("campaign_review", args=[draft.uid]), "main", "We are counting", "3 of 4 people will get"),
    }
    sign_in(look, live_server.url, alice.client)
    faults = []
    for name, (url, where, before, after) in places.items():
        counting.KeptCount.objects.all().delete()
        assert look.go(live_server.url + url) == 200
        expect(look.page.locator(where)).to_contain_text(before)
        look.picture(f"counting-{name}")
        faults += [f"{name}, counting: {one}" for one in look.findings()]
        counting.work()
        expect(look.page.locator(where)).to_contain_text(after, timeout=10_000)
        expect(look.page.locator(where)).to_contain_text("ounted")
        look.picture(f"counted-{name}")
        faults += [f"{name}, counted: {one}" for one in look.findings()]
        if look.overflow():
            faults.append(f"{name}: {look.overflow()} pixels too wide")
    assert not faults, "\n".join(faults)
    assert look.complaints == []


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_figures_of_a_campaign_come_by_themselves(
    look: Look, larkfield: Any, alice: Persona, live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = planned(larkfield, 6)
    Delivery.objects.filter(campaign=sent, seq__lte=2).update(domain="gmail.com")
    monkeypatch.setattr(policy, "COUNTED_AT_ONCE", 2)
    sign_in(look, live_server.url, alice.client)
    faults = []
    for name in ("progress", "report"):
        counting.KeptCount.objects.all().delete()
        assert look.go(live_server.url + reverse(f"campaign_{name}", args=[sent.uid])) == 200
        expect(look.page.locator("#counts")).to_contain_text("Still counting")
        look.picture(f"counting-{name}")
        faults += [f"{name}, counting: {one}" for one in look.findings()]
        counting.work()
        expect(look.page.locator("#counts")).to_contain_text("Gmail", timeout=10_000)
        expect(look.page.locator("#counts")).to_contain_text("Counted")
        look.picture(f"counted-{name}")
        faults += [f"{name}, counted: {one}" for one in look.findings()]
        if look.overflow():
            faults.append(f"{name}: {look.overflow()} pixels too wide")
    assert not faults, "\n".join(faults)
    assert look.complaints == []


@pytest.mark.parametrize("look", LOOKS[:1], indirect=True, ids="-".join)
def test_a_campaign_that_came_back_says_so(look: Look, draft: Campaign, alice: Persona, live_server: Any) -> None:
    Campaign.objects.filter(pk=draft.pk).update(
        look_again="4 people would get it now, 1 more than the 3 that were approved.", state="draft"
    )
    sign_in(look, live_server.url, alice.client)
    for name in ("campaign_review", "campaign_edit"):
        look.go(live_server.url + reverse(name, args=[draft.uid]))
        expect(look.page.locator("main")).to_contain_text("1 more than the 3 that were approved")
        assert look.findings() == []
    Campaign.objects.filter(pk=draft.pk).update(state="planning", scheduled_at=clock.now())
    look.go(live_server.url + reverse("campaign_progress", args=[draft.uid]))
    Campaign.objects.filter(pk=draft.pk).update(state="draft")
    look.page.wait_for_url("**/review/", timeout=10_000)
