"""New links for people without one: one answer, one way through the database, and no flood for anybody."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization, Standing
from campaigns import lost_links
from campaigns.inbound.addresses import Links
from campaigns.models import Delivery, LinkRequest, Outcome
from campaigns.tests.lanes import planned
from campaigns.tests.world import World, add_person, make_world
from compliance import suppression
from compliance.models import ContactList
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def delivery(larkfield: Organization) -> Delivery:
    campaign = planned(larkfield, 2)
    made = Delivery.objects.order_by("seq")[0]
    Outcome.objects.create(
        delivery_id=made.pk, campaign_id=campaign.pk, state="accepted", relay="relay-1", at=clock.now()
    )
    return made


def ask(address: str, network: str = "198.51.100.7") -> str:
    answer = Client(REMOTE_ADDR=network).post("/u/", {"address": address})
    assert answer.status_code == 200
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", answer.content.decode())


def statements(address: str) -> list[str]:
    """Return the statements of one request, values left out."""
    with CaptureQueriesContext(
        connection,
    ) as seen:
        ask(address)
    return [re.sub(r"'[^']*'", "?", one["sql"]) for one in seen]


def test_known_unknown_and_stopped_addresses_take_the_same_way(delivery: Delivery) -> None:
    """The same page and the same statements: there is nothing that could take longer."""
    known = statements(delivery.address)
    assert len([one for one in known if "campaigns_linkrequest" in one]) == 1
    assert not [one for one in known if "compliance_" in one or "campaigns_delivery" in one]
    assert statements("nobody@elsewhere.example") == known
    suppression.suppress(AddressKey("gone@reader.example"), organization=None, reason="complaint", source="arf")
    assert statements("gone@reader.example") == known
    assert ask("third@elsewhere.example") == ask(delivery.address)
    assert mail.outbox == []


def test_one_mail_for_every_sender_that_reached_the_address(delivery: Delivery, hollin: Organization) -> None:
    world = make_world(hollin, 0, list_name="Potters")
    person = add_person(world, delivery.address.upper())
    second = _accepted(world, person.pk, delivery)
    Organization.objects.filter(pk=hollin.pk).update(
        standing=Standing.BLOCKED, closed_at=clock.now(), name="Hollin\r\nX: y"
    )
    ask(delivery.address.upper())
    assert lost_links.answer_waiting() == 1
    (message,) = mail.outbox
    for row in (delivery, second):
        assert Links.of(row.pk).unsubscribe_url in message.body
    assert "\nX:" not in message.body
    assert lost_links.answer_waiting() == 0


def _accepted(world: World, contact_id: int, like: Delivery) -> Delivery:
    made = Delivery.objects.create(
        campaign=like.campaign,
        organization=world.organization,
        contact_id=contact_id,
        address=like.address,
        address_hash=like.address_hash,
        domain=like.domain,
    )
    Outcome.objects.create(
        delivery_id=made.pk, campaign_id=like.campaign_id, state="accepted", relay="relay-1", at=clock.now()
    )
    return made


def test_planned_mail_reached_nobody(delivery: Delivery) -> None:
    waiting = Delivery.objects.exclude(pk=delivery.pk).get()
    ask(waiting.address)
    assert lost_links.answer_waiting() == 0
    assert ContactList.objects.exists()
    assert mail.outbox == []


def test_a_network_asks_ten_times_an_hour_and_a_mailbox_gets_three_mails_a_day(delivery: Delivery) -> None:
    for number in range(12):
        ask(f"person{number}@elsewhere.example")
    assert LinkRequest.objects.count() == 10
    lost_links.answer_waiting()
    for number in range(6):
        ask(delivery.address, network=f"203.0.{number}.9")
        lost_links.answer_waiting()
    assert len(mail.outbox) == 3


def test_asked_twice_before_the_worker_came_is_answered_once(delivery: Delivery) -> None:
    ask(delivery.address)
    ask(delivery.address.upper())
    assert lost_links.answer_waiting() == 1


@pytest.mark.parametrize(
    "text", ["", "x", "a@b", "a\x00@b.example", "a@b.example\r\nBcc: c@d.example", "ä" * 300, "a@b.example,c@d.example"]
)
def test_what_is_no_address_is_not_written_down(delivery: Delivery, text: str) -> None:
    assert ask(text) == ask("nobody@elsewhere.example")
    assert LinkRequest.objects.count() == 1
