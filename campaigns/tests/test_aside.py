"""Messages that end their process: the rest goes out, they are set aside, a person orders them back (row 34)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as live_settings
from django.db import connection
from django.urls import reverse

from accounts.models import AuditEntry, Organization
from campaigns import brakes
from campaigns.models import Brake, Campaign, CampaignState, Chunk, Delivery, Outcome, Retry, SetAside
from campaigns.sending import aside, deliver, sweep
from campaigns.sending.outcomes import State
from campaigns.tests.lanes import close_breakers, make_due, planned, states, tallies, two_relays
from sendserver.testing.relay import Phase, ScriptedRelay, reply, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
Pair = tuple[ScriptedRelay, ScriptedRelay]


@pytest.fixture
def pair(settings: Any, tmp_path: Path) -> Any:
    with two_relays(settings, tmp_path) as relays_:
        yield relays_


def _process(pair: Pair, *poison: str) -> subprocess.Popen[bytes]:
    changes = {
        "database": connection.settings_dict["NAME"],
        "sending": live_settings.SENDING,
        "journal": str(live_settings.JOURNAL_DIR),
        "relays": [relay.url for relay in pair],
        "poison": poison,
    }
    command = [sys.executable, "-m", "campaigns.tests.lane_process", "relay-1", json.dumps(changes)]
    return subprocess.Popen(command, cwd=ROOT, env=dict(os.environ))


def _run(pair: Pair, *poison: str) -> int:
    """Run a slice in a process of its own and return how that ended."""
    with _process(pair, *poison) as process:
        return process.wait(60)


def _at_relay_1(larkfield: Organization, people: int) -> Campaign:
    campaign = planned(larkfield, people)
    Chunk.objects.update(relay="relay-1")
    return campaign


def test_a_message_that_kills_its_worker_is_set_aside_and_all_others_go(larkfield: Organization, pair: Pair) -> None:
    campaign = _at_relay_1(larkfield, 40)
    poison = "reader14@crowd.example"
    endings = [_run(pair, poison) for _ in range(4)]
    assert endings == [-signal.SIGKILL] * 3 + [0]
    found = states(campaign)
    assert found == tallies(campaign)
    assert found["render_failed"] == 1
    # Only the first death found other messages on the wire: from then on it is tried alone.
    assert found.get("in_doubt", 0) <= live_settings.SENDING["connections"]
    assert found["accepted"] + found.get("in_doubt", 0) == 39
    row = SetAside.objects.get()
    assert (row.delivery.address, row.deaths, row.campaign) == (poison, 3, campaign)
    assert Outcome.objects.get(delivery_id=row.delivery_id).reply == aside.NOTE
    assert AuditEntry.objects.filter(action="delivery.set_aside", subject=f"campaign:{campaign.uid}").count() == 1
    dots = Counter(line.recipient for line in pair[0].log if line.phase == Phase.DOT)
    assert max(dots.values()) == 1
    assert set(dots) == set(Delivery.objects.exclude(address=poison).values_list("address", flat=True))
    assert _used(larkfield) == 39
    assert sweep.sweep() == 1  # nothing waits for it


def _used(organization: Organization) -> int:
    return sum(organization.usage.values_list("count", flat=True))


def test_the_others_do_not_wait_for_the_last_try(larkfield: Organization, pair: Pair) -> None:
    """The second death leaves one recipient suspect; in the next slice everybody else goes before it is tried."""
    _at_relay_1(larkfield, 40)
    poison = "reader0@crowd.example"
    for _ in range(2):
        assert _run(pair, poison) == -signal.SIGKILL
    deliver.recover("relay-1", deliver.Owner.here())
    suspect = Chunk.objects.get(deaths=2)
    assert suspect.first_seq == suspect.last_seq
    before = len(pair[0].accepted)
    assert _run(pair, poison) == -signal.SIGKILL
    assert len(pair[0].accepted) > before
    left = Delivery.objects.exclude(address__in=pair[0].recipients).exclude(
        pk__in=Outcome.objects.values("delivery_id")
    )
    assert list(left.values_list("address", flat=True)) == [poison]


def test_three_in_one_chunk_pause_the_campaign(larkfield: Organization, pair: Pair) -> None:
    campaign = _at_relay_1(larkfield, 10)
    poison = [f"reader{n}@crowd.example" for n in (2, 5, 8)]
    endings = [_run(pair, *poison) for _ in range(9)]
    assert endings.count(-signal.SIGKILL) == 7  # one among others, two alone for each
    found = states(campaign)
    assert found == tallies(campaign)
    assert found["render_failed"] == 3
    assert found["accepted"] + found.get("in_doubt", 0) == 7  # in doubt: on the wire at the first death
    brake = brakes.live(campaign=campaign).get()
    assert (brake.kind, brake.reason) == (Brake.Kind.RENDER, "3 messages ended our sending process.")


def test_a_person_orders_it_back(larkfield: Organization, pair: Pair, alice: Any) -> None:
    campaign = _at_relay_1(larkfield, 10)
    poison = "reader5@crowd.example"
    for _ in range(4):
        _run(pair, poison)
    sweep.sweep()
    row = SetAside.objects.get()
    aside.try_again(row, actor=alice.user, reason="The template was mended")
    with pytest.raises(aside.NotAsideError):
        aside.try_again(row, actor=alice.user, reason="again")
    assert aside.waiting(campaign) == 0
    assert _run(pair, poison) == -signal.SIGKILL  # still poison: one more death sets it aside again
    assert _run(pair, poison) == 0
    assert aside.waiting(campaign) == 1
    page = alice.client.get(reverse("campaign_progress", args=[campaign.uid])).content.decode()
    assert "1 of these is set aside." in page
    assert "One message set aside" in page
    assert not Retry.objects.exists()
    row.refresh_from_db()
    aside.try_again(row, actor=alice.user, reason="Now it is mended")
    make_due()
    deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign)
    assert Outcome.objects.filter(delivery_id=row.delivery_id).latest("pk").state == State.ACCEPTED
    assert Counter(pair[0].recipients)[poison] == 1
    assert AuditEntry.objects.filter(action="delivery.tried_again", actor_uid=alice.user.uid).count() == 2
    assert aside.waiting(campaign) == 0


def test_a_stopped_campaign_gets_no_more_tries(larkfield: Organization, pair: Pair, alice: Any) -> None:
    campaign = _at_relay_1(larkfield, 10)
    for _ in range(4):
        _run(pair, "reader5@crowd.example")
    Campaign.objects.filter(pk=campaign.pk).update(state=CampaignState.STOPPED)
    with pytest.raises(aside.NotAsideError):
        aside.try_again(SetAside.objects.get(), actor=alice.user, reason="once more")
    assert SetAside.objects.get().ordered_at is None


def test_a_retry_that_kills_its_worker_is_set_aside(larkfield: Organization, pair: Pair) -> None:
    campaign = _at_relay_1(larkfield, 10)
    pair[0].on(Phase.RCPT, reply("450 4.7.1 greylisted"), times=10)
    deliver.run_lane("relay-1")
    poison = "reader5@crowd.example"
    for expected in (-signal.SIGKILL, -signal.SIGKILL, -signal.SIGKILL, 0):
        deliver.recover("relay-1", deliver.Owner.here())
        make_due()
        assert _run(pair, poison) == expected
    found = states(campaign)
    assert found == tallies(campaign)
    assert found["render_failed"] == 1
    assert found["accepted"] + found.get("in_doubt", 0) == 9
    assert SetAside.objects.get().delivery.address == poison
    assert not Retry.objects.exists()


def test_orderly_endings_are_no_deaths(larkfield: Organization, pair: Pair) -> None:
    _at_relay_1(larkfield, 40)
    pair[0].delay = 0.05
    stop = threading.Event()
    pair[0].on(Phase.MAIL, reply("250 ok"), when=lambda _: len(pair[0].accepted) > 5 and bool(stop.set()))
    deliver.run_lane("relay-1", should_end=stop.is_set)  # told to end
    pair[0].on(Phase.MAIL, reply("421 4.3.2 going down"), times=1)
    deliver.run_lane("relay-1")  # the relay failed
    close_breakers()
    Organization.objects.filter(pk=larkfield.pk).update(daily_allowance=25)
    deliver.run_lane("relay-1")  # the allowance is used up
    assert _used(larkfield) == 25
    assert not Chunk.objects.exclude(deaths=0).exists()
    assert Chunk.objects.filter(state=Chunk.State.READY).exists()


def test_a_slice_that_only_failed_is_no_death(larkfield: Organization, pair: Pair, monkeypatch: Any) -> None:
    _at_relay_1(larkfield, 10)
    with monkeypatch.context() as broken:
        broken.setattr(deliver, "flush", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            deliver.run_lane("relay-1")
    deliver.run_lane("relay-1")
    assert not Chunk.objects.exclude(deaths=0).exists()


def test_a_kill_behind_the_dot_is_doubt_and_nobody_is_suspect(larkfield: Organization, pair: Pair) -> None:
    """Tried alone and killed with the message handed over: in doubt, as ever, and no lonely death."""
    campaign = _at_relay_1(larkfield, 10)
    assert _run(pair, "reader5@crowd.example") == -signal.SIGKILL
    gate, reached = threading.Event(), threading.Event()
    pair[0].on(Phase.DOT, wait_for(gate, reached), when=lambda _: not gate.is_set())
    with _process(pair) as process:
        assert reached.wait(30)
        process.kill()
    gate.set()
    before = states(campaign).get("in_doubt", 0)
    deliver.run_lane("relay-1")
    found = states(campaign)
    assert found["in_doubt"] == before + 1
    assert found["accepted"] == 10 - found["in_doubt"]
    assert not SetAside.objects.exists()
    assert set(Chunk.objects.values_list("deaths", flat=True)) == {1}
