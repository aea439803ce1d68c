"""Header texts and the last look at the bytes of a message."""

from __future__ import annotations

import re
from email import message_from_string
from email.header import decode_header, make_header
from email.policy import default
from email.utils import parseaddr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaigns.errors import RenderError
from campaigns.sending import mime

PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1, max_size=300)
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)|\x00")
_LONG = re.compile(rb"[^\r\n]{999,}")
LINES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"x" * 997, b"y", b"z" * 998, b"w" * 999]), max_size=12)


@given(LINES.map(b"".join))
@example(b"x" * 998 + b"\r\n")
@example(b"x" * 999 + b"\r\n")
@example(b"\r\n" + b"x" * 998)
@example(b"\r\n" + b"x" * 999)
@example(b"a\rb\nc")
def test_the_last_look_refuses_what_a_relay_could_read_otherwise(message: bytes) -> None:
    refused = bool(_BARE.search(message) or _LONG.search(message))
    try:
        mime._check(message)
    except RenderError:
        assert refused
    else:
        assert not refused


@given(PRINTABLE)
@example("Grüße aus dem Garten " * 9)
@example("=?utf-8?q?no_word_of_ours?=")
@example("a" * 200)
@example("word " * 60)
def test_a_header_text_comes_back_and_its_lines_are_short(text: str) -> None:
    text = text.strip() or "x"
    written = mime.encoded("Subject", text)
    lines = f"Subject: {written}".split("\r\n")
    assert all(line[0] == " " and line.strip() for line in lines[1:])
    assert all(len(line) <= 76 for line in lines) or (text.isascii() and max(map(len, text.split(" "))) > 60)
    assert all(len(word) <= 75 for word in written.split() if word.startswith("=?utf-8?b?"))
    assert str(make_header(decode_header(written.replace("\r\n", "")))) == text


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "\u202eevil", "a\x85b"])
def test_a_control_in_a_header_is_refused(text: str) -> None:
    with pytest.raises(RenderError):
        mime.encoded("Subject", text)
    with pytest.raises(RenderError):
        mime.mailbox(text, "a@b.example")


def test_a_name_that_looks_encoded_is_not_decoded_by_whoever_reads_it() -> None:
    name = "=?utf-8?q?=0D=0ABcc=3A_all_victims.example?="
    written = mime.mailbox(name, "reader@inbox.example")
    read = message_from_string(f"To: {written}\r\n\r\n", policy=default)["To"].addresses
    assert [one.addr_spec for one in read] == ["reader@inbox.example"]
    shown, _ = parseaddr(written.replace("\r\n", ""))
    assert str(make_header(decode_header(shown))) == name


@pytest.mark.parametrize("name", ["Ada", "O'Hara-Smith Jr", "J. R. Reed", "a, b", "Zoë Ünal", 'a "b" c', "x" * 78, ""])
def test_a_mailbox_reads_back(name: str) -> None:
    written = mime.mailbox(name, "reader@inbox.example")
    read, address = parseaddr(written.replace("\r\n", ""))
    assert address == "reader@inbox.example"
    assert str(make_header(decode_header(read))) == name
