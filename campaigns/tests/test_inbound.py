"""The receiving door on a real socket, and what its mail sets going."""

from __future__ import annotations

import asyncio
import smtplib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from accounts.models import Organization
from campaigns.inbound import door
from campaigns.inbound.addresses import Links, read
from campaigns.inbound.process import process_waiting
from campaigns.models import Delivery, Event, EventKind, InboundMail, Outcome
from campaigns.sending.outcomes import State
from campaigns.tests.lanes import planned, states
from compliance.models import Suppression
from compliance.suppression import is_suppressed
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey

pytestmark = pytest.mark.django_db(transaction=True)

DSN = """From: MAILER-DAEMON@inbox.example
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It did not work.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.inbox.example

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {diagnostic}

--b--
"""
ARF = """From: feedback@provider.example
Subject: FW: your mail
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

A user called this spam.
--b
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Provider/1.0
Version: 1

--b
Content-Type: text/rfc822-headers

Subject: Come and dig
CFBL-Feedback-ID: {token}
To: redacted
--b--
"""


@pytest.fixture
def port() -> Iterator[int]:
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(door.open_door("127.0.0.1:0"))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.close()


@pytest.fixture
def delivery(larkfield: Organization) -> Delivery:
    planned(larkfield, 2)
    return Delivery.objects.order_by("seq")[0]


def _mail(port: int, to: str, text: str, sender: str = "") -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="mx.inbox.example", timeout=10) as client:
        client.sendmail(sender, [to], text.replace("\n", "\r\n").encode())
    process_waiting()


def _return_path(delivery: Delivery) -> str:
    return Links.of(delivery.pk).return_path("b.mail.larkfield.example")


def _dsn(
    delivery: Delivery, status: str = "5.1.1", diagnostic: str = "550 5.1.1 no such user", action: str = "failed"
) -> str:
    return DSN.format(recipient=delivery.address, action=action, status=status, diagnostic=diagnostic)


def _suppressed(delivery: Delivery) -> bool:
    return is_suppressed(delivery.organization, AddressKey(delivery.address))


@pytest.mark.parametrize("change", ["flip", "purpose", "foreign", "help", "case"])
def test_the_door_takes_only_addresses_we_made(port: int, delivery: Delivery, change: str) -> None:
    from sendserver.lib.tokens import Purpose, seal

    good = _return_path(delivery)
    tries = {
        "flip": (good.replace(good[5], "q" if good[5] != "q" else "r", 1), False),
        "purpose": (f"b.{seal(Purpose.CAMPAIGN, delivery.pk)}@b.mail.larkfield.example", False),
        "foreign": ("someone@elsewhere.example", False),
        "help": ("postmaster@sendserver.example", True),
        "case": (good.upper(), True),
    }
    address, taken = tries[change]
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.ehlo("x.example")
        client.mail("")
        assert (client.rcpt(address)[0] == 250) is taken
    assert read(address) is not None if taken else read(address) is None


def test_a_mail_beyond_the_limit_is_refused(port: int, delivery: Delivery) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client, pytest.raises(smtplib.SMTPException):
        client.sendmail("", [_return_path(delivery)], b"x" * 80 + b"\r\n" + (b"y" * 78 + b"\r\n") * 15_000)
    assert not InboundMail.objects.exists()


def test_a_hard_bounce_suppresses_once_however_often_it_is_told(port: int, delivery: Delivery) -> None:
    for _ in range(3):
        _mail(port, _return_path(delivery), _dsn(delivery))
    assert InboundMail.objects.filter(kind="bounce", delivery_id=delivery.pk).count() == 3
    event = Event.objects.get()
    assert (event.kind, event.source, event.bounce_class) == (EventKind.BOUNCED, "dsn", "hard_recipient")
    assert Suppression.objects.get().reason == Suppression.Reason.HARD_BOUNCE


@pytest.mark.parametrize(
    ("status", "diagnostic"),
    [
        ("5.7.1", "550 5.7.1 blocked by policy"),
        ("5.2.2", "552 5.2.2 mailbox full"),
        ("5.1.1", "550 5.1.1 listed at a dnsbl"),
        ("5.0.0", "500 something"),
    ],
)
def test_other_bounces_suppress_nobody(port: int, delivery: Delivery, status: str, diagnostic: str) -> None:
    _mail(port, _return_path(delivery), _dsn(delivery, status, diagnostic))
    assert Event.objects.get().kind == EventKind.BOUNCED
    assert not _suppressed(delivery)


def test_a_bounce_from_a_real_sender_is_kept_and_believed_by_nobody(port: int, delivery: Delivery) -> None:
    _mail(port, _return_path(delivery), _dsn(delivery), sender="someone@elsewhere.example")
    assert not _suppressed(delivery)
    assert InboundMail.objects.get().note.startswith("a report that does not come")


def test_delays_and_successes_are_events_without_effect(port: int, delivery: Delivery) -> None:
    _mail(port, _return_path(delivery), _dsn(delivery, "4.4.1", "451 timeout", "delayed"))
    _mail(port, _return_path(delivery), _dsn(delivery, "2.0.0", "250 ok", "delivered"))
    assert set(Event.objects.values_list("kind", flat=True)) == {EventKind.DEFERRED, EventKind.DELIVERED}
    assert not _suppressed(delivery)


@pytest.mark.parametrize(
    ("kind", "stops"), [("abuse", True), ("fraud", True), ("not-spam", False), ("auth-failure", False)]
)
def test_feedback_with_our_token_counts(port: int, delivery: Delivery, kind: str, stops: bool) -> None:
    text = ARF.format(kind=kind, token=Links.of(delivery.pk).token)
    _mail(port, "fbl@m.sendserver.example", text, sender="fbl@provider.example")
    _mail(port, "fbl@m.sendserver.example", text, sender="fbl@provider.example")
    assert _suppressed(delivery) is stops
    event = Event.objects.get()
    assert (event.kind == EventKind.COMPLAINED) is stops
    assert event.delivery_id == delivery.pk


def test_feedback_without_a_token_of_ours_changes_nothing(port: int, delivery: Delivery) -> None:
    token = Links.of(delivery.pk).token
    forged = token[:-2] + ("aa" if not token.endswith("aa") else "bb")
    _mail(port, "fbl@m.sendserver.example", ARF.format(kind="abuse", token=forged), sender="fbl@provider.example")
    assert InboundMail.objects.get().kind == "forged"
    assert not Event.objects.exists()
    assert not Suppression.objects.exists()


def test_the_unsubscribe_mailbox_unsubscribes(port: int, delivery: Delivery) -> None:
    _mail(port, Links.of(delivery.pk).unsubscribe_address, "Subject: unsubscribe\n\n", sender="ada@inbox.example")
    assert Event.objects.get().source == "mailto"
    assert _suppressed(delivery)


def test_a_reply_that_says_stop_unsubscribes_and_others_do_not(port: int, delivery: Delivery) -> None:
    other = Delivery.objects.exclude(pk=delivery.pk).get()
    _mail(port, _return_path(delivery), "Subject: Re: Come\n\nStop\n", sender="ada@inbox.example")
    _mail(port, _return_path(other), "Subject: Re: Come\n\nSee you there\n", sender="bea@inbox.example")
    assert _suppressed(delivery)
    assert not _suppressed(other)


def test_an_absence_note_is_nothing(port: int, delivery: Delivery) -> None:
    text = "Subject: Out of office\nAuto-Submitted: auto-replied\n\nBack on Monday, 550 5.1.1 user unknown\n"
    _mail(port, _return_path(delivery), text, sender="")
    assert Event.objects.get().kind == EventKind.AUTORESPONDED
    assert not _suppressed(delivery)


def test_abuse_mail_waits_for_the_desk(port: int, delivery: Delivery) -> None:
    _mail(port, "abuse@sendserver.example", "Subject: spam\n\nplease look\n", sender="ada@inbox.example")
    assert InboundMail.objects.get().kind == "abuse"
    assert not Event.objects.exists()


def test_what_comes_back_settles_doubt(port: int, delivery: Delivery) -> None:
    Outcome.objects.create(
        delivery_id=delivery.pk,
        campaign_id=delivery.campaign_id,
        state=State.IN_DOUBT,
        relay="relay-1",
        at=clock.now(),
    )
    delivery.campaign.tallies.create(relay="relay-1", state="in_doubt", count=1)
    _mail(port, _return_path(delivery), _dsn(delivery, "5.2.2", "552 5.2.2 mailbox full"))
    assert states(delivery.campaign)["accepted"] == 1


def test_several_readers_share_the_work(port: int, delivery: Delivery) -> None:
    from django.db import connections

    rows: list[Any] = [
        InboundMail(
            received_at=clock.now(),
            mail_from="",
            rcpt_to=_return_path(delivery),
            peer="x",
            sha256=b"x",
            raw=b"Subject: x",
        )
        for _ in range(30)
    ]
    InboundMail.objects.bulk_create(rows)
    done: list[int] = []

    def work() -> None:
        done.append(process_waiting())
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 30
    assert not InboundMail.objects.filter(processed_at=None).exists()
