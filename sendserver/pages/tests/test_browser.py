"""The pages in a real browser: no finding of axe, no breach of the content policy, nothing sideways, working script."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Organization, Standing
from campaigns.models import Campaign, CampaignState, Chunk, Outcome, Tally, Usage
from sendserver.testing.browser import LOOKS, Look, sign_in
from sendserver.testing.personas import Persona

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PUBLIC = {
    "home": "/",
    "about": "/about/",
    "privacy": "/privacy/",
    "terms": "/terms/",
    "dpa": "/terms/processing/",
    "anti-spam": "/anti-spam/",
    "postmasters": "/postmaster/",
    "rules": "/rules/",
    "help": "/help/",
    "status": "/status/",
    "stats": "/stats/",
    "not-found": "/no-such-page/",
}


def check(look: Look, name: str, url: str, status: int = 200) -> None:
    assert look.go(url) == status
    look.picture(name)
    assert look.findings() == []
    assert look.overflow() == 0
    assert [said for said in look.complaints if "404 (Not Found)" not in said] == []


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_public_pages(look: Look, live_server: Any) -> None:
    for name, path in PUBLIC.items():
        check(look, name, live_server.url + path, 404 if name == "not-found" else 200)


def tell_a_story(organization: Organization) -> None:
    """A campaign on its way, two finished ones, part of the allowance used."""
    now = timezone.now()
    Organization.objects.filter(pk=organization.pk).update(daily_allowance=10_000)
    Usage.objects.create(organization=organization, day=now.date(), count=5_184)
    for days, name in ((28, "October letter: what to sow now"), (42, "Bulbs are in")):
        past = Campaign.objects.create(
            organization=organization, name=name, state=CampaignState.SENT, started_at=now - timedelta(days=days)
        )
        Tally.objects.create(campaign=past, relay="relay-1", state=Outcome.State.ACCEPTED, count=8_204)
    live = Campaign.objects.create(
        organization=organization,
        name="Last planting week for tulips",
        state=CampaignState.SENDING,
        started_at=now - timedelta(minutes=50),
        mailable_count=8_351,
    )
    for relay, first, last, done in (("relay-1", 1, 4_176, 2_690), ("relay-2", 4_177, 8_351, 2_494)):
        Chunk.objects.create(campaign=live, organization=organization, first_seq=first, last_seq=last, relay=relay)
        Tally.objects.create(campaign=live, relay=relay, state=Outcome.State.ACCEPTED, count=done)
    Campaign.objects.create(organization=organization, name="Open day, 14 November", state=CampaignState.DRAFT)


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_the_overview(look: Look, live_server: Any, alice: Persona, larkfield: Organization) -> None:
    sign_in(look, live_server.url, alice.client)
    check(look, "dashboard-empty", live_server.url + "/portal/")
    tell_a_story(larkfield)
    check(look, "dashboard", live_server.url + "/portal/")


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_public_figures(look: Look, live_server: Any, larkfield: Organization) -> None:
    tell_a_story(larkfield)
    for name, path in (("home-figures", "/"), ("stats-figures", "/stats/"), ("postmasters-figures", "/postmaster/")):
        check(look, name, live_server.url + path)


def test_the_scheme_is_chosen_and_remembered(look: Look, live_server: Any) -> None:
    look.go(live_server.url + "/")
    button = look.page.locator("footer [data-theme-toggle]")
    button.click()
    assert look.page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    look.go(live_server.url + "/about/")
    assert look.page.evaluate("document.documentElement.dataset.bsTheme") == "dark"


def test_the_error_summary_takes_focus(look: Look, live_server: Any) -> None:
    look.go(live_server.url + "/help/")
    look.page.get_by_role("button", name="Send to a person").click()
    assert look.page.evaluate("document.activeElement.hasAttribute('data-errors')")
    assert look.page.title().startswith("Error: ")
    assert look.findings() == []
    look.picture("help-errors")


def test_keys_go_to_the_overview(look: Look, live_server: Any, alice: Persona) -> None:
    sign_in(look, live_server.url, alice.client)
    look.go(live_server.url + "/portal/now/")
    look.go(live_server.url + "/portal/")
    look.page.locator("body").press("g")
    look.page.locator("body").press("o")
    look.page.wait_for_url("**/portal/")


def test_the_lanes_move_without_a_reload(look: Look, live_server: Any, alice: Persona, larkfield: Organization) -> None:
    tell_a_story(larkfield)
    sign_in(look, live_server.url, alice.client)
    look.go(live_server.url + "/portal/")
    assert look.page.get_by_text("2,690 of 4,176").is_visible()
    Tally.objects.filter(campaign__state=CampaignState.SENDING, relay="relay-1").update(count=3_000)
    look.page.get_by_text("3,000 of 4,176").wait_for(timeout=9_000)
    assert look.complaints == []


def test_a_phone_opens_the_menu_without_script(look: Look, live_server: Any, alice: Persona) -> None:
    sign_in(look, live_server.url, alice.client)
    look.page.set_viewport_size({"width": 320, "height": 700})
    look.go(live_server.url + "/portal/")
    assert look.overflow() == 0
    look.page.locator(".s-mob > details > summary").click()
    assert look.page.get_by_role("navigation", name="Portal, small screen").is_visible()


def test_a_long_and_a_right_to_left_name_fit(
    look: Look, live_server: Any, alice: Persona, larkfield: Organization
) -> None:
    sign_in(look, live_server.url, alice.client)
    look.page.set_viewport_size({"width": 390, "height": 800})
    for name in ("Unbelievablylongorganizationnamewithoutanyspace" * 2, "مزرعة النخيل الكبرى للزهور"):
        Organization.objects.filter(pk=larkfield.pk).update(name=name, standing=Standing.GOOD)
        look.go(live_server.url + "/portal/")
        look.page.locator(".s-mob > details > summary").click()
        assert look.overflow() == 0
