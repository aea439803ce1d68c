"""Bounces, reports and replies that nobody here wrote, against the labels of their authors."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.bounces import HARD, BounceClass, diagnose
from campaigns.inbound import arf, parts
from campaigns.inbound.auto_reply import says_stop
from campaigns.inbound.reading import Kind, read

CORPUS = Path(__file__).parent / "corpus"


def _labels(folder: str) -> list[dict[str, str]]:
    with (CORPUS / folder / "labels.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _is_hard(raw: bytes) -> bool:
    reading = read(raw)
    return reading.kind is Kind.BOUNCE and reading.bounce is not None and reading.bounce.diagnosis.bounce_class in HARD


def test_no_false_hard_and_most_hard_ones_are_found() -> None:
    right: Counter[bool] = Counter()
    for row in _labels("bounces"):
        hard = _is_hard((CORPUS / "bounces" / row["file"]).read_bytes())
        if row["coarse_class"] == "hard_address":
            right[hard] += 1
        else:
            assert not hard, row
    assert right[True] / right.total() >= 0.7


def test_complaints_and_reports_are_told_apart() -> None:
    wanted = {"complaint": {Kind.COMPLAINT}, "auth_failure_report": {Kind.FEEDBACK}}
    for row in _labels("bounces"):
        if row["coarse_class"] in wanted:
            assert read((CORPUS / "bounces" / row["file"]).read_bytes()).kind in wanted[row["coarse_class"]], row


def test_the_opt_out_mail_says_stop() -> None:
    found = [row for row in _labels("bounces") if row["coarse_class"] == "opt_out"]
    assert found
    assert all(read((CORPUS / "bounces" / row["file"]).read_bytes()).says_stop for row in found)


def test_old_formats_are_seen_as_reports() -> None:
    seen = [read((CORPUS / "plain" / row["file"]).read_bytes()).kind for row in _labels("plain")]
    assert seen.count(Kind.BOUNCE) + seen.count(Kind.DELAYED) >= 0.9 * len(seen)
    temporary = [row for row in _labels("plain") if row["class"] == "temporary"]
    assert not any(_is_hard((CORPUS / "plain" / row["file"]).read_bytes()) for row in temporary)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("arf/*.eml")), ids=lambda path: path.name)
def test_feedback_reports_read_as_expected(path: Path) -> None:
    feedback = arf.read(parts.parse(path.read_bytes()))
    assert feedback is not None
    expected = path.with_suffix(".json")
    if expected.exists():
        wanted = json.loads(expected.read_text())
        assert feedback.feedback_type.replace("-", "") == wanted["feedback_type"].lower()
        assert feedback.original_mail_from == (wanted["original_mail_from"] or "").strip("<>")
        assert feedback.source_ip == (wanted["source_ip"] or "")


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "expected"),
    [
        (550, "5.1.1", "no such user", BounceClass.HARD_RECIPIENT),
        (552, "5.2.2", "over quota", BounceClass.FULL),
        (550, "5.7.1", "message rejected as spam", BounceClass.BLOCK_REPUTATION),
        (550, "5.7.26", "unauthenticated", BounceClass.BLOCK_AUTH),
        (421, "", "TSS04 deferred", BounceClass.BLOCK_REPUTATION),
        (451, "4.7.1", "Greylisting in action", BounceClass.TRANSIENT),  # rules section 4: asked of everybody
        (450, "4.7.1", "greylisted, reputation unknown", BounceClass.TRANSIENT),
        (451, "4.7.1", "temporarily refused", BounceClass.BLOCK_REPUTATION),
        (421, "4.7.28", "greylisted for an unusual rate", BounceClass.BLOCK_REPUTATION),
        (450, "4.2.1", "try again", BounceClass.TRANSIENT),
        (550, "", "User unknown", BounceClass.HARD_RECIPIENT),
        (550, "", "", BounceClass.SOFT),
        (554, "", "", BounceClass.BLOCK_REPUTATION),
        (550, "5.1.1", "rejected: your host is blocked", BounceClass.BLOCK_REPUTATION),
        (550, "5.1.1", "mailbox full", BounceClass.FULL),
        (450, "", "user unknown", BounceClass.TRANSIENT),
        (550, "5.1.10", "null MX", BounceClass.HARD_RECIPIENT),
        (None, "5.4.4", "", BounceClass.HARD_DOMAIN),
        (550, "5.3.4", "message too big", BounceClass.SOFT),
        (550, "5.7.515", "does not meet the required authentication level", BounceClass.BLOCK_AUTH),
        (None, "", "", BounceClass.UNKNOWN),
    ],
)
def test_codes_and_words(code: int | None, enhanced: str, text: str, expected: BounceClass) -> None:
    assert diagnose(code, enhanced, text).bounce_class == expected


@given(st.integers(400, 499), st.sampled_from(["", "4.1.1", "4.2.2", "4.7.0"]), st.text(max_size=200))
def test_a_temporary_refusal_never_condemns(code: int, enhanced: str, text: str) -> None:
    assert diagnose(code, enhanced, text + " user unknown").bounce_class not in HARD


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=2000))
def test_the_reader_survives_anything(raw: bytes) -> None:
    read(raw)
    read(
        b"Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n" + raw
    )


def test_nesting_and_size_are_bounded() -> None:
    deep = b""
    for number in range(300):
        deep += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number)
    wide = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\na\r\n" * 20_000
    for raw in (deep, wide, b"X: " + b"a" * 5_000_000, b"\n" * 1_000_000):
        began = time.monotonic()
        read(raw)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("subject", "body", "expected"),
    [
        ("unsubscribe", "", True),
        ("Re: Come and dig", "STOP\n\nOn Monday Larkfield wrote:\n> unsubscribe here", True),
        ("Re: Come and dig", "Bitte abmelden.\n", True),
        ("Re: Come and dig", "Please remove me from your list.", True),
        ("Re: Come and dig", "I will come. Where do I park?\n\n> unsubscribe", False),
        ("Re: Come and dig", "Do not stop sending these, I love them!\nBest\nAda\nSt Ives\nCornwall", False),
    ],
)
def test_stop_words_are_the_persons_own(subject: str, body: str, expected: bool) -> None:
    assert says_stop(parts.parse(f"Subject: {subject}\r\n\r\n{body}".encode())) is expected


def test_an_absence_note_is_never_a_bounce() -> None:
    raw = (
        b"From: ada@inbox.example\r\nSubject: Out of office: user unknown here\r\nAuto-Submitted: auto-replied\r\n"
        b"Return-Path: <>\r\n\r\n550 5.1.1 User unknown, back on Monday"
    )
    assert read(raw).kind is Kind.AUTO_REPLY
