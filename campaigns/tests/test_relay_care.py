"""Relays looked after: drain and pause, NOOP before work comes back, a self-test that gates campaigns."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from accounts.models import Organization
from campaigns.inbound import addresses, process
from campaigns.models import InboundMail, RelayProbe, RelayState, SystemMail
from campaigns.sending import care, deliver, relays, selftest
from campaigns.tests.lanes import planned, run_both, states, two_relays
from sendserver.lib import clock
from sendserver.testing.relay import Phase, ScriptedRelay, close, hang, reply

pytestmark = pytest.mark.django_db(transaction=True)
TRACE = b"Return-Path: <x@y.example>\r\nReceived: from portal by out1 with ESMTP id 1;\r\n\tMon, 23 Nov 2026\r\n"
Pair = tuple[ScriptedRelay, ScriptedRelay]


@pytest.fixture
def pair(settings, tmp_path: Path) -> Iterator[Pair]:
    with two_relays(settings, tmp_path) as both:
        yield both


@pytest.fixture
def tested(settings, pair: Pair) -> Pair:
    settings.RELAY_SELF_TEST = "loop.sendserver.example"
    return pair


# --- drain and pause
def test_a_drained_relay_hands_its_work_over(pair: Pair, larkfield: Organization) -> None:
    campaign = planned(larkfield, 30)
    assert relays.hold("relay-1", actor=None, reason="new disk", drain=True)
    assert not relays.hold("relay-1", actor=None, reason="again", drain=True)
    run_both()
    assert (len(pair[0].accepted), len(pair[1].accepted)) == (0, 30)
    assert states(campaign) == {"accepted": 30}


def test_a_paused_relays_work_waits_for_it(pair: Pair, larkfield: Organization) -> None:
    planned(larkfield, 30)
    relays.hold("relay-1", actor=None, reason="their wish", drain=False)
    relays.report_failure("relay-1", "and silent besides")
    run_both()
    assert pair[0].accepted == []
    assert 0 < len(pair[1].accepted) < 30
    assert relays.resume("relay-1")
    run_both()
    assert len(pair[0].accepted) + len(pair[1].accepted) == 30


def test_a_pause_may_become_a_drain(pair: Pair, larkfield: Organization) -> None:
    planned(larkfield, 30)
    relays.hold("relay-1", actor=None, reason="their wish", drain=False)
    assert relays.hold("relay-1", actor=None, reason="for long", drain=True)
    run_both()
    assert len(pair[1].accepted) == 30


@pytest.mark.parametrize("drain", [True, False])
def test_a_relay_in_mid_slice_ends_with_what_is_on_the_wire(pair: Pair, larkfield: Organization, drain: bool) -> None:
    for one in pair:
        one.delay = 0.05
    campaign = planned(larkfield, 300)
    lane = threading.Thread(target=deliver.run_lane, args=("relay-1",))
    lane.start()
    while len(pair[0].accepted) < 5:
        time.sleep(0.01)
    begun = time.monotonic()
    relays.hold("relay-1", actor=None, reason="now", drain=drain)
    lane.join(10)
    assert time.monotonic() - begun < 2.0
    taken = len(pair[0].accepted)
    found = states(campaign)
    assert found == {"accepted": taken, "planned": 300 - taken}  # nothing in doubt
    for one in pair:
        one.delay = 0
    run_both()
    assert len(pair[0].accepted) == taken
    assert (states(campaign).get("planned", 0) == 0) is drain
    recipients = pair[0].recipients + pair[1].recipients
    assert len(recipients) == len(set(recipients))


# --- NOOP
def test_a_relay_that_failed_is_asked_before_it_gets_work(pair: Pair, larkfield: Organization) -> None:
    campaign = planned(larkfield, 20)
    relays.report_failure("relay-1", "refused", seconds=-1)  # the breaker's time is over
    pair[0].on(Phase.NOOP, reply("421 4.3.2 not yet"), times=1)
    deliver.run_lane("relay-1")
    assert pair[0].count(Phase.MAIL) == 0
    assert not relays.is_open("relay-1")
    relays.report_failure("relay-1", "refused", seconds=-1)
    run_both()
    assert pair[0].count(Phase.NOOP) == 2
    assert RelayState.objects.get(key="relay-1").healthy
    assert states(campaign) == {"accepted": 20}


def test_an_idle_relay_is_asked_now_and_then(pair: Pair) -> None:
    relays.report_ok("relay-1")
    deliver.run_lane("relay-1")
    assert pair[0].count(Phase.CONNECT) == 0
    long_ago = clock.now() - timedelta(seconds=care.IDLE_SECONDS + 1)
    for gone in (False, True):
        RelayState.objects.filter(key="relay-1").update(last_ok_at=long_ago, checked_at=long_ago)
        if gone:
            pair[0].on(Phase.CONNECT, close())
        deliver.run_lane("relay-1")
        assert relays.is_open("relay-1") is not gone
    assert pair[0].count(Phase.NOOP) == 1


def test_a_relay_that_drips_does_not_hold_the_lane_up(pair: Pair, monkeypatch) -> None:
    monkeypatch.setattr(care, "ASK_SECONDS", 0.3)
    relays.report_failure("relay-1", "refused", seconds=-1)
    pair[0].on(Phase.EHLO, hang(5))
    begun = time.monotonic()
    deliver.run_lane("relay-1")
    assert time.monotonic() - begun < 3
    assert not relays.is_open("relay-1")


# --- the self-test
def _came(relay: ScriptedRelay, change=lambda raw: raw) -> RelayProbe:
    """Bring the newest self-test home, changed."""
    message = next(one for one in reversed(relay.accepted) if one.recipient.startswith("p."))
    InboundMail.objects.create(
        received_at=clock.now(),
        mail_from=message.sender,
        rcpt_to=message.recipient,
        peer="127.0.0.1",
        raw=TRACE + change(message.raw),
        sha256=b"x" * 32,
    )
    assert process.process_waiting() == 1
    return RelayProbe.objects.exclude(judged_at=None).order_by("-judged_at")[0]


def _probes(relay: ScriptedRelay) -> int:
    return sum(one.recipient.startswith("p.") for one in relay.accepted)


def test_no_campaign_before_the_self_test_came_home(tested: Pair, larkfield: Organization) -> None:
    campaign = planned(larkfield, 20)
    run_both()
    assert states(campaign) == {"planned": 20}
    assert [_probes(one) for one in tested] == [1, 1]
    run_both()
    assert [_probes(one) for one in tested] == [1, 1]  # one at a time
    assert _came(tested[0]).fault == ""
    run_both()
    assert states(campaign) == {"accepted": 20}
    assert len(tested[1].accepted) == 1  # the other one has not passed: its work went over
    assert _came(tested[1]).fault == ""
    assert relays.is_gated("relay-2") is False


def test_without_a_setting_there_is_no_gate(pair: Pair, larkfield: Organization) -> None:
    campaign = planned(larkfield, 4)
    run_both()
    assert states(campaign) == {"accepted": 4}
    assert not RelayProbe.objects.exists()
    assert addresses.read("p.k1aaaaaaaaaaaaaaaaaaaaaaaaaa@loop.sendserver.example") is None


CHANGES = {
    "Subject was changed": lambda raw: raw.replace(b"Subject: =?utf-8?b?", b"Subject: [x] =?utf-8?b?", 1),
    "List-Unsubscribe-Post is missing": lambda raw: raw.replace(
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", b""
    ),
    "List-Unsubscribe was changed": lambda raw: raw.replace(b"List-Unsubscribe: <", b"List-Unsubscribe:\r\n <"),
    "Message-ID was changed": lambda raw: raw.replace(b"Message-ID: <", b"Message-ID: <x"),
    "From stands there twice": lambda raw: raw.replace(b"\r\nTo: ", b"\r\nFrom: a@b.example\r\nTo: ", 1),
    "Feedback-ID is missing": lambda raw: raw.replace(b"Feedback-ID: probe", b"X-Feedback-ID: probe"),
    "DKIM-Signature was changed": lambda raw: raw.replace(b" b=", b" b=A", 1),
    "The text was changed": lambda raw: raw + b"-- \r\nSent by a free account\r\n",
}


@pytest.mark.parametrize("fault", CHANGES)
def test_a_relay_that_changes_a_message_is_not_used(tested: Pair, larkfield: Organization, fault: str) -> None:
    campaign = planned(larkfield, 6)
    run_both()
    assert _came(tested[0], CHANGES[fault]).fault == fault
    _came(tested[1])
    run_both()
    assert states(campaign) == {"accepted": 6}
    assert len(tested[0].accepted) == 1
    row = RelayState.objects.get(key="relay-1")
    assert (row.probe_ok, row.probe_detail) == (False, fault)


def test_a_changed_signed_header_that_we_did_not_compare_still_breaks_the_signature(tested: Pair) -> None:
    run_both()
    fault = _came(tested[0], lambda raw: b"Sender: relay@out1.example\r\n" + raw).fault
    assert "does not hold: the header was changed" in fault


def test_further_traces_and_signatures_on_top_do_no_harm(tested: Pair) -> None:
    run_both()
    more = b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=out1.example; s=x; h=From; bh=x; b=x\r\n"
    assert _came(tested[0], lambda raw: b"X-Spam: no\r\n" + more + raw).fault == ""


def test_where_the_relay_signs_its_signature_must_hold(tested: Pair, settings) -> None:
    settings.RELAYS["relay-1"] = replace(settings.RELAYS["relay-1"], signs=True)
    run_both()
    assert "No signature of m.sendserver.example" in _came(tested[0]).fault


def test_a_self_test_that_does_not_come_home_has_failed_and_is_tried_again(tested: Pair) -> None:
    run_both()
    RelayProbe.objects.update(sent_at=clock.now() - selftest.PATIENCE)
    run_both()
    row = RelayState.objects.get(key="relay-1")
    assert (row.probe_ok, row.probe_detail[:22]) == (False, "It did not come home w")
    assert _probes(tested[0]) == 1
    RelayState.objects.update(probe_at=clock.now() - selftest.AGAIN)
    run_both()
    assert _probes(tested[0]) == 2
    assert _came(tested[0]).fault == ""
    run_both()
    assert _probes(tested[0]) == 2  # next in an hour
    RelayState.objects.update(probe_at=clock.now() - selftest.EVERY)
    run_both()
    assert _probes(tested[0]) == 3
    assert relays.is_gated("relay-1") is False  # it goes on while the next is on its way


def test_a_self_test_counts_once(tested: Pair) -> None:
    run_both()
    _came(tested[0], CHANGES["The text was changed"])
    _came(tested[0])  # a second copy, as it was sent
    assert relays.is_gated("relay-1")
    assert InboundMail.objects.order_by("-pk")[0].note == "a self-test that was judged already"


def test_nobody_can_make_an_address_of_a_self_test(tested: Pair) -> None:
    run_both()
    ours = addresses.probe_address(RelayProbe.objects.order_by("pk")[0].pk)
    assert addresses.read(ours) is not None
    assert addresses.read(ours.replace("loop.", "else.")) is None
    assert addresses.read(f"p.{'a' * 28}@loop.sendserver.example") is None


def test_a_relay_that_is_away_is_not_called_unfaithful(tested: Pair) -> None:
    tested[0].on(Phase.CONNECT, close())
    tested[1].on(Phase.RCPT, reply("450 4.2.0 later"))
    run_both()
    assert RelayState.objects.filter(probe_ok=None).count() == 2
    assert not RelayProbe.objects.exists()
    tested[1].rules.clear()
    tested[1].on(Phase.RCPT, reply("550 5.7.1 not for you"))
    run_both()
    assert "refused it: 550" in RelayState.objects.get(key="relay-2").probe_detail


def test_our_own_mail_takes_the_relay_that_passed_and_any_when_none_has(tested: Pair) -> None:
    def mail(number: int, relay: str) -> None:
        SystemMail.objects.create(
            recipient=f"a{number}@b.example",
            sender="n@m.example",
            message=b"From: n@m.example\r\nSubject: code\r\n\r\n1234\r\n",
            relay=relay,
            due_at=clock.now(),
        )

    mail(1, "relay-1")
    run_both()  # a code must get out
    assert "a1@b.example" in tested[0].recipients
    _came(tested[1])
    mail(2, "relay-1")
    run_both()
    assert "a2@b.example" in tested[1].recipients
