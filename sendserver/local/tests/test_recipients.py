"""The people of the local world: what they send back is what the standards say, over real sockets."""

from __future__ import annotations

import email
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from sendserver.local import mailstore, recipients
from sendserver.local.ports import free_port
from sendserver.local.recipients import CannotReactError, People, World
from sendserver.local.tests.conftest import Keep, newsletter

TOKEN = "k1" + "a" * 26


class Door:
    """The far side: takes mail and remembers it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, EmailMessage]] = []
        self.refusal = ""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        message = email.message_from_bytes(envelope.content or b"", _class=EmailMessage, policy=default)
        self.got.append(((envelope.mail_from or "").strip("<>"), envelope.rcpt_tos[0], message))
        return "250 2.0.0 Taken"


class Web(BaseHTTPRequestHandler):
    """The portal: notes what was asked."""

    asked: list[tuple[str, str, bytes, str]] = []

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.command, self.path, body, self.headers.get("Content-Type", "")))
        self.send_response(302 if self.path.startswith("/c/") else 200)
        self.send_header("Location", "https://larkfield.example/")
        self.end_headers()

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def door() -> Iterator[Door]:
    handler = Door()
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    handler.address = ("127.0.0.1", controller.port)  # type: ignore[attr-defined]
    yield handler
    controller.stop()


@pytest.fixture
def web() -> Iterator[str]:
    Web.asked = []
    server = HTTPServer(("127.0.0.1", 0), Web)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def world(var: Path, door: Door, web: str) -> World:
    return World(var, web, door.address, "m.sendserver.example")  # type: ignore[attr-defined]


def line_of(world: World, queue_id: str) -> mailstore.LogLine:
    return next(line for line in mailstore.Reader(world.var, f"relay-{queue_id[0]}").fresh() if line.id == queue_id)


def test_a_bounce_is_a_real_delivery_report(world: World, keep: Keep, door: Door) -> None:
    queue_id = keep(newsletter(TOKEN), "gone@bounce.example")
    reaction = recipients.react(world, line_of(world, queue_id), "bounce")
    assert reaction is not None
    assert reaction.words == "Bounce report 5.1.1 sent to b.tok@b.larkfield.example: 250 2.0.0 Taken"
    [(sender, target, report)] = door.got
    assert (sender, target) == ("", "b.tok@b.larkfield.example")
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    _, status, headers = report.iter_parts()
    assert status.get_content_type() == "message/delivery-status"
    per_message, per_recipient = status.get_payload()
    assert per_message["Reporting-MTA"] == "dns; mx.bounce.example"
    assert per_recipient["Final-Recipient"] == "rfc822; gone@bounce.example"
    assert (per_recipient["Action"], per_recipient["Status"]) == ("failed", "5.1.1")
    assert "m1@m.sendserver.example" in headers.get_content()


def test_a_full_mailbox_says_5_2_2(world: World, keep: Keep, door: Door) -> None:
    recipients.react(world, line_of(world, keep(newsletter(TOKEN), "x@full.example")), "full")
    assert b"Status: 5.2.2" in door.got[0][2].as_bytes()


def test_a_complaint_is_a_feedback_report_with_the_mail_inside(world: World, keep: Keep, door: Door) -> None:
    recipients.react(world, line_of(world, keep(newsletter(TOKEN), "kit@inbox.example")), "complain")
    [(_, target, report)] = door.got
    assert target == "fbl@m.sendserver.example"
    assert report.get_param("report-type") == "feedback-report"
    parts = list(report.iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "message/feedback-report", "message/rfc822"]
    fields = report.as_string()
    assert "Feedback-Type: abuse" in fields
    assert "Version: 1" in fields
    assert parts[2].get_content()["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_an_automatic_reply_says_that_it_is_one(world: World, keep: Keep, door: Door) -> None:
    recipients.react(world, line_of(world, keep(newsletter(TOKEN), "x@away.example")), "away")
    [(sender, target, reply)] = door.got
    assert (sender, target) == ("", "b.tok@b.larkfield.example")
    assert reply["Auto-Submitted"] == "auto-replied"
    assert reply["In-Reply-To"] == "<m1@m.sendserver.example>"


def test_one_click_is_one_post(world: World, keep: Keep, web: str) -> None:
    recipients.react(world, line_of(world, keep(newsletter(TOKEN, base=web))), "leave")
    kind = "application/x-www-form-urlencoded"
    assert Web.asked == [("POST", f"/u/{TOKEN}/", b"List-Unsubscribe=One-Click", kind)]


def test_leaving_by_mail(world: World, keep: Keep, door: Door) -> None:
    recipients.react(world, line_of(world, keep(newsletter(TOKEN), "x@stops.example")), "leave_by_mail")
    [(sender, target, letter)] = door.got
    assert (sender, target, letter["Subject"]) == ("x@stops.example", f"u.{TOKEN}@u.sendserver.example", "unsubscribe")


def test_a_click_asks_the_portal_and_goes_no_further(world: World, keep: Keep, web: str) -> None:
    reaction = recipients.react(world, line_of(world, keep(newsletter(TOKEN, base=web))), "click")
    assert reaction is not None
    assert reaction.words == f"Opened {web}/c/abc/1/: answered 302"
    assert [row[:2] for row in Web.asked] == [("GET", "/c/abc/1/")]


def test_no_link_off_this_machine_is_opened(world: World, keep: Keep) -> None:
    line = line_of(world, keep(newsletter(TOKEN, base="http://elsewhere.example")))
    with pytest.raises(CannotReactError, match="not on this machine"):
        recipients.react(world, line, "leave")


def test_our_own_letters_are_left_alone(world: World, keep: Keep, door: Door) -> None:
    line = line_of(world, keep(b"Subject: Your code\r\n\r\n123456\r\n", "x@bounce.example"))
    assert recipients.react(world, line, "bounce") is None
    assert door.got == []


def test_people_wait_act_once_and_remember(world: World, keep: Keep, door: Door) -> None:
    queue_id = keep(newsletter(TOKEN), "gone@bounce.example")
    keep(newsletter(TOKEN), "ann@quiet.example")
    at = line_of(world, queue_id).moment.timestamp()
    people = People(world, after=5, spread=0)
    people.look(at)
    assert people.act(at + 4) == 0
    assert people.act(at + 5.1) == 1
    assert people.act(at + 500) == 0
    again = People(world, after=5, spread=0)
    again.look(at)
    assert again.act(at + 500) == 0
    assert len(door.got) == 1


def test_people_try_again_while_nobody_answers(
    world: World, keep: Keep, door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    at = line_of(world, keep(newsletter(TOKEN), "gone@bounce.example")).moment.timestamp()
    people = People(world, after=0, spread=0)
    people.look(at)
    door.refusal = "451 4.3.0 Later"
    assert people.act(at + 1) == 0
    assert "451" in capsys.readouterr().out
    door.refusal = ""
    assert people.act(at + 2) == 0
    assert people.act(at + 1 + recipients.TRY_AGAIN) == 1


def test_what_is_a_day_old_is_left_alone(world: World, keep: Keep) -> None:
    at = line_of(world, keep(newsletter(TOKEN), "gone@bounce.example")).moment.timestamp()
    people = People(world)
    people.look(at + 90_000)
    assert people.plans == []


def test_later_mail_is_seen_too(world: World, keep: Keep) -> None:
    people = People(world, after=0, spread=0)
    at = line_of(world, keep(newsletter(TOKEN), "one@bounce.example")).moment.timestamp()
    people.look(at)
    keep(newsletter(TOKEN), "two@bounce.example", 2)
    people.look(at)
    assert people.act(at + 60) == 2
