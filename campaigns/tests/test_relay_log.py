"""Doubt and a relay's log: taken is settled with its line, absent is said and no more, a gap proves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from accounts.models import AuditEntry, Organization
from campaigns import brakes, breakdown
from campaigns.inbound.addresses import Links
from campaigns.models import Brake, Campaign, Chunk, Delivery, Outcome, RelayLog, RelayTrace, Retry
from campaigns.sending import deliver, relay_log
from campaigns.tests.lanes import close_breakers, planned, run_both, states, tallies, two_relays
from sendserver.lib import clock
from sendserver.testing.maillog import MailLog
from sendserver.testing.relay import Phase, ScriptedRelay, close

pytestmark = pytest.mark.django_db(transaction=True)


class Stage:
    """A campaign of 20 all over relay-1, whose log is ours to write."""

    def __init__(self, relay: ScriptedRelay, log: MailLog) -> None:
        self.relay, self.log = relay, log
        self.campaign: Campaign = None  # type: ignore[assignment]

    def doubt(self, count: int) -> list[Delivery]:
        """Bring `count` deliveries into doubt."""
        for _ in range(count):
            self.relay.on(Phase.DOT, close(), times=1)
            close_breakers()
            deliver.run_lane("relay-1")
        pks = Outcome.objects.filter(state="in_doubt").order_by("pk").values_list("delivery_id", flat=True)
        return [Delivery.objects.get(pk=pk) for pk in pks]

    def tell(self, delivery: Delivery, queue_id: str, *, taken: bool = True) -> None:
        """Let the relay's log show a delivery."""
        self.log.headers(queue_id, Links.of(delivery.pk).message_id)
        if taken:
            self.log.active(queue_id, f"b.{Links.of(delivery.pk).token}@news.example")


@pytest.fixture
def stage(settings, tmp_path: Path, larkfield: Organization) -> Iterator[Stage]:
    with two_relays(settings, tmp_path) as (one, _):
        log = MailLog(tmp_path / "mail.log")
        settings.SENDING["connections"] = 1
        settings.RELAYS["relay-1"] = replace(settings.RELAYS["relay-1"], log_file=str(log.path))
        here = Stage(one, log)
        here.campaign = planned(larkfield, 20)
        Chunk.objects.update(relay="relay-1")
        yield here


def _last(delivery: Delivery) -> Outcome:
    return Outcome.objects.filter(delivery_id=delivery.pk).order_by("-pk")[0]


def test_taken_by_the_log_is_accepted_with_the_line_as_evidence(stage: Stage) -> None:
    one, other = stage.doubt(2)
    stage.tell(one, "4XyZ9k1QbLz2mC")
    stage.tell(other, "4XyZ9k1QbLz2mD", taken=False)
    assert relay_log.read_logs() == 1
    found = _last(one)
    assert (found.state, found.queue_id, found.relay) == ("accepted", "4XyZ9k1QbLz2mC", "relay-1")
    assert found.reply.startswith("In the relay's log: ")
    assert "(queue active)" in found.reply
    assert _last(other).state == "in_doubt"
    assert tallies(stage.campaign) == states(stage.campaign)
    entry = AuditEntry.objects.get(action="delivery.settled_from_log")
    assert (entry.actor_uid, entry.detail) == (None, {"relay": "relay-1", "deliveries": [one.pk]})
    assert relay_log.read_logs() == 0


def test_the_envelope_names_a_message_whose_own_line_was_lost(stage: Stage) -> None:
    (doubted,) = stage.doubt(1)
    stage.log.active("A1B2C3D4", f"b.{Links.of(doubted.pk).token}@news.example")
    assert relay_log.read_logs() == 1
    assert _last(doubted).queue_id == "A1B2C3D4"


def test_an_envelope_that_names_another_message_begins_another_life(stage: Stage) -> None:
    one, other = stage.doubt(2)
    stage.tell(one, "A1B2C3D4", taken=False)
    stage.log.active("A1B2C3D4", f"b.{Links.of(other.pk).token}@news.example")
    assert relay_log.read_logs() == 1
    assert (_last(one).state, _last(other).state) == ("in_doubt", "accepted")


def test_the_log_may_know_before_there_is_doubt(stage: Stage) -> None:
    stage.relay.on(Phase.DOT, close(), times=1)
    first = Delivery.objects.order_by("seq")[0]
    stage.tell(first, "A1B2C3D4")
    relay_log.read_logs()
    assert RelayTrace.objects.get().taken_at is not None
    (doubted,) = stage.doubt(1)
    assert doubted == first
    assert relay_log.read_logs() == 1


def test_absent_from_a_whole_log_is_said_and_nothing_is_sent(stage: Stage) -> None:
    (doubted,) = stage.doubt(1)
    stage.log.later(30)
    relay_log.read_logs()
    assert not _last(doubted).reply.startswith(relay_log.ABSENT)  # not well behind it yet
    stage.log.later(relay_log.MARGIN_SECONDS + 5)
    assert relay_log.read_logs() == 0
    found = _last(doubted)
    assert (found.state, found.attempt) == ("in_doubt", 1)
    assert found.reply.startswith(relay_log.ABSENT)
    assert not Retry.objects.exists()
    assert tallies(stage.campaign) == states(stage.campaign)
    relay_log.read_logs()
    assert Outcome.objects.filter(delivery_id=doubted.pk, state="in_doubt").count() == 2  # said once
    stage.tell(doubted, "A1B2C3D4")  # a log that speaks late is heard all the same
    assert relay_log.read_logs() == 1


@pytest.mark.parametrize("trouble", ["begun later", "lines lost", "cut off", "down", "just started"])
def test_a_log_with_a_gap_proves_nothing(stage: Stage, trouble: str) -> None:
    (doubted,) = stage.doubt(1)
    if trouble == "begun later":
        stage.log.path.write_text("")
    elif trouble == "lines lost":
        stage.log.write("cleanup", "x")
        with stage.log.path.open("a") as file:
            file.write("Nov 23 10:00:00 out1 rsyslogd: imuxsock lost 200 messages from pid 7\n")
    elif trouble == "cut off":
        relay_log.read_logs()
        stage.log.path.write_text("")
    elif trouble == "down":
        stage.log.write("master", "terminating on signal 15")
    if trouble == "just started":
        stage.log.ahead = timedelta(seconds=relay_log.MARGIN_SECONDS)
        stage.log.write("master", "daemon started -- version 3.7.11, configuration /etc/postfix")
    stage.log.later(relay_log.MARGIN_SECONDS + 5)
    stage.log.later(relay_log.MARGIN_SECONDS + 6)
    relay_log.read_logs()
    assert not _last(doubted).reply.startswith(relay_log.ABSENT)


def test_a_trace_older_than_the_plan_is_of_another_message(stage: Stage) -> None:
    (doubted,) = stage.doubt(1)
    stage.log.ahead = -timedelta(minutes=5)
    stage.tell(doubted, "A1B2C3D4")
    assert relay_log.read_logs() == 0
    assert _last(doubted).state == "in_doubt"


def test_a_log_that_is_away_is_said(stage: Stage) -> None:
    stage.log.path.unlink()
    relay_log.read_logs()
    assert "cannot be read" in RelayLog.objects.get(key="relay-1").trouble
    stage.log.later(0)
    relay_log.read_logs()
    assert RelayLog.objects.get(key="relay-1").trouble == ""


def test_taken_by_the_receiver_only_with_a_line_that_says_sent(stage: Stage) -> None:
    one, other = stage.doubt(2)
    for delivery, queue_id in ((one, "A1B2C3D4"), (other, "A1B2C3D5")):
        stage.tell(delivery, queue_id)
    relay_log.read_logs()
    assert relay_log.taken_by_receivers([one.pk, other.pk]) == {}
    stage.log.sent("A1B2C3D4", one.address)
    relay_log.read_logs()
    assert list(relay_log.taken_by_receivers([one.pk, other.pk])) == [one.pk]
    assert breakdown.known(stage.campaign).taken == 1
    RelayTrace.objects.update(taken_at=stage.campaign.planned_at - timedelta(minutes=1))
    assert breakdown.known(stage.campaign).taken is None  # of another message that had the number


def test_what_a_restored_database_forgot_is_written_down_before_anything_leaves(stage: Stage) -> None:
    forgotten = list(Delivery.objects.order_by("seq")[:7])
    for number, delivery in enumerate(forgotten):
        stage.tell(delivery, f"A1B2C3D{number}")
    relay_log.read_logs()
    assert states(stage.campaign) == {"planned": 20}  # without a brake a lane may be about to write them itself
    brake = brakes.set_brake(Brake.Kind.EPOCH, "restored")
    assert relay_log.is_caught_up(brake.set_at) is False
    assert relay_log.read_logs() == 7
    assert relay_log.is_caught_up(brake.set_at) is True
    assert states(stage.campaign) == tallies(stage.campaign) == {"planned": 13, "accepted": 7}
    run_both()
    assert stage.relay.accepted == []
    brakes.lift(brake, actor=None, reason="looked")
    run_both()
    assert len(stage.relay.accepted) == 13
    assert not {delivery.address for delivery in forgotten} & set(stage.relay.recipients)
    assert states(stage.campaign) == tallies(stage.campaign) == {"accepted": 20}


def test_what_a_lane_holds_is_its_own_to_write(stage: Stage) -> None:
    first = Delivery.objects.order_by("seq")[0]
    stage.tell(first, "A1B2C3D4")
    Chunk.objects.update(state="leased", lease_until=clock.now() + timedelta(minutes=5))
    brakes.set_brake(Brake.Kind.EPOCH, "restored")
    assert relay_log.read_logs() == 0
    Chunk.objects.update(state="ready", lease_until=None)
    assert relay_log.read_logs() == 1


def test_a_forgotten_try_again_is_not_tried_again(stage: Stage) -> None:
    stage.relay.on(Phase.RCPT, _later, times=1)
    deliver.run_lane("relay-1")
    retry = Retry.objects.get()
    stage.tell(retry.delivery, "A1B2C3D4")
    brakes.set_brake(Brake.Kind.EPOCH, "restored")
    assert relay_log.read_logs() == 1
    assert not Retry.objects.exists()
    assert states(stage.campaign) == tallies(stage.campaign) == {"accepted": 20}


async def _later(_: object) -> str:
    return "450 4.7.1 later"
