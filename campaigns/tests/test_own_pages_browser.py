"""The person's own pages in a real browser: both widths and schemes, and the whole way without JavaScript."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from playwright.sync_api import Browser, Page

from accounts.models import Organization
from campaigns.inbound.addresses import Links
from campaigns.models import Delivery, Outcome
from campaigns.tests.lanes import planned
from compliance import consent_events, list_exits, suppression
from compliance.consent_events import Circumstances, Kind, Step
from compliance.models import Contact, ContactList, ListMembership
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey
from sendserver.lib.tokens import Purpose, seal
from sendserver.testing.browser import LOOKS, Look

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def delivery(larkfield: Organization) -> Delivery:
    """Return a message to somebody with a history: signed up, confirmed, two lists, one of them left, counted."""
    campaign = planned(larkfield, 2, subject="Last planting week for tulips")
    made = Delivery.objects.order_by("seq")[0]
    Outcome.objects.create(
        delivery_id=made.pk, campaign_id=campaign.pk, state="accepted", relay="relay-2", at=clock.now()
    )
    person = Contact.objects.get(pk=made.contact_id)
    letter = ListMembership.objects.get(contact=person).contact_list
    ContactList.objects.filter(pk=letter.pk).update(
        name="Monthly letter", topics="About what to plant", frequency="Once a month"
    )
    offers = ContactList.objects.create(organization=larkfield, name="Seasonal offers", frequency="Four times a year")
    ListMembership.objects.create(contact=person, contact_list=offers, basis="express_doi", consent_at=clock.now())
    list_exits.leave(offers, AddressKey(made.address))
    at = clock.now() - timedelta(days=30)
    Contact.objects.filter(pk=person.pk).update(tracking_consent_at=at)
    around = Circumstances(
        source="https://larkfield.example/newsletter",
        wording="Yes, send me the monthly letter with what to plant, and now and then an offer of the season.",
    )
    consent_events.record(person, Step(Kind.REQUESTED, at, letter), around)
    consent_events.record(person, Step(Kind.CONFIRMED, at + timedelta(minutes=2), letter), Circumstances())
    return made


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_the_pages_look_right(look: Look, delivery: Delivery, live_server: Any) -> None:
    token = Links.of(delivery.pk).token

    def check(name: str) -> None:
        for details in look.page.locator("main details").all():
            details.evaluate("one => one.open = true")
        look.picture(f"own-{name}")
        assert look.findings() == [], name
        assert look.overflow() == 0, name
        assert look.complaints == [], name

    def press(words: str) -> None:
        for details in look.page.locator("main details").all():
            details.evaluate("one => one.open = true")
        look.page.get_by_role("button", name=words).first.click()

    for name, path in (("why", f"/why/{token}/"), ("preferences", f"/p/{token}/"), ("lost", "/u/")):
        assert look.go(live_server.url + path) == 200
        check(name)
    look.page.fill("#address", delivery.address)
    press("Mail me the links")
    check("lost-sent")
    look.go(f"{live_server.url}/why/{token}/")
    press("E-mail me a copy")
    check("copy-mailed")
    look.go(f"{live_server.url}/p/{token}/")
    press("Pause 30 days")
    check("paused")
    press("Never again")
    check("never")
    press("Undo")
    check("undone")
    look.go(f"{live_server.url}/u/{token}/")
    check("unsubscribe")
    press("Unsubscribe me from everything")
    check("unsubscribed")
    look.go(f"{live_server.url}/erase/{seal(Purpose.ERASE, delivery.pk)}/")
    check("erase")
    press("Erase my data")
    check("erased")
    look.go(f"{live_server.url}/why/{token}/")
    check("why-erased")


@pytest.fixture
def plain(chromium: Browser) -> Any:
    """Return a page of a browser that runs no script."""
    context = chromium.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def test_the_whole_way_without_javascript(plain: Page, delivery: Delivery, live_server: Any) -> None:
    token, organization = Links.of(delivery.pk).token, delivery.organization
    key = AddressKey(delivery.address)
    plain.goto(f"{live_server.url}/p/{token}/")
    plain.get_by_label("Seasonal offers").check()
    plain.get_by_label("Monthly letter").uncheck()
    plain.get_by_role("button", name="Save my choices").click()
    assert "You left 1 list and are back on 1 list." in plain.inner_text("main")
    plain.get_by_role("button", name="Stop counting what I open").click()
    assert Contact.objects.get(pk=delivery.contact_id).tracking_consent_at is None
    plain.get_by_role("button", name="Pause 90 days").click()
    assert "Nothing comes until" in plain.inner_text("main")
    plain.get_by_role("button", name="End the break now").click()
    assert not suppression.is_suppressed(organization, key)
    plain.get_by_text("Stop every sender").click()
    plain.get_by_role("button", name="Never again").click()
    plain.get_by_role("button", name="Undo").click()
    assert not suppression.is_suppressed(organization, key)
    plain.goto(f"{live_server.url}/why/{token}/")
    plain.get_by_text("Ask for a copy of your data").click()
    plain.get_by_role("button", name="Erase my data").click()
    assert "Look into your mailbox" in plain.inner_text("main")
    link = next(word for word in mail.outbox[-1].body.split() if "/erase/" in word)
    plain.goto(live_server.url + "/erase/" + link.partition("/erase/")[2])
    plain.get_by_role("button", name="Erase my data").click()
    assert not Contact.objects.filter(pk=delivery.contact_id).exists()
    assert suppression.is_suppressed(organization, key)
