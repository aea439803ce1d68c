"""The sending page of a campaign on its way: pace, end, turn, and what slows it until when."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Organization
from campaigns import course
from campaigns.models import Campaign, Chunk, Delivery, Retry, Tally, Usage
from campaigns.sending import relays, tokens
from sendserver.lib import clock
from sendserver.testing.personas import Persona, make_organization

pytestmark = pytest.mark.django_db


def _campaign(organization: Organization, people: int, chunk: int = 500) -> Campaign:
    """Return a campaign in state SENDING, planned by bare rows."""
    now = clock.now()
    campaign = Campaign.objects.create(
        organization=organization,
        name="Open day",
        state="sending",
        planned_count=people,
        mailable_count=people,
        planned_at=now,
        started_at=now - timedelta(minutes=5),
    )
    Chunk.objects.bulk_create(
        Chunk(
            campaign=campaign,
            organization=organization,
            first_seq=first,
            last_seq=min(first + chunk - 1, people),
            relay=f"relay-{1 + (first // chunk) % 2}",
        )
        for first in range(1, people + 1, chunk)
    )
    Tally.objects.create(campaign=campaign, relay="", state="planned", count=people)
    return campaign


def _sent(campaign: Campaign, count: int, *, over: float = 30.0, ago: float = 0.0) -> None:
    """Write `count` outcomes, spread over `over` seconds that ended `ago` seconds ago, and move the tallies."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO campaigns_outcome (delivery_id, campaign_id, attempt, state, relay, at, enhanced, reply,"
            " queue_id, bounce_class, host, wire_bytes) SELECT n, %s, 1, 'accepted', 'relay-1',"
            " now() - make_interval(secs => %s + %s * (1 - n::float8 / %s)), '', '', '', '', '', 0"
            " FROM generate_series(1, %s) n",
            [campaign.pk, ago, over, count, count],
        )
    Tally.objects.filter(campaign=campaign, state="planned").update(count=campaign.mailable_count - count)
    Tally.objects.create(campaign=campaign, relay="relay-1", state="accepted", count=count)


def _page(alice: Persona, campaign: Campaign) -> str:
    return alice.client.get(reverse("campaign_progress", args=[campaign.uid])).content.decode()


@pytest.fixture
def rich(larkfield: Organization) -> Organization:
    Organization.objects.filter(pk=larkfield.pk).update(daily_allowance=5_000_000)
    larkfield.refresh_from_db()
    return larkfield


def _slowing(campaign: Campaign, to_do: int = 1000) -> list[str]:
    found = course.course(campaign, to_do)
    assert found is not None
    return [one.text for one in found.slowing]


def test_the_pace_is_that_of_the_last_minute(rich: Organization, alice: Persona) -> None:
    campaign = _campaign(rich, 5000)
    _sent(campaign, 600, over=30)
    found = course.course(campaign, 4400)
    assert found is not None
    assert found.per_minute == pytest.approx(600, rel=0.05)
    assert found.seconds_left == pytest.approx(440, rel=0.05)
    assert (found.place, found.sharing, found.slowing) == (0, 1, ())
    page = _page(alice, campaign)
    assert "a minute, both servers" in page
    assert "About 7 min left." in page
    assert "What slows it" not in page


def test_the_pace_of_a_fast_campaign_is_read_from_the_newest(
    rich: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "NEWEST", 500)
    campaign = _campaign(rich, 50_000)
    _sent(campaign, 3000, over=30)  # the newest 500 are of the last 5 seconds
    found = course.course(campaign, 47_000)
    assert found is not None
    assert found.per_minute == pytest.approx(6000, rel=0.1)


def test_the_pace_of_a_campaign_that_just_began(rich: Organization) -> None:
    campaign = _campaign(rich, 5000)
    campaign.started_at = clock.now() - timedelta(seconds=10)
    _sent(campaign, 100, over=10)
    found = course.course(campaign, 4900)
    assert found is not None
    assert found.per_minute == pytest.approx(600, rel=0.1)


def test_nothing_sent_lately_promises_no_end(rich: Organization, alice: Persona) -> None:
    campaign = _campaign(rich, 5000)
    _sent(campaign, 100, ago=180)
    found = course.course(campaign, 4900)
    assert found is not None
    assert (found.per_minute, found.seconds_left) == (0, None)
    assert "Nobody can say yet when it is through." in _page(alice, campaign)


def test_an_end_is_known_when_only_retries_are_left(rich: Organization) -> None:
    campaign = _campaign(rich, 10)
    delivery = Delivery.objects.create(
        campaign=campaign, organization=rich, seq=1, contact_id=1, address="a@b.example", address_hash=b"h"
    )
    due = clock.now() + timedelta(minutes=5)
    Retry.objects.create(
        delivery=delivery, campaign=campaign, organization=rich, relay="relay-1", attempt=2, first_at=due, due_at=due
    )
    found, more = course.course(campaign, 1), course.course(campaign, 2)
    assert found is not None
    assert more is not None
    assert found.seconds_left == pytest.approx(300, abs=5)
    assert more.seconds_left is None  # somebody else is left, and nothing was sent lately


def test_another_state_has_no_course(rich: Organization) -> None:
    campaign = _campaign(rich, 10)
    for state in ("planning", "paused", "sent", "stopped"):
        campaign.state = state
        assert course.course(campaign, 10) is None


def test_turns_with_others_are_told(rich: Organization, alice: Persona) -> None:
    campaign = _campaign(rich, 1000, chunk=500)
    for name in ("B", "C"):
        _campaign(make_organization(f"{name} Ltd", allowance=5000), 1000, chunk=500)
    for key in ("relay-1", "relay-2"):  # everybody has had a turn, this one most lately
        for organization in Organization.objects.exclude(pk=rich.pk).filter(name__endswith="Ltd"):
            _served(key, organization.pk)
        _served(key, rich.pk, 200)
    found = course.course(campaign, 1000)
    assert found is not None
    assert (found.place, found.sharing) == (2, 3)
    assert "Our servers take turns with 2 other organizations. 2 before yours." in _page(alice, campaign)


def _served(key: str, organization_id: int, people: int = 100) -> None:
    from campaigns.sending import turns

    turns.note_served(key, organization_id, people)


def test_an_allowance_that_ends_is_told(rich: Organization) -> None:
    Organization.objects.filter(pk=rich.pk).update(daily_allowance=1000)
    rich.refresh_from_db()
    campaign = _campaign(rich, 5000)
    _sent(campaign, 600)
    Usage.objects.create(organization=rich, day=clock.now().date(), count=600)
    found = course.course(campaign, 4400)
    assert found is not None
    (one,) = found.slowing
    assert one.text == "Your allowance has room for 400 more today; the rest goes on tomorrow"
    assert one.until is not None
    assert timedelta(0) < one.until - clock.now() <= timedelta(days=1)
    assert found.seconds_left is not None
    assert found.seconds_left > 3 * 86_400  # 4,000 more at 1,000 a day


def test_a_provider_that_asked_for_less_is_told(rich: Organization, alice: Persona) -> None:
    campaign = _campaign(rich, 1000)
    delivery = Delivery.objects.create(
        campaign=campaign, organization=rich, seq=1, contact_id=1, address="a@gmail.com", address_hash=b"h" * 32
    )
    Retry.objects.create(
        delivery=delivery,
        campaign=campaign,
        organization=rich,
        relay="relay-1",
        attempt=1,
        first_at=clock.now(),
        due_at=clock.now() + timedelta(hours=1),
    )
    tokens.back_off("gmail", rich.pk, "421 4.7.28 unusual rate")
    tokens.queue_up("outlook", rich.pk, 40)
    assert _slowing(campaign) == [
        "Gmail asked for less mail from you; its readers wait",
        "Outlook gets at most 20 a second; its readers wait their turn",
    ]
    page = _page(alice, campaign)
    assert "1 message waits for its time: the next" in page
    assert "Gmail asked for less mail from you" in page
    assert course.receiver_states(rich.pk) == {
        "Gmail": ("Slowed, asked by receiver", "warn"),
        "Outlook": ("In a queue", "info"),
    }
    tokens.back_off("gmail", make_organization("Other Ltd").pk, "421 4.7.28")
    assert len(_slowing(campaign)) == 2  # theirs is theirs
    Retry.objects.all().delete()
    assert _slowing(campaign) == []


def test_relays_that_are_away_and_limits_are_told(rich: Organization, settings: Any) -> None:
    campaign = _campaign(rich, 5000)
    _sent(campaign, 1800, over=58)
    relays.report_failure("relay-1", "connection refused")
    relays.hold("relay-2", actor=None, reason="maintenance", drain=True)
    settings.RELAYS = {key: replace(relay, rate=16.0) for key, relay in settings.RELAYS.items()}
    settings.PACE = {**settings.PACE, "organization": 30.0}
    assert _slowing(campaign) == [
        "Our server out1 does not take mail; it is asked again",
        "Our server out2 is paused by our staff; the other one does its work",
        "Our servers send at most 32 a second together",
        "One organization's mail goes at no more than 30 a second",
    ]
    relays.hold("relay-2", actor=None, reason="maintenance", drain=False)
    assert _slowing(campaign)[1] == "Our server out2 is paused by our staff; what was planned for it waits"


def test_very_many_that_wait_are_not_counted(rich: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "COUNTED", 3)
    campaign = _campaign(rich, 10)
    for number in range(5):
        delivery = Delivery.objects.create(
            campaign=campaign,
            organization=rich,
            seq=number + 1,
            contact_id=number,
            address="a@b.example",
            address_hash=b"h",
        )
        due = clock.now() + timedelta(minutes=number + 1)
        Retry.objects.create(
            delivery=delivery,
            campaign=campaign,
            organization=rich,
            relay="relay-1",
            attempt=2,
            first_at=due,
            due_at=due,
        )
    found = course.course(campaign, 10)
    assert found is not None
    assert (found.waiting.people, found.waiting.more, found.waiting.last) == (3, True, due)


def test_the_page_asks_as_much_for_many_as_for_few(rich: Organization, alice: Persona) -> None:
    """100,000 outcomes and 2,000 chunks of a million people: no more queries, no full count, well under 100 ms.

    The planner has never met either campaign, which is its worst case.
    """
    small, large = _campaign(rich, 20), _campaign(rich, 1_000_000)
    _sent(small, 10)
    _sent(large, 100_000, over=600)
    asked = {"HX-Request": "true"}
    counts, best = [], 9.9
    for campaign in (small, small, large):
        url = reverse("campaign_progress", args=[campaign.uid]) + "?seen=sending"
        with CaptureQueriesContext(connection) as queries:
            assert alice.client.get(url, headers=asked).status_code == 200
        counts.append(len(queries))
    assert counts[1] == counts[2]  # (the first one filled caches)
    for _ in range(5):
        begun = time.perf_counter()
        alice.client.get(url, headers=asked)
        best = min(best, time.perf_counter() - begun)
    assert best < 0.1, f"{1000 * best:.0f} ms"
