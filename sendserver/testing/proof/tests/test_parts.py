"""The parts of the proof that could be wrong without anybody noticing."""

from __future__ import annotations

import json
import smtplib
import time
from pathlib import Path

import pytest

from campaigns.bench import processes
from sendserver.testing.proof import sinks
from sendserver.testing.proof.letters import read
from sendserver.testing.proof.reference import RefusedError, Source, shown_name, with_places
from sendserver.testing.proof.stage import Proof

RAW = b"Subject: x\r\n\r\n.begins with a dot\r\nends\r\n"


@pytest.mark.parametrize("groups", [True, False])
def test_a_sink_keeps_what_it_takes_and_logs_when(tmp_path: Path, groups: bool) -> None:
    with sinks.two(tmp_path, {"groups": groups, "delay": (0.01, 0.02)}, keeps=True) as pair:
        before = time.monotonic()
        with smtplib.SMTP("127.0.0.1", pair.one.port) as client:
            for number in (1, 2):
                client.sendmail("b.t@x.example", f"r{number}@y.example", RAW)
            assert client.has_extn("pipelining") is groups
        after = time.monotonic()
        pair.one.hand_over()
        assert pair.one.keep
        processes.wait_until(lambda: bool(list(pair.one.keep.glob("*.done"))), seconds=5, what="nothing was kept")
        kept = [taken for path in pair.one.keep.glob("*.done") for taken in read(path)]
        seen = pair.seen()
        assert pair.counts() == [2, 0]
    assert [(one.sender, one.recipient, one.raw) for one in kept] == [
        ("b.t@x.example", f"r{number}@y.example", RAW) for number in (1, 2)
    ]
    assert [(one.sink, one.recipient) for one in seen] == [(1, "r1@y.example"), (1, "r2@y.example")]
    assert all(before < one.came < one.answered < after and one.answered - one.came >= 0.01 for one in seen)


def test_a_claim_that_does_not_hold_is_a_problem() -> None:
    proof = Proof("stop", {"seconds": 1.5})
    proof.claim(True, "never said")
    assert json.loads(proof.as_json()) == {"point": "stop", "seconds": 1.5, "ok": True}
    proof.claim(False, "too late")
    assert json.loads(proof.as_json()) == {"point": "stop", "seconds": 1.5, "ok": False, "problems": ["too late"]}


def test_the_reference_finds_the_place_of_each_value() -> None:
    html = '<a href="{{ u }}" title="{{ t }}">{{ a }}</a>'
    html += '<a href="x?{{ q }}&{{ r | url_encode }}">{% if n > 3 %}b{% endif %}'
    assert with_places(html, "as_html") == (
        '<a href="{{ u | as_address }}" title="{{ t | as_html }}">{{ a | as_html }}</a>'
        '<a href="x?{{ q | as_query }}&{{ r | url_encode | as_html }}">{% if n__number > 3 %}b{% endif %}'
    )


def test_the_reference_by_examples_written_by_hand() -> None:
    source = Source("Hi {{ n }}", "{{ n }}\n", '<a href="https://x.example/?q={{ n }}">{{ n }}</a>\n')
    said = source.said({"n": "<O'Hara & Söhne>"})
    assert said.subject == "Hi <O'Hara & Söhne>"
    assert said.text == "<O'Hara & Söhne>\r\n".encode()
    query = "%3CO%27Hara%20%26%20S%C3%B6hne%3E"
    shown = "&lt;O&#x27;Hara &amp; Söhne&gt;"
    assert said.html == f'<a href="https://x.example/?q={query}">{shown}</a>\r\n'.encode()
    for refused in ("", "a\0b", "a\u2028b", "a\nb", "a\u202eb", "x" * 1000):
        with pytest.raises(RefusedError):
            source.said({"n": refused})
    assert shown_name('"Evil" <evil@evil.example>,', "B\r\nc") == "Evil evil evil.example B c"
