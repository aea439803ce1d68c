"""The page of a segment in a real browser: by keyboard alone, with a count that follows."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, expect

from campaigns.tests.world import add_person, make_world
from compliance.models import Segment
from sendserver.testing.browser import open_look, sign_in
from sendserver.testing.personas import Persona

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_segment_is_written_by_keyboard_and_counted_while_it_is(
    chromium: Browser, live_server: Any, larkfield: Any, alice: Persona
) -> None:
    world = make_world(larkfield, 3)
    add_person(world, "ten@reader.example", first_name="Ten")
    with open_look(chromium, "desktop", "light") as look:
        sign_in(look, live_server.url, alice.client)
        assert look.go(live_server.url + reverse("segment_new")) == 200
        page = look.page

        def tab_to(selector: str) -> None:
            """Press Tab until the thing is focused."""
            for _ in range(60):
                if page.evaluate("s => document.activeElement.matches(s)", selector):
                    return
                page.keyboard.press("Tab")
            raise AssertionError(f"the keyboard does not reach {selector}")

        tab_to("#id_name")
        page.keyboard.type("Tens")
        tab_to("#g0-new")
        page.keyboard.type("First name")
        tab_to("button[value=add-0]")
        page.keyboard.press("Enter")
        page.wait_for_selector("#g0-c0-op")
        tab_to("#g0-c0-op")
        page.keyboard.type("begins")
        tab_to("#g0-c0-value")
        page.keyboard.type("T")
        expect(page.locator("#count")).to_contain_text("1 person")
        page.keyboard.press("Backspace")
        page.keyboard.type("Name")
        expect(page.locator("#count")).to_contain_text("3 people")
        # Return in a field saves; it must not press a row's own button.
        page.keyboard.press("Enter")
        page.wait_for_url("**/segments/*-*/")
        assert look.findings() == []
        assert look.complaints == []
    made = Segment.objects.get()
    assert made.name == "Tens"
    assert made.conditions["groups"][0]["conditions"] == [{"subject": "first_name", "op": "starts", "value": "Name"}]


def test_another_comparison_brings_its_own_input(
    chromium: Browser, live_server: Any, larkfield: Any, alice: Persona
) -> None:
    make_world(larkfield, 1)
    with open_look(chromium, "phone", "dark") as look:
        sign_in(look, live_server.url, alice.client)
        look.go(live_server.url + reverse("segment_new"))
        page = look.page
        page.select_option("#g0-new", "consent_at")
        page.click("button[value=add-0]")
        expect(page.locator("#g0-c0-value")).to_have_attribute("type", "date")
        page.select_option("#g0-c0-op", "last_days")
        expect(page.locator("#g0-c0-value")).to_have_attribute("type", "number")
        page.fill("#g0-c0-value", "40")
        expect(page.locator("#count")).to_contain_text("1 person")
        assert look.overflow() == 0
        assert look.complaints == []
