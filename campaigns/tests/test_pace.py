"""Pace: buckets that lanes, hosts and restarts share, for a relay, a provider and an organization."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as live_settings
from django.db import connection, connections

from accounts.models import Organization
from campaigns.bounces import asks_to_slow_down
from campaigns.models import Campaign, Chunk, Delivery, Outcome, Pace, RelayState, Retry, Usage
from campaigns.providers import name_of, provider_of
from campaigns.sending import deliver, sweep, tokens
from campaigns.sending.outcomes import State
from campaigns.tests.lanes import close_breakers, make_due, planned, states, tallies, two_relays
from sendserver.lib import clock
from sendserver.testing.personas import make_organization
from sendserver.testing.relay import Phase, ScriptedRelay, reply

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
Pair = tuple[ScriptedRelay, ScriptedRelay]
NO_LIMIT = {"providers": {}, "domain": 0.0, "organization": 0.0}


@pytest.fixture
def pair(settings: Any, tmp_path: Path) -> Any:
    with two_relays(settings, tmp_path) as relays_:
        settings.PACE = dict(NO_LIMIT)
        yield relays_


def _at_relay_1(organization: Organization, people: int, gmail: int = 0, **options: Any) -> Campaign:
    """Return a campaign at relay-1 of which the first `gmail` people are at Gmail."""
    campaign = planned(organization, people, **options)
    Chunk.objects.filter(campaign=campaign).update(relay="relay-1")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE campaigns_delivery SET domain = 'gmail.com', address = replace(address, domain, 'gmail.com')"
            " WHERE campaign_id = %s AND seq <= %s",
            [campaign.pk, gmail],
        )
    return campaign


def _timed(key: str = "relay-1") -> float:
    begun = time.monotonic()
    deliver.run_lane(key)
    return time.monotonic() - begun


# --- The shared bucket


def test_a_bucket_gives_no_more_than_its_rate_to_all_together() -> None:
    got: list[int] = []
    end = time.monotonic() + 2.0

    def host() -> None:
        while time.monotonic() < end:
            got.append(tokens.take("relay:relay-1", 100.0, 50.0).tokens)
            time.sleep(0.02)
        connections.close_all()

    threads = [threading.Thread(target=host) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 250 <= sum(got) <= 100 + 100 * 2.3


def test_a_bucket_tells_when_there_is_more() -> None:
    assert tokens.take("provider:gmail", 2.0, 10.0) == (2, pytest.approx(0.5, abs=0.05))
    grant = tokens.take("provider:gmail", 2.0, 10.0)
    assert grant.tokens == 0
    assert 0 < grant.wait <= 0.5
    tokens.give_back("provider:gmail", 2)
    assert tokens.take("provider:gmail", 2.0, 1.0).tokens == 1


def test_a_clock_that_jumped_back_gives_nothing() -> None:
    tokens.take("x", 10.0, 10.0)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE campaigns_pace SET at = now() + interval '1 hour'")
    assert tokens.take("x", 10.0, 10.0).tokens == 0


def test_idle_buckets_are_forgotten(larkfield: Organization) -> None:
    for key in ("provider:gmail", "provider:gmx"):
        tokens.take(key, 10.0, 1.0)
    tokens.back_off("yahoo", larkfield.pk, "slow down")
    Pace.objects.exclude(key="provider:gmx").update(at=clock.now() - timedelta(days=8))
    sweep.sweep()
    assert set(Pace.objects.values_list("key", flat=True)) == {"provider:gmx", tokens.queue_key("yahoo", larkfield.pk)}


# --- A relay


def test_a_relays_pace_survives_a_restart(larkfield: Organization, pair: Pair, settings: Any) -> None:
    settings.RELAYS = {**settings.RELAYS, "relay-1": replace(settings.RELAYS["relay-1"], rate=20.0)}
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # the broker is away: pace does not need it
    campaign = _at_relay_1(larkfield, 40)
    assert _timed() >= 0.9  # a burst of 20, then 20 a second
    assert len(pair[0].accepted) == 40
    Campaign.objects.filter(pk=campaign.pk).update(state="sent")
    other = make_organization("Other Ltd", allowance=1000)
    _at_relay_1(other, 20)
    begun = pair[0].accepted[-1].at
    deliver.run_lane("relay-1")  # another process, or another host: the bucket is as it was left
    later = [message.at for message in pair[0].accepted[40:]]
    assert len(later) == 20
    assert later[-1] - begun >= 20 / 20.0 - 0.1


def test_an_unlimited_relay_asks_no_bucket(larkfield: Organization, pair: Pair) -> None:
    _at_relay_1(larkfield, 20)
    deliver.run_lane("relay-1")
    assert not Pace.objects.exists()


# --- A provider


def test_one_provider_waits_and_the_others_go_on(larkfield: Organization, pair: Pair, settings: Any) -> None:
    settings.PACE = {**NO_LIMIT, "providers": {"gmail": 10.0}}
    campaign = _at_relay_1(larkfield, 60, gmail=30)
    assert _timed() >= 1.8
    assert states(campaign) == tallies(campaign) == {"accepted": 60}
    taken = pair[0].accepted
    assert max(Counter(pair[0].recipients).values()) == 1
    gmail = sorted(message.at for message in taken if message.recipient.endswith("@gmail.com"))
    others = sorted(message.at for message in taken if message.recipient.endswith("@crowd.example"))
    assert gmail[-1] - gmail[0] >= 1.0  # a burst of 10, then 10 a second, which begins before the first is accepted
    assert others[-1] < gmail[-1] - 0.5
    assert not Retry.objects.exists()
    assert Usage.objects.get().count == 60
    assert set(Outcome.objects.values_list("attempt", flat=True)) == {1}  # waiting is no attempt
    assert sweep.sweep() == 1


def test_what_is_put_off_says_until_when_and_why(larkfield: Organization, pair: Pair, settings: Any) -> None:
    settings.PACE = {**NO_LIMIT, "providers": {"gmail": 0.1}}
    campaign = _at_relay_1(larkfield, 20, gmail=10)
    assert _timed() < 10
    assert states(campaign) == tallies(campaign) == {"accepted": 11, "planned": 9}
    rows = list(Retry.objects.order_by("due_at"))
    assert len(rows) == 9
    assert {row.reason for row in rows} == {"In the queue for Gmail"}
    gaps = [(b.due_at - a.due_at).total_seconds() for a, b in pairwise(rows)]
    assert all(gap == pytest.approx(10, abs=0.5) for gap in gaps)
    assert not Chunk.objects.exclude(state="done").exists()
    assert sweep.sweep() == 0  # the campaign is not over
    settings.PACE = dict(NO_LIMIT)
    make_due()
    deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign) == {"accepted": 20}


@pytest.mark.parametrize("answer", ["421 4.7.28 unusual rate of mail from your domain", "450 4.7.1 throttled, TSS04"])
def test_a_provider_that_asks_for_less_is_left_alone(
    larkfield: Organization, pair: Pair, settings: Any, answer: str
) -> None:
    campaign = _at_relay_1(larkfield, 40, gmail=15)
    pair[0].on(Phase.RCPT, reply(answer), when=lambda session: "@gmail.com" in session.commands[-1])
    deliver.run_lane("relay-1")
    found = states(campaign)
    assert found == tallies(campaign)
    assert found["accepted"] == 25
    assert found.get("deferred", 0) + found.get("planned", 0) == 15
    assert found["deferred"] <= 3 * live_settings.SENDING["connections"]  # those on their way; the rest was not tried
    assert RelayState.objects.get(key="relay-1").healthy  # nobody blames the relay
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(EXTRACT(EPOCH FROM due_at - now())), count(*) FROM campaigns_retry")
        soonest, count = cursor.fetchone()
    assert count == 15
    assert 3500 < soonest <= 3700
    row = Pace.objects.get(key=tokens.queue_key("gmail", larkfield.pk))
    assert row.is_paused
    assert row.step == 0  # many answers of one moment count once
    # Another organization's mail to the same provider goes on.
    pair[0].rules.clear()
    other = _at_relay_1(make_organization("Other Ltd", allowance=1000), 10, gmail=10)
    deliver.run_lane("relay-1")
    assert states(other) == {"accepted": 10}
    # Once the hour is over they are tried, each once.
    with connection.cursor() as cursor:
        cursor.execute("UPDATE campaigns_pace SET paused_until = now() - interval '1 second'")
    make_due()
    deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign) == {"accepted": 40}
    dots = Counter(m.message_id for m in pair[0].accepted)
    assert max(dots.values()) == 1


def test_backing_off_grows_and_is_forgotten(larkfield: Organization) -> None:
    waits = []
    for ago in ("1 second", "1 second", "1 second", "2 days"):
        waits.append(tokens.back_off("gmail", larkfield.pk, "slow down"))
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE campaigns_pace SET paused_until = now() - interval '{ago}'")
    waits.append(tokens.back_off("gmail", larkfield.pk, "slow down"))
    assert waits == pytest.approx([3600, 7200, 14_400, 14_400, 3600], abs=2)


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (421, "4.7.28 Our system has detected an unusual rate of unsolicited mail", True),
        (421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", True),
        (451, "4.7.650 The mail server has been temporarily rate limited due to IP reputation", True),
        (450, "4.7.1 greylisted, reputation unknown", False),
        (421, "4.7.0 later", False),
        (421, "4.3.2 closing", False),
        (550, "5.7.1 reputation", False),
    ],
)
def test_who_asks_for_less(code: int, text: str, *, expected: bool) -> None:
    assert asks_to_slow_down(code, text.split()[0], text) is expected


def test_providers_are_known_by_domain() -> None:
    assert [provider_of(one) for one in ("gmail.com", "Googlemail.com", "web.de", "larkfield.example")] == [
        *("gmail", "gmail", "gmx"),
        "larkfield.example",
    ]
    assert (name_of("gmx"), name_of("larkfield.example")) == ("GMX and Web.de", "larkfield.example")


def test_the_allowance_counts_who_is_put_off(larkfield: Organization, pair: Pair, settings: Any) -> None:
    settings.PACE = {**NO_LIMIT, "providers": {"gmail": 5.0}}
    campaign = _at_relay_1(larkfield, 40, gmail=40, allowance=25)
    for _ in range(3):
        make_due()
        deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign) == {"accepted": 25, "planned": 15}
    assert Usage.objects.get().count == 25


def test_a_kill_while_people_are_put_off_loses_and_doubles_nobody(
    larkfield: Organization, pair: Pair, settings: Any
) -> None:
    settings.PACE = {**NO_LIMIT, "providers": {"gmail": 30.0}}
    pair[0].delay = 0.005
    campaign = _at_relay_1(larkfield, 120, gmail=80)
    changes = {
        "database": connection.settings_dict["NAME"],
        "sending": live_settings.SENDING,
        "pace": live_settings.PACE,
        "journal": str(live_settings.JOURNAL_DIR),
        "relays": [relay.url for relay in pair],
    }
    command = [sys.executable, "-m", "campaigns.tests.lane_process", "relay-1", json.dumps(changes)]
    for more in (30, 60):
        with subprocess.Popen(command, cwd=ROOT, env=dict(os.environ)) as process:
            end = time.monotonic() + 60
            while len(pair[0].accepted) < more and process.poll() is None and time.monotonic() < end:
                time.sleep(0.005)
            process.kill()
    for _ in range(4):
        close_breakers()
        make_due()
        deliver.run_lane("relay-1")
    found = states(campaign)
    assert found == tallies(campaign)
    assert found["accepted"] + found.get("in_doubt", 0) == 120
    assert max(Counter(pair[0].recipients).values()) == 1
    accepted = Outcome.objects.filter(state=State.ACCEPTED).values("delivery_id")
    assert set(Delivery.objects.filter(pk__in=accepted).values_list("address", flat=True)) <= set(pair[0].recipients)
    assert Usage.objects.get().count == 120


# --- An organization


def test_an_organizations_pace_holds_it_alone(larkfield: Organization, pair: Pair, settings: Any) -> None:
    settings.PACE = {**NO_LIMIT, "organization": 20.0}
    slow = _at_relay_1(larkfield, 60)
    quick = _at_relay_1(make_organization("Other Ltd", allowance=1000), 15)
    assert _timed() >= 1.8  # 20 at once, 40 more at 20 a second
    assert states(slow) == {"accepted": 60}
    assert states(quick) == {"accepted": 15}
    at = {message.message_id: message.at for message in pair[0].accepted}
    assert len(at) == 75


def test_both_lanes_share_a_providers_pace(larkfield: Organization, pair: Pair, settings: Any) -> None:
    settings.PACE = {**NO_LIMIT, "providers": {"gmail": 20.0}}
    campaign = _at_relay_1(larkfield, 60, gmail=60)
    Chunk.objects.filter(first_seq__gt=30).update(relay="relay-2")

    def lane(key: str) -> None:
        deliver.run_lane(key)
        connections.close_all()

    threads = [threading.Thread(target=lane, args=(key,)) for key in ("relay-1", "relay-2")]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begun >= 1.8  # 20 at once, 40 more at 20 a second, both lanes together
    assert states(campaign) == tallies(campaign) == {"accepted": 60}
    assert len(pair[0].accepted) >= 10
    assert len(pair[1].accepted) >= 10
    assert max(Counter(pair[0].recipients + pair[1].recipients).values()) == 1
