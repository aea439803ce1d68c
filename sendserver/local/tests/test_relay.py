"""The two local relays, spoken to over real sockets."""

from __future__ import annotations

import asyncio
import json
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendserver.lib.relays import RelayConfig
from sendserver.local import mailstore, smtpd
from sendserver.local.manners import TABLE, manner_of
from sendserver.local.ports import free_ports
from sendserver.local.relay import Relay, header_fields, serve

MESSAGE = (
    b"From: Larkfield <news@mail.larkfield.example>\r\nSubject: Tulips\r\nMessage-ID: <a1@x.example>\r\n\r\nHello\r\n"
)


class Running:
    """Both relays on a loop in a thread."""

    def __init__(self, var: Path) -> None:
        self.var = var
        ports = free_ports(2)
        self.relays = [
            Relay(RelayConfig.from_url(number, f"smtp://127.0.0.1:{port}?name=out{number}.sendserver.example"), var)
            for number, port in zip((1, 2), ports, strict=True)
        ]
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.servers = asyncio.run_coroutine_threadsafe(serve(self.relays), self.loop).result(5)

    def port(self, number: int = 1) -> int:
        return self.relays[number - 1].config.port

    def stop(self) -> None:
        for server in self.servers:
            self.loop.call_soon_threadsafe(server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    def lines(self, number: int = 1) -> list[mailstore.LogLine]:
        return mailstore.Reader(self.var, f"relay-{number}").fresh()

    def message(self, queue_id: str) -> bytes:
        return mailstore.path_of(self.var, queue_id).read_bytes()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    relays = Running(tmp_path)
    yield relays
    relays.stop()


def talk(port: int, data: bytes) -> list[bytes]:
    """Send raw octets, half-close, and return the lines of the answer."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        connection.settimeout(5)
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.splitlines()


def transaction(body: bytes, rcpt: bytes = b"ada@quiet.example") -> bytes:
    return (
        b"EHLO worker.example\r\nMAIL FROM:<b.1@b.larkfield.example>\r\nRCPT TO:<"
        + rcpt
        + b">\r\nDATA\r\n"
        + body
        + b".\r\nQUIT\r\n"
    )


def codes(lines: list[bytes]) -> list[bytes]:
    return [line[:3] for line in lines if line[3:4] == b" "]


def test_announces_what_the_lanes_use(running: Running) -> None:
    with smtplib.SMTP("127.0.0.1", running.port(2), timeout=5) as client:
        client.ehlo("worker.example")
        assert client.esmtp_features == {
            "pipelining": "",
            "size": str(smtpd.MAX_SIZE),
            "8bitmime": "",
            "dsn": "",
            "enhancedstatuscodes": "",
        }
        assert client.ehlo_resp is not None
        assert client.ehlo_resp.startswith(b"out2.sendserver.example")


def test_keeps_the_message_and_a_line(running: Running) -> None:
    with smtplib.SMTP("127.0.0.1", running.port(), timeout=5) as client:
        client.sendmail("b.1@b.larkfield.example", ["ada@quiet.example"], MESSAGE, ["BODY=8BITMIME"], ["NOTIFY=NEVER"])
    [line] = running.lines()
    assert (line.relay, line.mail_from, line.rcpt_to) == ("relay-1", "b.1@b.larkfield.example", "ada@quiet.example")
    assert (line.message_id, line.subject, line.size) == ("<a1@x.example>", "Tulips", len(MESSAGE))
    assert line.reply == f"250 2.0.0 Ok: queued as {line.id}"
    kept = running.message(line.id)
    assert kept.startswith(b"Return-Path: <b.1@b.larkfield.example>\r\nReceived: from ")
    assert kept.endswith(MESSAGE)
    assert running.lines(2) == []


def test_pipelined_commands_are_answered_in_order(running: Running) -> None:
    answer = talk(running.port(), transaction(MESSAGE))
    assert codes(answer) == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]


def test_octets_survive_in_any_pieces(running: Running) -> None:
    body = MESSAGE + b"..a dot\r\n. . .\r\n" + "Grüße".encode() + b"\r\n"
    data = transaction(body)
    with socket.create_connection(("127.0.0.1", running.port()), 5) as connection:
        for at in range(len(data)):
            connection.sendall(data[at : at + 1])
        connection.settimeout(5)
        while connection.recv(4096):
            pass
    [line] = running.lines()
    assert running.message(line.id).endswith(MESSAGE + b".a dot\r\n. . .\r\n" + "Grüße".encode() + b"\r\n")


def test_first_line_is_unstuffed_too(running: Running) -> None:
    talk(running.port(), transaction(b"..first\r\n"))
    assert running.message(running.lines()[0].id).endswith(b"\r\n.first\r\n")


def test_an_empty_message_is_taken(running: Running) -> None:
    talk(running.port(), transaction(b""))
    assert running.lines()[0].size == 0


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r"])
def test_nothing_is_smuggled(running: Running, end: bytes) -> None:
    """Only CR LF . CR LF ends a message; what follows another end stays inside, and the message is refused."""
    smuggled = (
        b"Subject: x\r\n\r\nhello" + end + b"MAIL FROM:<x@y.example>\r\nRCPT TO:<z@quiet.example>\r\nDATA\r\nEvil\r\n"
    )
    answer = talk(running.port(), transaction(smuggled))
    assert codes(answer) == [b"220", b"250", b"250", b"250", b"354", b"550", b"221"]
    assert running.lines() == []


@pytest.mark.parametrize(
    ("body", "code"), [(b"a\0b\r\n", b"550"), (b"x" * 999 + b"\r\n", b"550"), (b"x" * 998 + b"\r\n", b"250")]
)
def test_refuses_what_a_server_would_damage(running: Running, body: bytes, code: bytes) -> None:
    assert codes(talk(running.port(), transaction(body)))[-2] == code


def test_too_big_is_refused_and_the_conversation_goes_on(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtpd, "MAX_SIZE", 5000)
    answer = talk(running.port(), transaction(b"0123456789\r\n" * 2000))
    assert codes(answer)[-2:] == [b"552", b"221"]
    assert running.lines() == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (b"MAIL FROM:<a@b.example>", b"503"),
        (b"EHLO", b"501"),
        (b"STARTTLS", b"500"),
        (b"BDAT 3 LAST", b"500"),
        (b"EHLO x\r\nDATA", b"503"),
        (b"EHLO x\r\nMAIL FROM:a@b.example", b"501"),
        (b"EHLO x\r\nMAIL FROM:<a@b.example> SMTPUTF8", b"555"),
        (b"EHLO x\r\nMAIL FROM:<a@b.example> SIZE=99999999", b"552"),
        (b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<nobody>", b"501"),
        (b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nMAIL FROM:<a@b.example>", b"503"),
        (b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<a@refuses.example>\r\nDATA", b"554"),
        (b"VRFY x", b"252"),
        (b"NO\xc3\x96P", b"500"),
    ],
)
def test_wrong_commands(running: Running, command: bytes, code: bytes) -> None:
    assert codes(talk(running.port(), command + b"\r\n"))[-1] == code


def test_a_line_without_cr_ends_the_conversation(running: Running) -> None:
    assert codes(talk(running.port(), b"EHLO x\nNOOP\r\n")) == [b"220", b"500"]


def test_too_many_errors_end_the_conversation(running: Running) -> None:
    assert codes(talk(running.port(), b"X\r\n" * 100)) == [b"220"] + [b"500"] * smtpd.MAX_ERRORS + [b"421"]


def test_later_example_is_taken_at_the_second_try(running: Running) -> None:
    first = talk(running.port(), transaction(MESSAGE, b"slow@later.example"))
    second = talk(running.port(), transaction(MESSAGE, b"Slow@later.example"))
    assert codes(first)[3:5] == [b"451", b"554"]
    assert codes(second)[3:6] == [b"250", b"354", b"250"]
    assert [line.reply[:3] for line in running.lines()] == ["451", "250"]


def test_refuses_example_is_refused_and_logged(running: Running) -> None:
    talk(running.port(), transaction(MESSAGE, b"x@refuses.example"))
    [line] = running.lines()
    assert (line.reply, line.taken) == ("550 5.1.1 No such mailbox here", False)


def test_a_death_before_the_final_dot_keeps_nothing(running: Running) -> None:
    whole = transaction(MESSAGE)
    talk(running.port(), whole[: whole.index(b".\r\nQUIT")])
    assert running.lines() == []


def test_queue_ids_rise_and_never_repeat(tmp_path: Path) -> None:
    store = mailstore.Store(tmp_path, "relay-2")
    ids = [store.next_id() for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert all(mailstore.is_queue_id(queue_id) for queue_id in ids)


@pytest.mark.parametrize("text", ["", "../../../etc/pw", "3000646c0a1b2c", "1000646c0a1b2", "1000646C0A1B2C"])
def test_other_ids_never_become_a_path(text: str) -> None:
    assert not mailstore.is_queue_id(text)


def test_reader_waits_for_a_whole_line_and_notices_a_new_log(running: Running) -> None:
    talk(running.port(), transaction(MESSAGE))
    path = mailstore.home(running.var, "relay-1") / "log.jsonl"
    reader = mailstore.Reader(running.var, "relay-1")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    assert len(reader.fresh()) == 1
    path.write_bytes(whole + whole)
    assert len(reader.fresh()) == 1
    assert reader.taken_count == 2
    path.write_bytes(whole)
    assert (len(reader.fresh()), reader.taken_count, len(reader.lines)) == (1, 1, 1)


def test_emptying_removes_mail_and_keeps_the_log(running: Running) -> None:
    talk(running.port(), transaction(MESSAGE))
    [line] = running.lines()
    mailstore.empty(running.var, line.moment)
    assert not mailstore.path_of(running.var, line.id).exists()
    assert len(running.lines()) == 1
    assert mailstore.emptied_at(running.var) == line.moment
    talk(running.port(), transaction(MESSAGE))
    assert mailstore.path_of(running.var, running.lines()[-1].id).exists()


def test_log_lines_are_plain_ascii_json(running: Running) -> None:
    talk(running.port(), transaction(b"Subject: caf\xc3\xa9\r\n folded \x1b[2J\r\n\r\nx\r\n"))
    raw = (mailstore.home(running.var, "relay-1") / "log.jsonl").read_bytes()
    assert raw.isascii()
    assert raw.count(b"\n") == 1
    assert json.loads(raw)["subject"] == "café folded \x1b[2J"


def test_header_fields_stop_at_the_body() -> None:
    assert header_fields(b"Subject: a\r\n\r\nFrom: b\r\n") == {"subject": "a"}


def test_manners_are_told_by_the_address_alone() -> None:
    assert {manner_of(f"x@{manner.domain}") for manner in TABLE} == set(TABLE)
    assert manner_of("someone@other.example") == manner_of("someone@other.example")
    acts = [manner_of(f"person{number}@town.example").act for number in range(10_000)]
    assert 600 < acts.count("click") < 1100
    assert 30 < acts.count("leave") < 120
    assert set(acts) == {"click", "leave", ""}


def test_many_at_once_over_both(running: Running) -> None:
    """Four connections with pipelining, 500 messages each, in a few seconds; alone it takes over 1,000 a second."""
    body = MESSAGE + b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * 200  # 16 kB, an ordinary newsletter
    one = b"MAIL FROM:<b.1@b.larkfield.example>\r\nRCPT TO:<ada@quiet.example>\r\nDATA\r\n"

    def lane(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            answers = connection.makefile("rb")
            connection.sendall(b"EHLO x\r\n")
            for _ in range(7):
                answers.readline()
            for _ in range(500):
                connection.sendall(one)
                assert [answers.readline()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
                connection.sendall(body + b".\r\n")
                assert answers.readline()[:3] == b"250"

    begun = time.perf_counter()
    lanes = [threading.Thread(target=lane, args=(running.port(1 + number % 2),)) for number in range(4)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    seconds = time.perf_counter() - begun
    assert len(running.lines(1)) + len(running.lines(2)) == 2000
    assert seconds < 20
