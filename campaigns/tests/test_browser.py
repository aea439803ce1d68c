"""The editor and its neighbours in a real browser: autosave, preview, no findings of axe, no sideways scrolling."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import AuditEntry, Organization
from campaigns import lifecycle
from campaigns.approve import Order, approve
from campaigns.models import Campaign, CampaignState, Chunk, ClickCount, Delivery, Event, Link, Outcome, Tally
from campaigns.tests.world import World, add_person, make_draft, make_world
from sendserver.lib import clock
from sendserver.testing.browser import LOOKS, Look, sign_in
from sendserver.testing.personas import Persona

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def world(larkfield: Organization) -> World:
    made = make_world(larkfield)
    add_person(made, "anna@reader.example", country="DE", basis="express_soi", first_name="Anna")
    add_person(made, "bought@reader.example", country="US", basis="us_customer")
    return made


@pytest.fixture
def draft(world: World, alice: Persona) -> Campaign:
    return make_draft(world, alice.user)


def start(draft: Campaign, alice: Persona) -> Campaign:
    lifecycle.move(draft, CampaignState.PLANNING, actor=alice.user, reason="Approved for 4 people")
    now = clock.now()
    fields = {"planned_count": 5, "mailable_count": 4, "planned_at": now, "started_at": now - timedelta(minutes=2)}
    lifecycle.move(draft, CampaignState.SENDING, actor=None, reason="The audience is counted", **fields)
    for relay, outcome, count in (("relay-1", "accepted", 2), ("relay-2", "rejected", 1), ("", "skipped", 1)):
        Tally.objects.create(campaign=draft, relay=relay, state=outcome, count=count)
    for relay, first in (("relay-1", 1), ("relay-2", 3)):
        Chunk.objects.create(
            campaign=draft, organization=draft.organization, first_seq=first, last_seq=first + 1, relay=relay
        )
    link = Link.objects.create(campaign=draft, number=1, url="https://larkfield.example/open-day")
    ClickCount.objects.create(link=link, hour=now.replace(minute=0, second=0, microsecond=0), clicks=5, automated=2)
    for number, contact in enumerate(draft.organization.contacts.all()[:4], start=1):
        Delivery.objects.create(
            campaign=draft,
            organization=draft.organization,
            seq=number,
            contact_id=contact.pk,
            address=contact.address,
            address_hash=contact.address_hash,
            domain="gmail.com" if number == 1 else contact.domain,
        )
    for minute, relay in ((3, "relay-1"), (2, "relay-2"), (1, "relay-1")):
        Outcome.objects.create(
            delivery_id=Delivery.objects.filter(campaign=draft)[minute].pk,
            campaign_id=draft.pk,
            state="accepted",
            relay=relay,
            at=now - timedelta(minutes=minute),
        )
    Event.objects.create(
        kind="bounced", at=now, organization=draft.organization, campaign_id=draft.pk, delivery_id=1, source="dsn",
        dedupe="x", bounce_class="hard_recipient",
    )  # fmt: skip
    return draft


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_the_pages_look_right(look: Look, draft: Campaign, alice: Persona, live_server: Any) -> None:
    sign_in(look, live_server.url, alice.client)

    def check(name: str, *args: object) -> None:
        assert look.go(live_server.url + reverse(name, args=args)) == 200
        look.picture(name.replace("_", "-"))
        assert look.findings() == []
        assert look.overflow() == 0
        assert look.complaints == []

    for name in ("campaign_edit", "campaign_review"):
        check(name, draft.uid)
    check("campaigns")
    check("campaign_new")
    start(draft, alice)
    check("campaign_progress", draft.uid)
    look.leave()
    lifecycle.move(draft, CampaignState.SENT, actor=None, reason="Everybody has an answer", finished_at=clock.now())
    check("campaign_report", draft.uid)


@pytest.mark.parametrize("look", [("desktop", "light"), ("phone", "dark")], indirect=True, ids="-".join)
def test_a_held_campaign_in_the_staff_area(
    look: Look, draft: Campaign, alice: Persona, moderator: Persona, live_server: Any
) -> None:
    Campaign.objects.filter(pk=draft.pk).update(subject="Last chance for tulips")
    held = approve(draft, Order(key=uuid.uuid4(), version=draft.version), actor=alice.user).campaign
    sign_in(look, live_server.url, moderator.client)
    for name, args in (("changelist", []), ("change", [held.pk])):
        assert look.go(live_server.url + reverse(f"admin:campaigns_campaign_{name}", args=args)) == 200
        look.picture(f"staff-campaign-{name}")
        assert look.findings() == []
        assert look.overflow() == 0
        assert look.complaints == []


def test_typing_saves_and_the_preview_follows(look: Look, draft: Campaign, alice: Persona, live_server: Any) -> None:
    sign_in(look, live_server.url, alice.client)
    look.go(live_server.url + reverse("campaign_edit", args=[draft.uid]))
    look.page.fill("#b", 'Good morning {{ first_name | default: "all" }}, apples are here.')
    look.page.wait_for_selector('#id_version[value="2"]', state="attached")
    look.page.fill("#id_subject", "Re: apples")
    look.page.wait_for_selector('#id_version[value="3"]', state="attached")
    look.page.locator("#checks").get_by_text("1 to fix").wait_for()
    assert "Re: apples" in look.page.inner_text("#mailhead")
    frame = look.page.frame_locator("#preview")
    frame.get_by_text("apples are here").wait_for()
    draft.refresh_from_db()
    assert (draft.subject, draft.version) == ("Re: apples", 3)
    assert AuditEntry.objects.filter(action="campaign.moved").count() == 0


def test_pictures_come_after_a_press_and_go_after_the_next(
    look: Look, draft: Campaign, alice: Persona, live_server: Any
) -> None:
    """The browser asks a far host for nothing until then; the answer is ours, so that no test needs the web."""
    asked: list[str] = []
    Campaign.objects.filter(pk=draft.pk).update(body="![The shed](https://far.example/shed.png)")
    look.page.route("https://far.example/**", lambda route: (asked.append(route.request.url), route.abort()))
    sign_in(look, live_server.url, alice.client)
    look.go(live_server.url + reverse("campaign_edit", args=[draft.uid]))
    frame, button = look.page.frame_locator("#preview"), look.page.get_by_role("button", name="Show pictures")
    frame.get_by_text("“The shed”").wait_for()
    assert asked == []
    button.click()
    frame.get_by_role("img", name="The shed").wait_for()
    assert (asked, button.get_attribute("aria-pressed")) == (["https://far.example/shed.png"], "true")
    button.click()
    frame.get_by_text("“The shed”").wait_for()
    assert (len(asked), button.get_attribute("aria-pressed")) == (1, "false")
