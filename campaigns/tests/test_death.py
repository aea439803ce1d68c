"""Deaths and takeovers: kill -9 at every step, stopped processes, lost journals, two takers at once."""

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
from django.db import connection, connections

from accounts.models import Organization
from campaigns.models import Chunk, Delivery, Outcome, Usage
from campaigns.sending import claim, deliver, journal, owners
from campaigns.sending.claim import Without
from campaigns.sending.owners import Owner
from campaigns.tests.lanes import close_breakers, make_due, planned, states, tallies, two_relays
from sendserver.testing.relay import Phase, ScriptedRelay, reply, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def pair(settings: Any, tmp_path: Path) -> Any:
    with two_relays(settings, tmp_path) as relays_:
        yield relays_


def _start(pair: tuple[ScriptedRelay, ScriptedRelay]) -> subprocess.Popen[str]:
    changes = {
        "database": connection.settings_dict["NAME"],
        "sending": live_settings.SENDING,
        "journal": str(live_settings.JOURNAL_DIR),
        "relays": [relay.url for relay in pair],
    }
    command = [sys.executable, "-m", "campaigns.tests.lane_process", "relay-1", json.dumps(changes)]
    return subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("phase", "in_doubt"), [(Phase.CONNECT, 0), (Phase.MAIL, 0), (Phase.RCPT, 0), (Phase.DATA, 0), (Phase.DOT, 4)]
)
def test_kill_nine_leaves_at_most_one_doubt_a_connection(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], phase: str, in_doubt: int
) -> None:
    campaign = planned(larkfield, 20)
    Chunk.objects.update(relay="relay-1")
    gate, reached = threading.Event(), threading.Event()
    # The first round passes, so that answered and recorded messages stand beside those on the wire.
    if phase == Phase.DOT:
        pair[0].on(phase, reply("250 2.0.0 Ok: queued as AAAA"), times=6)
    pair[0].on(phase, wait_for(gate, reached), when=lambda _: not gate.is_set())
    process = _start(pair)
    assert reached.wait(30)
    _until(lambda: pair[0].count(phase) >= 0 and _waiting(pair[0], phase) >= (4 if phase == Phase.DOT else 1))
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    gate.set()
    close_breakers()
    deliver.run_lane("relay-1")
    found = states(campaign)
    assert found.get("in_doubt", 0) == in_doubt
    assert found == tallies(campaign)
    assert found["accepted"] == 20 - in_doubt
    dots = Counter(line.recipient for line in pair[0].log if line.phase == Phase.DOT)
    assert max(dots.values()) == 1  # never twice
    assert set(dots) == set(Delivery.objects.values_list("address", flat=True))  # never lost
    assert Usage.objects.get().count == 20
    assert not list(Path(live_settings.JOURNAL_DIR).glob("*.journal"))


def _waiting(relay: ScriptedRelay, phase: str) -> int:
    """Return how many sessions sent their dot and were not answered (or simply reached the relay)."""
    if phase != Phase.DOT:
        return len(relay.sessions)
    return sum(bool(session.raw) and session.recipient != "" for session in relay.sessions)


def test_answers_in_the_journal_survive_the_death(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], settings: Any
) -> None:
    # The database is never asked to record anything: only the journal knows the six answers.
    settings.SENDING = {**settings.SENDING, "stop_poll_seconds": 30.0, "connections": 1}
    campaign = planned(larkfield, 10)
    Chunk.objects.update(relay="relay-1")
    gate, reached = threading.Event(), threading.Event()
    pair[0].on(Phase.DOT, reply("250 2.0.0 Ok: queued as AAAA"), times=6)
    pair[0].on(Phase.MAIL, wait_for(gate, reached), when=lambda s: len(pair[0].accepted) == 6)
    process = _start(pair)
    assert reached.wait(30)
    _until(lambda: _answers() == 6)  # the relay hears of the seventh together with the sixth message
    assert not Outcome.objects.exists()
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    gate.set()
    deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign) == {"accepted": 10}
    assert max(Counter(pair[0].recipients).values()) == 1
    assert Outcome.objects.filter(queue_id="AAAA").count() == 6


def _answers() -> int:
    files = Path(live_settings.JOURNAL_DIR).glob("*.journal")
    return sum(entry.result is not None for path in files for entry in journal.read(path))


def test_a_stopped_process_is_ended_before_its_work_is_taken(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = planned(larkfield, 10)
    gate, reached = threading.Event(), threading.Event()
    pair[0].on(Phase.RCPT, wait_for(gate, reached), when=lambda _: not gate.is_set())
    process = _start(pair)
    assert reached.wait(30)
    os.kill(process.pid, signal.SIGSTOP)
    assert deliver.run_lane("relay-1").busy  # it may only be slow
    monkeypatch.setattr(owners, "DEAF_SECONDS", 0.3)
    _until(lambda: deliver.LaneLock("relay-1").path.stat().st_mtime < __import__("time").time() - 0.4)
    gate.set()
    deliver.run_lane("relay-1")
    assert process.wait(10) == -signal.SIGKILL
    assert states(campaign) == {"accepted": 10}
    assert max(Counter(pair[0].recipients).values()) == 1


@pytest.mark.parametrize("change", ["host", "boot", "journal"])
def test_without_a_believable_journal_everything_unresolved_is_in_doubt(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], change: str
) -> None:
    campaign = planned(larkfield, 20)
    Chunk.objects.update(relay="relay-1")
    here = Owner.here()
    gone = Owner(
        "other-host" if change == "host" else here.host, "other-boot" if change == "boot" else here.boot, 999_999, "1"
    )
    held = claim.claim_chunk("relay-1", gone, Without())
    assert held is not None
    with connection.cursor() as cursor:
        cursor.execute("UPDATE campaigns_chunk SET lease_until = now() - interval '1 s' WHERE state = 'leased'")
    deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign) == {"accepted": 10, "in_doubt": 10}
    doubted = {item.address for item in held.items}
    assert doubted.isdisjoint(pair[0].recipients)


def test_a_lane_that_lost_its_chunk_settles_doubt_with_what_it_knows(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]
) -> None:
    from campaigns.sending.outcomes import State, result_of
    from campaigns.sending.record import flush
    from sendserver.lib import clock

    campaign = planned(larkfield, 10)
    held = claim.claim_chunk("relay-1", Owner("other-host", "b", 7, "1"), Without())
    assert held is not None
    with connection.cursor() as cursor:
        cursor.execute("UPDATE campaigns_chunk SET lease_until = now() - interval '1 s' WHERE state = 'leased'")
    deliver.run_lane("relay-1")
    assert states(campaign) == {"in_doubt": 10}
    late = [result_of(item, State.ACCEPTED, relay="relay-1", at=clock.now(), code=250) for item in held.items[:3]]
    assert flush(held, late) is False
    assert flush(held, late) is False  # told twice
    assert states(campaign) == tallies(campaign) == {"accepted": 3, "in_doubt": 7}


def test_two_takers_share_no_chunk(larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]) -> None:
    planned(larkfield, 200)
    Chunk.objects.update(relay="relay-1")
    taken: list[int] = []
    start = threading.Barrier(4)

    def take(number: int) -> None:
        start.wait(10)
        me, without = Owner("h", "b", number, "1"), Without()
        while (held := claim.claim_chunk("relay-1", me, without)) is not None:
            taken.extend(item.delivery_id for item in held.items)
        connections.close_all()

    threads = [threading.Thread(target=take, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(taken) == len(set(taken)) == 200


def test_doubt_is_resent_by_order_only(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], alice: Any
) -> None:
    from accounts.models import AuditEntry
    from campaigns.sending import resolve, sweep
    from sendserver.testing.relay import close

    campaign = planned(larkfield, 3)
    pair[0].on(Phase.DOT, close(), times=1)
    deliver.run_lane("relay-1")
    close_breakers()
    deliver.run_lane("relay-1")
    doubt = resolve.in_doubt(campaign).get()
    sweep.sweep()
    campaign.refresh_from_db()
    assert campaign.state == "sent"
    delivery = Delivery.objects.get(pk=doubt.delivery_id)
    resolve.resend(delivery, actor=alice.user, reason="The reader asked for it")
    with pytest.raises(resolve.NotInDoubtError):
        resolve.resend(delivery, actor=alice.user, reason="again")
    make_due()
    deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign) == {"accepted": 3}
    assert AuditEntry.objects.filter(action="delivery.resent", actor_uid=alice.user.uid).count() == 1


def _until(condition: Any, seconds: float = 60.0) -> None:
    import time

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
