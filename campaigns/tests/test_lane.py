"""Lanes against scripted relays on real sockets: never twice, never lost, stopped in time."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import dkim
import pytest
from django.db import connection, connections

from accounts.domain_keys import txt_value
from accounts.models import DkimKey, Organization, PlatformKey, Standing
from campaigns import brakes
from campaigns.models import Brake, Campaign, CampaignState, Chunk, Delivery, Event, Outcome, RelayState, Retry, Usage
from campaigns.sending import deliver, relays, sweep
from campaigns.tests.lanes import close_breakers, make_due, planned, run_both, states, tallies, two_relays
from compliance.models import Suppression
from compliance.suppression import suppress
from sendserver.lib.addresses import AddressKey
from sendserver.testing.relay import Phase, ScriptedRelay, close, hang, reply, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pair(settings: Any, tmp_path: Path) -> Any:
    with two_relays(settings, tmp_path) as relays_:
        yield relays_


def _dns(name: bytes, timeout: int = 5) -> bytes:
    host = name.decode().rstrip(".")
    selector, _, domain = host.partition("._domainkey.")
    if PlatformKey.objects.filter(selector=selector).exists() and domain.startswith("m."):
        return txt_value(PlatformKey.objects.get(selector=selector).public_b64).encode()
    return txt_value(DkimKey.objects.get(selector=selector, domain__name=domain).public_b64).encode()


def _in_thread(work: Any, *arguments: Any) -> threading.Thread:
    def run() -> None:
        try:
            work(*arguments)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_everybody_gets_one_message_and_the_counts_agree(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], settings: Any
) -> None:
    campaign = planned(larkfield, 57)
    run_both()
    got = Counter(pair[0].recipients + pair[1].recipients)
    assert got == Counter(Delivery.objects.filter(campaign=campaign).values_list("address", flat=True))
    assert max(got.values()) == 1
    assert len(pair[0].accepted) == 30
    assert states(campaign) == tallies(campaign) == {"accepted": 57}
    assert Usage.objects.get(organization=larkfield).count == 57
    assert not list(settings.JOURNAL_DIR.glob("*.journal"))
    assert sweep.sweep() == 1
    campaign.refresh_from_db()
    assert campaign.state == CampaignState.SENT
    assert run_both()[0].attempted == 0


def test_outcomes_keep_the_relays_words(larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]) -> None:
    planned(larkfield, 1)
    deliver.run_lane("relay-1")
    outcome = Outcome.objects.get()
    assert (outcome.code, outcome.enhanced, outcome.queue_id) == (250, "2.0.0", "00000001")
    assert outcome.wire_bytes > 1000
    assert outcome.relay == "relay-1"


def test_both_signatures_hold_and_break_with_an_added_header(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]
) -> None:
    planned(larkfield, 6)
    deliver.run_lane("relay-1")
    for message in pair[0].accepted:
        raw = message.raw
        verifier = dkim.DKIM(raw)
        assert verifier.verify(0, dnsfunc=_dns)
        assert verifier.domain == b"mail.larkfield.example"
        assert dkim.DKIM(raw).verify(1, dnsfunc=_dns)
        for added in (
            b"From: evil@example.org\r\n",
            b"Subject: other\r\n",
            b"List-Unsubscribe: <https://x.example>\r\n",
        ):
            assert not dkim.DKIM(raw.replace(b"\r\nDate:", b"\r\n" + added + b"Date:", 1)).verify(0, dnsfunc=_dns)


def test_headers_are_the_rules(larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]) -> None:
    planned(larkfield, 1)
    deliver.run_lane("relay-1")
    message = pair[0].accepted[0]
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\x00", message.raw)
    assert message.raw.isascii()
    assert max(map(len, message.raw.split(b"\r\n"))) <= 998
    mail = message_from_bytes(message.raw, policy=policy.default)
    for name in ("From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "CFBL-Address", "Feedback-ID"):
        assert len(mail.get_all(name)) == 1, name
    delivery = Delivery.objects.get()
    assert mail["From"].addresses[0].addr_spec == "news@mail.larkfield.example"
    assert mail["To"].addresses[0].addr_spec == delivery.address
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = message.sender.removeprefix("b.").partition("@")[0]
    assert message.sender.endswith("@b.mail.larkfield.example")
    assert f"/u/{token}/" in mail["List-Unsubscribe"]
    assert mail["CFBL-Feedback-ID"] == token
    assert mail["Message-ID"] == f"<{token}@m.sendserver.example>"
    assert message.parameters == f"RET=HDRS ENVID={token}"
    assert "X-Mailer" not in mail
    assert mail["Precedence"] == "bulk"
    assert len(token) + 2 <= 64


def test_a_dead_address_is_refused_and_suppressed_and_its_neighbours_are_not(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]
) -> None:
    campaign = planned(larkfield, 5)
    dead = Delivery.objects.get(seq=3)
    pair[0].on(Phase.RCPT, reply("550 5.1.1 no such user"), when=lambda s: s.recipient == dead.address)
    deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign) == {"accepted": 4, "rejected": 1}
    assert Suppression.objects.get().reason == Suppression.Reason.HARD_BOUNCE
    event = Event.objects.get()
    assert (event.delivery_id, event.source, event.bounce_class) == (dead.pk, "smtp", "hard_recipient")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("550 5.7.1 message refused: listed at a block list", "block_reputation"),
        ("550 5.7.26 unauthenticated mail is refused", "block_auth"),
        ("552 5.2.2 mailbox full", "full"),
        ("550 5.1.1 rejected: spam", "block_reputation"),
    ],
)
def test_a_refusal_that_is_not_about_the_address_suppresses_nobody(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], answer: str, kind: str
) -> None:
    campaign = planned(larkfield, 1)
    pair[0].on(Phase.DOT, reply(answer))
    deliver.run_lane("relay-1")
    assert states(campaign) == {"rejected": 1}
    assert Outcome.objects.get().bounce_class == kind
    assert not Suppression.objects.exists()


def test_greylisting_waits_and_passes_on_the_same_relay_with_one_copy(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]
) -> None:
    campaign = planned(larkfield, 3)
    pair[0].on(Phase.RCPT, reply("451 4.7.1 greylisted, try again later"), times=3)
    run_both()
    assert states(campaign) == tallies(campaign) == {"deferred": 3}
    waits = [(row.due_at - row.first_at).total_seconds() for row in Retry.objects.all()]
    assert all(300 <= wait <= 361 for wait in waits)
    assert {row.relay for row in Retry.objects.all()} == {"relay-1"}
    run_both()
    assert not pair[0].accepted
    make_due()
    run_both()
    assert states(campaign) == tallies(campaign) == {"accepted": 3}
    assert len(pair[0].accepted) == 3
    assert not pair[1].accepted
    assert not Retry.objects.exists()
    assert {row.attempt for row in Outcome.objects.filter(state="accepted")} == {2}


@pytest.mark.parametrize("act", [close(), close(reset=True), reply("not smtp at all"), hang(3.0)])
def test_silence_behind_the_dot_is_doubt_and_never_sent_again(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], settings: Any, act: Any
) -> None:
    settings.SENDING = {**settings.SENDING, "connections": 1, "timeouts": {**settings.SENDING["timeouts"], "dot": 1.0}}
    campaign = planned(larkfield, 4)
    pair[0].on(Phase.DOT, act, times=1)
    deliver.run_lane("relay-1")
    close_breakers()
    deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign) == {"accepted": 3, "in_doubt": 1}
    sent = Counter(line.recipient for line in pair[0].log if line.phase == Phase.DOT)
    assert max(sent.values()) == 1


@pytest.mark.parametrize("phase", [Phase.CONNECT, Phase.MAIL, Phase.RCPT, Phase.DATA])
def test_a_break_before_the_dot_is_sent_again_once(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], settings: Any, phase: str
) -> None:
    settings.SENDING = {**settings.SENDING, "connections": 1}
    campaign = planned(larkfield, 4)
    pair[0].on(phase, close(reset=True), times=1)
    deliver.run_lane("relay-1")
    assert RelayState.objects.get(key="relay-1").healthy is False
    assert deliver.run_lane("relay-1").attempted == 0  # the breaker holds
    close_breakers()
    deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign) == {"accepted": 4}
    assert sorted(pair[0].recipients) == sorted(Delivery.objects.values_list("address", flat=True))


def test_a_break_in_mid_body_is_sent_again_or_doubt_and_never_twice(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], settings: Any
) -> None:
    # A short body may be in our kernel whole, dot included, before the reset arrives: then it is honest doubt.
    settings.SENDING = {**settings.SENDING, "connections": 1}
    campaign = planned(larkfield, 4)
    pair[0].on(Phase.BODY, close(reset=True), times=1)
    deliver.run_lane("relay-1")
    close_breakers()
    deliver.run_lane("relay-1")
    counts = states(campaign)
    assert counts["accepted"] + counts.get("in_doubt", 0) == 4
    assert counts["accepted"] >= 3
    assert max(Counter(pair[0].recipients).values()) == 1


@pytest.mark.parametrize("answer", ["421 4.3.2 shutting down", "550 5.7.1 sender refused"])
def test_the_relays_own_trouble_blames_nobody(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], answer: str
) -> None:
    campaign = planned(larkfield, 4)
    pair[0].on(Phase.MAIL, reply(answer))
    deliver.run_lane("relay-1")
    assert states(campaign) == tallies(campaign) == {"planned": 4}
    assert not Outcome.objects.exists()
    assert "refused" in RelayState.objects.get(key="relay-1").last_error or "421" in answer


def test_the_other_lane_takes_over_while_a_relay_is_away(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]
) -> None:
    campaign = planned(larkfield, 25)
    relays.report_failure("relay-1", "refused")
    run_both()
    assert states(campaign) == {"accepted": 25}
    assert not pair[0].accepted
    assert len(pair[1].accepted) == 25


def test_a_repeated_poke_finds_the_lane_busy(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]
) -> None:
    campaign = planned(larkfield, 8)
    gate, reached = threading.Event(), threading.Event()
    pair[0].on(Phase.DOT, wait_for(gate, reached), times=1)
    thread = _in_thread(deliver.run_lane, "relay-1")
    assert reached.wait(10)
    assert deliver.run_lane("relay-1").busy
    gate.set()
    thread.join(20)
    assert states(campaign) == {"accepted": 8}
    assert max(Counter(pair[0].recipients).values()) == 1


def test_suspension_stops_a_running_send_within_two_seconds(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]
) -> None:
    for relay in pair:
        relay.delay = 0.05
    campaign = planned(larkfield, 400)
    threads = [_in_thread(deliver.run_lane, key) for key in relays.KEYS]
    _until(lambda: len(pair[0].accepted) > 10 and len(pair[1].accepted) > 10)
    Organization.objects.filter(pk=larkfield.pk).update(standing=Standing.SUSPENDED)
    cut = time.monotonic()
    for thread in threads:
        thread.join(30)
    late = [line for relay in pair for line in relay.log if line.phase == Phase.MAIL and line.at > cut + 2]
    assert not late
    total = len(pair[0].accepted) + len(pair[1].accepted)
    assert total < 400
    assert states(campaign) == tallies(campaign) == {"accepted": total, "planned": 400 - total}
    assert not Chunk.objects.filter(state=Chunk.State.LEASED).exists()
    assert [report.attempted for report in run_both()] == [0, 0]
    Organization.objects.filter(pk=larkfield.pk).update(standing=Standing.GOOD)
    run_both()
    assert states(campaign) == tallies(campaign) == {"accepted": 400}
    assert max(Counter(pair[0].recipients + pair[1].recipients).values()) == 1


def test_an_unsubscribe_spares_somebody_still_queued(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], settings: Any
) -> None:
    settings.SENDING = {**settings.SENDING, "connections": 1, "chunk_size": 60}
    pair[0].delay = 0.05
    campaign = planned(larkfield, 120)
    last = Delivery.objects.get(seq=60)  # of the one chunk that this lane has in hand
    thread = _in_thread(deliver.run_lane, "relay-1")
    _until(lambda: len(pair[0].accepted) > 2)
    suppress(AddressKey(last.address), organization=larkfield, reason="unsubscribe", source="one_click")
    thread.join(30)
    assert last.address not in pair[0].recipients
    assert states(campaign) == tallies(campaign) == {"accepted": 59, "suppressed": 1, "planned": 60}


def test_a_stop_cancels_what_was_not_sent(larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]) -> None:
    campaign = planned(larkfield, 20)
    deliver.run_lane("relay-1")
    Campaign.objects.filter(pk=campaign.pk).update(state=CampaignState.STOPPED)
    run_both()
    sweep.sweep()
    assert states(campaign) == tallies(campaign) == {"accepted": 10, "cancelled": 10}


def test_the_allowance_ends_the_day_and_counts_once(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]
) -> None:
    campaign = planned(larkfield, 40, allowance=17)
    run_both()
    run_both()
    assert states(campaign) == tallies(campaign) == {"accepted": 17, "planned": 23}
    assert Usage.objects.get().count == 17
    Organization.objects.filter(pk=larkfield.pk).update(standing=Standing.WARNED, daily_allowance=60)
    run_both()
    assert states(campaign)["accepted"] == 30  # a warning halves it


def test_a_brake_holds_and_its_lifting_lets_go(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]
) -> None:
    campaign = planned(larkfield, 4)
    brake = brakes.set_brake(Brake.Kind.COMPLAINTS, "Too many complaints", organization=larkfield)
    run_both()
    assert states(campaign) == {"planned": 4}
    assert brakes.lift(brake, actor=None, reason="Looked at")
    run_both()
    assert states(campaign) == {"accepted": 4}


def test_a_bad_domain_brakes_the_campaign(larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]) -> None:
    campaign = planned(larkfield, 2)
    domain = campaign.from_address.domain
    domain.records.create(kind="dkim1", host="x", record_type="CNAME", wanted="y", ok=False)
    deliver.run_lane("relay-1")
    assert states(campaign) == {"planned": 2}
    assert Brake.objects.get().kind == Brake.Kind.DOMAIN
    domain.records.update(ok=True)
    sweep.sweep()
    deliver.run_lane("relay-1")
    assert states(campaign) == {"accepted": 2}


def test_an_unwritable_message_fails_alone_and_many_pause(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], settings: Any
) -> None:
    settings.SENDING = {**settings.SENDING, "connections": 1, "chunk_size": 200}
    campaign = planned(larkfield, 400, subject="News for {{ first_name }}")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE campaigns_delivery"
            " SET merge = merge || jsonb_build_object('first_name', 'x' || chr(10) || 'Bcc: y')"
            " WHERE seq BETWEEN 150 AND 160"
        )
    deliver.run_lane("relay-1")
    counts = states(campaign)
    assert counts["render_failed"] >= 2
    assert counts["accepted"] >= 149
    assert counts.get("planned", 0) >= 230
    assert Brake.objects.get().kind == Brake.Kind.RENDER
    assert not any(b"\nBcc" in message.raw for message in pair[0].accepted)


def test_system_mail_goes_first_and_is_signed(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay]
) -> None:
    from django.core.mail import EmailMessage, get_connection

    planned(larkfield, 3)
    get_connection("campaigns.sending.system.SystemMailBackend").send_messages(
        [EmailMessage("Your code", "123 456\n.\n", None, ["ada@inbox.example"])]
    )
    key = "relay-1" if deliver.run_lane("relay-1").system else "relay-2"
    if key == "relay-2":
        deliver.run_lane("relay-2")
    relay = pair[0] if key == "relay-1" else pair[1]
    assert relay.recipients[0] == "ada@inbox.example"
    assert dkim.verify(relay.accepted[0].raw, dnsfunc=_dns)


def _until(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
