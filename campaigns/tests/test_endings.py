"""Ends and edges of a slice: SIGTERM, surprises, torn journals, retries of the other relay, books that are closed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from celery import Celery
from django.conf import settings as live_settings
from django.db import OperationalError, connection, connections

from accounts.models import Organization
from campaigns.events import EventData, record_event
from campaigns.inbound import process as inbound
from campaigns.models import (
    Campaign,
    CampaignState,
    Chunk,
    Delivery,
    EventKind,
    InboundMail,
    Outcome,
    RelayState,
    Retry,
    SystemMail,
    Usage,
)
from campaigns.sending import (
    claim,
    deliver,
    journal,
    mime,
    owners,
    recover,
    relays,
    resolve,
    slices,
    sweep,
    system_lane,
)
from campaigns.sending.claim import Without
from campaigns.sending.outcomes import State, result_of
from campaigns.sending.owners import Owner
from campaigns.sending.record import flush
from campaigns.tests.lanes import close_breakers, make_due, planned, run_both, states, tallies, two_relays
from compliance.suppression import suppress
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey
from sendserver.lib.relays import RelayConfig
from sendserver.testing.relay import Phase, ScriptedRelay, close, reply, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
Pair = tuple[ScriptedRelay, ScriptedRelay]


@pytest.fixture
def pair(settings: Any, tmp_path: Path) -> Any:
    with two_relays(settings, tmp_path) as relays_:
        yield relays_


def _worker(pair: Pair, var: Path, broker: str) -> subprocess.Popen[bytes]:
    """Start a real worker of relay-1, as the launcher does."""
    url = urlsplit(os.environ["DATABASE_URL"])
    environment = {
        **os.environ,
        "DATABASE_URL": urlunsplit(url._replace(path=f"/{connection.settings_dict['NAME']}")),
        "REDIS_URL": broker,
        "VAR_DIR": str(var),
        "RELAY_1_URL": pair[0].url,
        "RELAY_2_URL": pair[1].url,
        "SENDING_CONNECTIONS": "4",
        "DEBUG": "off",
    }
    command = [sys.executable, "-m", "sendserver.lane", "relay-1"]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


@pytest.mark.slow
def test_sigterm_ends_a_workers_slice_with_nothing_in_doubt(
    larkfield: Organization, pair: Pair, tmp_path: Path
) -> None:
    pair[0].delay = 0.05
    campaign = planned(larkfield, 2000)
    Chunk.objects.update(relay="relay-1")
    broker = urlunsplit(urlsplit(live_settings.REDIS_URL)._replace(path="/11"))
    process = _worker(pair, tmp_path, broker)
    pokes = Celery(broker=broker, set_as_current=False)
    pokes.conf.broker_transport_options = live_settings.CELERY_BROKER_TRANSPORT_OPTIONS
    try:
        pokes.send_task("campaigns.run_lane", ["relay-1"], queue="relay-1", ignore_result=True)
        _until(lambda: len(pair[0].accepted) > 20, 60)
        process.terminate()
        assert process.wait(10) == 0  # the slice would last 50 seconds, the launcher's patience 25
    finally:
        process.kill()
        process.wait()
    sent = len(pair[0].accepted)
    assert sent < 2000
    assert states(campaign) == tallies(campaign) == {"accepted": sent, "planned": 2000 - sent}
    assert not Chunk.objects.filter(state=Chunk.State.LEASED).exists()
    assert not list(tmp_path.rglob("*.journal"))


def test_a_message_taken_earlier_does_not_close_the_breaker(larkfield: Organization, pair: Pair) -> None:
    planned(larkfield, 30)
    gate, reached = threading.Event(), threading.Event()
    pair[0].on(Phase.DOT, wait_for(gate, reached), times=1)
    pair[0].on(Phase.MAIL, reply("421 4.3.2 going down"), when=lambda _: len(pair[0].accepted) >= 3)
    thread = _in_thread(deliver.run_lane, "relay-1")
    _until(lambda: RelayState.objects.filter(key="relay-1", healthy=False).exists())
    time.sleep(0.8)  # the watch looks several times while one answer is still awaited
    gate.set()
    thread.join(20)
    assert not relays.is_open("relay-1")


def test_a_retry_belongs_to_the_lane_that_took_it(larkfield: Organization, pair: Pair) -> None:
    """A live worker of one relay is not ended because the other relay's lane finds an old lease of it."""
    planned(larkfield, 4)
    pair[0].on(Phase.RCPT, reply("450 4.7.1 greylisted"))
    deliver.run_lane("relay-1")
    relays.report_failure("relay-1", "away")
    make_due()
    with subprocess.Popen(["sleep", "60"]) as other:
        me = Owner.here()
        started = owners._start_of(other.pid)
        assert started is not None
        assert claim.claim_retries("relay-2", Owner(me.host, me.boot, other.pid, started), Without())
        assert set(Retry.objects.values_list("relay", flat=True)) == {"relay-2"}
        with connection.cursor() as cursor:
            cursor.execute("UPDATE campaigns_retry SET lease_until = now() - interval '1 second'")
        recover.recover("relay-1", me)
        assert other.poll() is None
        other.kill()


def test_a_retry_over_the_other_relay_keeps_each_relays_count(larkfield: Organization, pair: Pair) -> None:
    campaign = planned(larkfield, 4)
    pair[0].on(Phase.RCPT, reply("450 4.7.1 greylisted"))
    deliver.run_lane("relay-1")
    relays.report_failure("relay-1", "away")
    make_due()
    deliver.run_lane("relay-2")
    assert states(campaign) == tallies(campaign) == {"accepted": 4}
    assert not campaign.tallies.exclude(count=0).exclude(relay="relay-2").exists()


def test_an_entry_behind_a_torn_one_is_not_lost(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.JOURNAL_DIR = tmp_path
    book = journal.Journal("relay-1", Owner.here())
    book.started(1, 1)
    whole = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, data: whole(file, data[: len(data) // 2]))
        with pytest.raises(OSError, match="not written whole"):
            book.started(2, 1)
    book.started(3, 1)
    book.close(keep=True)
    assert [entry.delivery_id for entry in journal.read(book.path)] == [1, 3]


def test_stopping_closes_every_book(larkfield: Organization, pair: Pair) -> None:
    campaign = planned(larkfield, 30)
    pair[0].on(Phase.RCPT, reply("450 4.7.1 greylisted"), times=3)
    deliver.run_lane("relay-1")
    make_due()
    held = claim.claim_retries("relay-1", Owner.here(), Without())
    assert held is not None
    Campaign.objects.filter(pk=campaign.pk).update(state=CampaignState.STOPPED)
    sweep.sweep()
    late = [result_of(held.items[0], State.ACCEPTED, relay="relay-1", at=clock.now(), code=250)]
    flush(held, late, released=True)
    sweep.sweep()
    sweep.sweep()
    assert states(campaign) == tallies(campaign) == {"accepted": 18, "cancelled": 12}
    assert all(count >= 0 for count in campaign.tallies.values_list("count", flat=True))
    assert not Retry.objects.exists()
    assert not Chunk.objects.exclude(state=Chunk.State.DONE).exists()  # nothing that a lane would look at for ever


def test_proof_of_arrival_takes_back_the_order_to_resend(larkfield: Organization, pair: Pair, alice: Any) -> None:
    campaign = planned(larkfield, 3)
    pair[0].on(Phase.DOT, close(), times=1)
    deliver.run_lane("relay-1")
    close_breakers()
    deliver.run_lane("relay-1")
    delivery = Delivery.objects.get(pk=resolve.in_doubt(campaign).get().delivery_id)
    resolve.resend(delivery, actor=alice.user, reason="Asked for")
    record_event(EventData(EventKind.AUTORESPONDED, "reply", f"auto:{delivery.pk}", at=clock.now(), delivery=delivery))
    assert not Retry.objects.exists()
    assert states(campaign) == tallies(campaign) == {"accepted": 3}


def test_a_journal_that_comes_late_still_ends_doubt(larkfield: Organization, pair: Pair) -> None:
    """The database was away for long, and another host has called everything in doubt before we could record."""
    campaign = planned(larkfield, 10)
    gone = Owner(Owner.here().host, Owner.here().boot, 999_999, "1")
    held = claim.claim_chunk("relay-1", gone, Without())
    assert held is not None
    book = journal.Journal("relay-1", gone)
    for item in held.items[:4]:
        book.started(item.delivery_id, 1)
        answer = result_of(item, State.ACCEPTED, relay="relay-1", at=clock.now(), code=250, queue_id="LATE")
        book.answered(item.delivery_id, 1, answer.to_json())
    book.close(keep=True)
    recover._take_over("relay-1", gone, None)
    assert states(campaign) == {"in_doubt": 10}
    deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign) == {"accepted": 4, "in_doubt": 6}
    assert not pair[0].accepted


def test_waiting_for_ever_is_no_answer_for_our_own_mail(pair: Pair) -> None:
    fresh, old = (_system_mail(f"{name}@full.example") for name in ("fresh", "old"))
    SystemMail.objects.filter(pk=old.pk).update(created_at=clock.now() - timedelta(days=3))
    pair[0].on(Phase.RCPT, reply("452 4.2.2 mailbox full"))
    deliver.run_lane("relay-1")
    fresh.refresh_from_db()
    old.refresh_from_db()
    assert (fresh.state, old.state) == (SystemMail.State.QUEUED, SystemMail.State.FAILED)


def test_one_unsendable_letter_of_ours_holds_up_no_other(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ada", "bert", "cleo"):
        _system_mail(f"{name}@inbox.example")
    sign = system_lane.signed

    def signed(mail: SystemMail) -> bytes:
        if mail.recipient.startswith("ada"):
            raise RuntimeError("no key")
        return sign(mail)

    monkeypatch.setattr(system_lane, "signed", signed)
    deliver.run_lane("relay-1")
    assert sorted(pair[0].recipients) == ["bert@inbox.example", "cleo@inbox.example"]
    assert SystemMail.objects.get(recipient="ada@inbox.example").state == SystemMail.State.QUEUED


def test_somebody_who_has_to_wait_counts_once(larkfield: Organization, pair: Pair) -> None:
    """Greylisting does not make the day's allowance larger."""
    campaign = planned(larkfield, 40, allowance=10)
    for relay in pair:
        relay.on(Phase.RCPT, reply("450 4.7.1 greylisted"), times=10)
    run_both()
    run_both()
    assert states(campaign) == {"deferred": 10, "planned": 30}
    make_due()
    run_both()
    assert states(campaign) == tallies(campaign) == {"accepted": 10, "planned": 30}
    assert Usage.objects.get().count == 10


def test_who_unsubscribes_while_the_relays_pace_is_awaited_gets_nothing(
    larkfield: Organization, pair: Pair, settings: Any
) -> None:
    slow = RelayConfig.from_url(1, f"{pair[0].url}{'&' if '?' in pair[0].url else '?'}rate=0.5")
    settings.RELAYS = {**settings.RELAYS, "relay-1": slow}
    settings.SENDING = {**settings.SENDING, "connections": 3, "slice_seconds": 6}
    campaign = planned(larkfield, 3)
    last = Delivery.objects.get(campaign=campaign, seq=3)  # its turn comes after four seconds
    thread = _in_thread(deliver.run_lane, "relay-1")
    _until(lambda: len(pair[0].accepted) == 1)
    suppress(AddressKey(last.address), organization=larkfield, reason="unsubscribe", source="one_click")
    thread.join(30)
    assert last.address not in pair[0].recipients
    assert states(campaign) == tallies(campaign) == {"accepted": 2, "suppressed": 1}


def test_a_database_in_trouble_does_not_make_mail_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    mail = InboundMail.objects.create(received_at=clock.now(), rcpt_to="x@y.example", peer="", raw=b"x", sha256=b"x")

    def deadlock(_: InboundMail) -> None:
        raise OperationalError("deadlock detected")

    monkeypatch.setattr(inbound, "process", deadlock)
    with pytest.raises(OperationalError):
        inbound.process_waiting()
    mail.refresh_from_db()
    assert mail.processed_at is None


def test_one_poisoned_message_fails_alone(larkfield: Organization, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = planned(larkfield, 10)
    poisoned = Delivery.objects.get(seq=4).pk
    write = mime.write_all

    def poison(letter: mime.Letter, recipients: Sequence[mime.Addressed]) -> list[mime.Written]:
        if any(one.delivery_id == poisoned for one in recipients):
            raise KeyError("surprise")
        return write(letter, recipients)

    monkeypatch.setattr(mime, "write_all", poison)
    deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign) == {"accepted": 9, "render_failed": 1}
    assert Outcome.objects.get(state=State.RENDER_FAILED).reply == "KeyError"


def test_who_slept_past_the_lease_sends_no_dot(
    larkfield: Organization, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between RCPT and the dot, woken when the lease is over: a person may have ordered it again by then."""
    campaign = planned(larkfield, 10)
    gate, reached = threading.Event(), threading.Event()
    pair[0].on(Phase.DATA, wait_for(gate, reached), when=lambda _: not gate.is_set())
    thread = _in_thread(_swallow, deliver.run_lane, "relay-1")
    assert reached.wait(10)
    with connection.cursor() as cursor:  # another host takes it over: without our journal all of it is in doubt
        cursor.execute("UPDATE campaigns_chunk SET lease_until = now() - interval '1 s' WHERE state = 'leased'")
    recover._take_over("relay-1", Owner.here(), None)
    awake = time.monotonic
    monkeypatch.setattr(deliver.time, "monotonic", lambda: awake() + 3600)
    gate.set()
    thread.join(30)
    assert not pair[0].accepted
    assert states(campaign) == tallies(campaign) == {"in_doubt": 10}


def _swallow(work: Any, *arguments: Any) -> None:
    try:
        work(*arguments)
    except RuntimeError:
        return


def _system_mail(recipient: str) -> SystemMail:
    return SystemMail.objects.create(
        recipient=recipient,
        sender="hello@mail.example",
        message=b"From: hello@mail.example\r\nSubject: Code\r\n\r\n123\r\n",
        relay="relay-1",
        due_at=clock.now() - timedelta(seconds=1),
    )


def _in_thread(work: Any, *arguments: Any) -> threading.Thread:
    def run() -> None:
        try:
            work(*arguments)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def _until(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.mark.parametrize("by", ["the watch", "a connection"])
def test_a_commit_whose_answer_is_lost_is_not_written_twice(
    larkfield: Organization, pair: Pair, settings: Any, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """The database has committed, its connection drops before we hear of it."""
    settings.SENDING = {**settings.SENDING, "stop_poll_seconds": 0.1 if by == "the watch" else 30.0}
    monkeypatch.setattr(deliver, "FLUSH_SECONDS", 0.1)
    pair[0].delay = 0.05
    campaign = planned(larkfield, 20)
    Chunk.objects.update(relay="relay-1")
    lost: list[int] = []

    def drops(held: claim.Claim, results: Any, **options: Any) -> bool:
        mine = flush(held, results, **options)
        if (results or options["taken"]) and not lost:
            lost.append(1)
            raise OperationalError("server closed the connection unexpectedly")
        return mine

    monkeypatch.setattr(deliver, "flush", drops)
    with pytest.raises((OperationalError, slices.UnsureError)):
        deliver.run_lane("relay-1")
    for _ in range(2):
        deliver.run_lane("relay-1")
    assert lost
    assert states(campaign) == tallies(campaign) == {"accepted": 20}
    assert Outcome.objects.count() == Usage.objects.get().count == 20
    assert len(pair[0].recipients) == 20
