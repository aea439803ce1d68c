"""From pasted text to the delivery: grades, mangled text, forged bodies, limits."""

from __future__ import annotations

import pytest

from abuse.finding import describe
from abuse.matching import MAX_BYTES, match_source, match_token, parse
from abuse.tests import make
from accounts.models import Organization
from sendserver.lib import tokens

pytestmark = pytest.mark.django_db


def test_whole_source_is_grade_a(larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield))
    match = match_source(make.source_of(to).encode())
    assert (match.grade, match.delivery, match.organization, match.altered) == ("A", to, larkfield, False)
    assert match.signs[0] == ("list-unsubscribe", "signed token")


@pytest.mark.parametrize(
    "mangle",
    [
        lambda text: text.replace("\r\n", "\n"),
        lambda text: text.replace("\r\n", "\r"),
        lambda text: "\r\n".join("> " + line for line in text.split("\r\n")),
        lambda text: text.upper(),
        lambda text: text.replace("Return-Path", "X-Gone").replace("List-Unsubscribe", "X-Gone2"),
        lambda text: "  " + text.replace(" ", "   "),
    ],
)
def test_damaged_source_is_still_found(larkfield: Organization, mangle: object) -> None:
    to = make.delivery(make.campaign(larkfield))
    match = match_source(mangle(make.source_of(to)).encode())  # type: ignore[operator]
    assert (match.grade, match.delivery) == ("A", to)


def test_link_broken_by_quoted_printable_in_the_body(larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield))
    sign = make.token(to)
    match = match_source(f"Subject: x\n\nhttps://localhost/u/{sign[:10]}=\n{sign[10:]}/".encode())
    assert (match.grade, match.delivery) == ("A", to)


def test_altered_body_and_foreign_sender_are_flagged(larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield))
    other = "Your parcel waits, pay customs charges immediately using the following secure gateway before midnight "
    other += "otherwise everything returns towards overseas warehouse without further warning whatsoever today friend"
    assert match_source(make.source_of(to, body=other).encode()).altered
    assert match_source(make.source_of(to, body="see https://evil.example/login").encode()).altered
    assert match_source(make.source_of(to, sender="bank@bank.example").encode()).altered
    assert not match_source(make.source_of(to, body="").encode()).altered


@pytest.mark.parametrize("place", [0, 1, 2, 13, 27])
def test_changed_token_proves_nothing(larkfield: Organization, place: int) -> None:
    sign = make.token(make.delivery(make.campaign(larkfield)))
    wrong = sign[:place] + ("b" if sign[place] != "b" else "c") + sign[place + 1 :]
    assert match_token(wrong).grade == "X"


def test_token_for_another_purpose_proves_nothing(larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield))
    for purpose in (tokens.Purpose.CAMPAIGN, tokens.Purpose.CASE, tokens.Purpose.CONTACT):
        assert match_token(tokens.seal(purpose, to.pk)).grade == "X"
    assert match_token(make.token(to)).grade == "A"


def test_weak_signs(larkfield: Organization) -> None:
    make.campaign(larkfield)
    domain = larkfield.domains.get().name
    only_from = match_source(f"From: <news@{domain}>\nSubject: x\n\n".encode())
    assert (only_from.grade, only_from.organization) == ("C", larkfield)
    with_relay = f"From: <news@{domain}>\nReceived: from out1.sendserver.example by mx\n\n".encode()
    assert (match_source(with_relay).grade, match_source(with_relay).delivery) == ("B", None)
    assert match_source(b"From: <x@elsewhere.example>\n\nhello").grade == "X"
    assert match_source(b"").grade == "X"


def test_weak_match_shows_no_recipient(larkfield: Organization) -> None:
    make.delivery(make.campaign(larkfield), "ada@inbox.example")
    domain = larkfield.domains.get().name
    found = describe(match_source(f"From: <n@{domain}>\nTo: ada@inbox.example\n\n".encode()))
    assert (found.ours, found.proven, found.sender, found.recipient) == (True, False, "", "")


def test_proven_match_masks_the_address(larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield), "ada@inbox.example")
    found = describe(match_token(make.token(to)))
    assert (found.sender, found.recipient, found.proven) == (larkfield.name, "a…@inbox.example", True)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe\x00" * 1000,
        b"A:" * 200_000,
        b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n" * 50_000,
        ("k1" + "a" * 26 + " ").encode() * 20_000,
        b"\n" * 500_000,
        b"X" * (MAX_BYTES + 10),
    ],
)
def test_hostile_input_is_only_read(raw: bytes) -> None:
    assert match_source(raw).grade == "X"


def test_parse_unfolds_headers() -> None:
    source = parse(b"A: 1\r\n 2\r\nB: x\r\n\r\nbody: y")
    assert (source.headers, source.body) == ({"a": ["12"], "b": ["x"]}, "body: y")
