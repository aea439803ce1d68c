"""Postfix's log: lines of both shapes, queue ids that come again, hostile lines; files that move under the reader."""

from __future__ import annotations

import gzip
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.sending import log_files
from campaigns.sending.log_files import Piece, Place
from campaigns.sending.postfix_log import Entry, Queue, Trace, parse

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LIFE = """\
Nov 23 10:00:00 out1 postfix/smtpd[100]: {id}: client=portal[10.0.0.5], sasl_method=PLAIN, sasl_username=portal
Nov 23 10:00:01 out1 postfix/cleanup[101]: {id}: message-id=<{name}@mail.example>
Nov 23 10:00:01 out1 postfix/qmgr[102]: {id}: from=<b.token@news.example>, size=2111, nrcpt=1 (queue active)
Nov 23 10:00:02 out1 postfix/smtp[103]: {id}: to=<ada@reader.example>, relay=mx.reader.example[192.0.2.9]:25, \
delay=0.8, delays=0.1/0/0.2/0.5, dsn=2.0.0, status=sent (250 2.0.0 Ok ada@reader.example)
Nov 23 10:00:02 out1 postfix/qmgr[102]: {id}: removed
"""


def entries(text: str, now: datetime = NOW, zone: str = "UTC") -> list[Entry]:
    found = [parse(line, now=now, zone=ZoneInfo(zone)) for line in text.splitlines()]
    return [entry for entry in found if entry is not None]


def lived(text: str, *, known: tuple[Trace, ...] = ()) -> list[Trace]:
    queue = Queue(lambda name: {"one": 1, "two": 2}.get(name.partition("@")[0]))
    queue.remember(known)
    for entry in entries(text):
        queue.apply(entry)
    return list(queue.changed.values())


def test_the_life_of_a_message() -> None:
    (trace,) = lived(LIFE.format(id="4XyZ9k1QbLz2mC", name="one"))
    assert (trace.delivery_id, trace.queue_id, trace.status) == (1, "4XyZ9k1QbLz2mC", "sent")
    assert trace.taken_at == datetime(2026, 11, 23, 10, 0, 1, tzinfo=UTC)
    assert "queue active" in trace.line
    assert "b.token" not in trace.line
    assert "ada" not in trace.status_text
    assert "status=sent (250 2.0.0 Ok" in trace.status_text
    assert trace.removed_at is not None


@pytest.mark.parametrize(
    ("stamp", "zone", "expected"),
    [
        ("Nov 23 10:00:00", "UTC", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("Nov 23 10:00:00", "Europe/Vienna", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Dec 31 23:59:59", "UTC", datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("Feb 29 01:00:00", "UTC", datetime(2024, 2, 29, 1, tzinfo=UTC)),
        ("Nov  3 01:00:00", "UTC", datetime(2026, 11, 3, 1, tzinfo=UTC)),
        ("2026-11-23T10:00:00.25+01:00", "UTC", datetime(2026, 11, 23, 9, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-11-23T10:00:00Z", "Europe/Vienna", datetime(2026, 11, 23, 10, tzinfo=UTC)),
    ],
)
def test_times_of_both_shapes(stamp: str, zone: str, expected: datetime) -> None:
    (entry,) = entries(f"{stamp} out1 postfix-out/qmgr[7]: A1B2C3D4: removed", zone=zone)
    assert (entry.at, entry.kind, entry.queue_id) == (expected, "removed", "A1B2C3D4")


def test_headers_alone_are_not_taken() -> None:
    (trace,) = lived("\n".join(LIFE.format(id="A1B2C3D4", name="one").splitlines()[:2]))
    assert trace.taken_at is None


def test_a_short_queue_id_comes_again() -> None:
    first, second = LIFE.format(id="A1B2C3D4", name="one"), LIFE.format(id="A1B2C3D4", name="two")
    traces = lived(first + second)
    assert [(trace.delivery_id, trace.status) for trace in traces] == [(1, "sent"), (2, "sent")]


def test_a_queue_id_that_comes_again_unremoved_or_for_a_stranger_ends_the_old_life() -> None:
    unremoved = "\n".join(LIFE.format(id="A1B2C3D4", name="one").splitlines()[:3]) + "\n"
    for following in ("two", "stranger"):
        again = "\n".join(LIFE.format(id="A1B2C3D4", name=following).splitlines()[1:4])
        traces = lived(unremoved + again)
        assert traces[0].delivery_id == 1
        assert traces[0].removed_at is not None
        assert traces[0].status == ""  # what was said of the other message says nothing of this one


def test_what_earlier_lines_told_is_gone_on_with() -> None:
    head, tail = LIFE.format(id="A1B2C3D4", name="one").split("\n", 2)[:2], LIFE.format(id="A1B2C3D4", name="one")
    (known,) = lived("\n".join(head))
    (trace,) = lived("\n".join(tail.splitlines()[2:]), known=(known,))
    assert trace is known
    assert trace.status == "sent"


@pytest.mark.parametrize(
    "line",
    [
        "postfix/cleanup[1]: A1B2C3D4: message-id=<one@mail.example> Nov 23 10:00:01 out1 postfix/qmgr[1]: A1B2C3D4:"
        " from=<x@y>, size=1, nrcpt=1 (queue active)",
        "postfix/cleanup[1]: A1B2C3D4: message-id=<one@mail.example> (added by postfix)",
        "postfix/cleanup[1]: A1B2C3D4: message-id=one@mail.example",
        "postfix/cleanup[1]: A1B2C3D4: message-id=<two@mail.example><one@mail.example>",
        "postfix/cleanup[1]: A1B2C3D4: resent-message-id=<one@mail.example>",
        "postfix/cleanup[1]: A1B2C3D4: warning: header Subject: message-id=<one@mail.example>",
        "postfix/smtpd[1]: A1B2C3D4: message-id=<one@mail.example>",
        "app[1]: they said Nov 23 10:00:01 out1 postfix/cleanup[1]: A1B2C3D4: message-id=<one@mail.example>",
        "sshd[1]: postfix/cleanup[1]: A1B2C3D4: message-id=<one@mail.example>",
        "postfix/cleanup: A1B2C3D4: message-id=<one@mail.example>",
    ],
)
def test_a_line_within_a_line_is_nobodys(line: str) -> None:
    assert lived(f"Nov 23 10:00:01 out1 {line}") == []


def test_a_receivers_reply_cannot_speak_for_the_queue() -> None:
    text = "\n".join(LIFE.format(id="A1B2C3D4", name="one").splitlines()[:3])
    bounce = (
        "Nov 23 10:00:02 out1 postfix/smtp[1]: A1B2C3D4: to=<a@b.example>, relay=mx[192.0.2.1]:25, delay=1,"
        " dsn=5.0.0, status=bounced (host said: 550 A1B2C3D4: removed, status=sent (250 ok))"
    )
    (trace,) = lived(f"{text}\n{bounce}")
    assert (trace.status, trace.removed_at) == ("bounced", None)


def test_a_log_that_lost_lines_says_so() -> None:
    line = "Nov 23 10:00:00 out1 rsyslogd: imjournal: begin to drop messages due to rate-limiting"
    assert [entry.kind for entry in entries(line)] == ["lost"]


@given(st.text(max_size=300))
def test_no_line_breaks_the_reader(text: str) -> None:
    parse(text, now=NOW, zone=UTC)
    parse(f"Nov 23 10:00:01 out1 postfix/cleanup[1]: A1B2C3D4: {text}", now=NOW, zone=UTC)


# --- files
def follow(path: Path, place: Place | None = None, budget: int = 10**6) -> Piece:
    return log_files.read(path, place, budget)


@pytest.fixture
def mail_log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    path.write_text("first 1\nsecond\n")
    return path


def _age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_only_whole_lines_are_read_and_each_once(mail_log: Path) -> None:
    with mail_log.open("a") as file:
        file.write("torn")
    one = follow(mail_log)
    assert (one.lines, one.at_end, one.gap) == (["first 1", "second"], True, "")
    with mail_log.open("a") as file:
        file.write(" but whole now\nthird\n")
    two = follow(mail_log, one.place)
    assert two.lines == ["torn but whole now", "third"]


def test_a_huge_log_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_text("".join(f"line {n}\n" for n in range(1000)))
    place, lines, rounds = None, [], 0
    while True:
        piece = follow(path, place, budget=500)
        place, rounds = piece.place, rounds + 1
        lines += piece.lines
        if piece.at_end:
            break
    assert lines == [f"line {n}" for n in range(1000)]
    assert rounds > 10


@pytest.mark.parametrize("compressed", [False, True])
def test_a_rotated_log_is_read_to_its_end_first(mail_log: Path, compressed: bool) -> None:
    place = follow(mail_log, budget=5).place
    with mail_log.open("a") as file:
        file.write("third\n")
    old = mail_log.with_name("mail.log.1")
    mail_log.rename(old)
    if compressed:
        packed = old.with_name("mail.log.1.gz")
        packed.write_bytes(gzip.compress(old.read_bytes()))
        old.unlink()
        old = packed
    mail_log.write_text("fourth\n")
    piece = follow(mail_log, place)
    assert (piece.lines, piece.at_end) == (["second", "third"], False)  # its writer may still have it open
    _age(old, 60)
    piece = follow(mail_log, piece.place)
    assert (piece.lines, piece.gap, piece.at_end) == (["fourth"], "", True)


def test_copied_and_truncated_is_no_gap_while_the_copy_is_there(mail_log: Path) -> None:
    place = follow(mail_log, budget=5).place
    copy = mail_log.with_name("mail.log.1")
    copy.write_bytes(mail_log.read_bytes())
    _age(copy, 60)
    mail_log.write_text("new 1\n")
    piece = follow(mail_log, place)
    assert (piece.lines, piece.gap) == (["second", "new 1"], "")


def test_a_log_that_was_cut_off_is_noticed(mail_log: Path) -> None:
    place = follow(mail_log).place
    mail_log.write_text("other\n")
    piece = follow(mail_log, place)
    assert piece.lines == ["other"]
    assert "gone" in piece.gap
    mail_log.write_text("first 1\n")
    assert "shorter" in follow(mail_log, place).gap


def test_a_first_look_begins_with_the_oldest_file_there_is(mail_log: Path) -> None:
    for number, age in ((2, 300), (1, 200)):
        old = mail_log.with_name(f"mail.log.{number}")
        old.write_text(f"old {number}\n")
        _age(old, age)
    mail_log.with_name("mail.log.offset").write_text("not a log\n")
    assert follow(mail_log).lines == ["old 2", "old 1", "first 1", "second"]


def test_a_line_without_end_is_passed_over(mail_log: Path) -> None:
    with mail_log.open("a") as file:
        file.write("x" * 200_000 + "\nafter\n")
    assert follow(mail_log).lines == ["first 1", "second", "after"]


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"mail\.log"):
        follow(tmp_path / "mail.log")
