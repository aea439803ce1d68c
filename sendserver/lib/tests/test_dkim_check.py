"""Our reading of signatures against an independent signer, dkimpy."""

from __future__ import annotations

import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sendserver.lib.dkim_check import check, parse_tags

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
)
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()
MESSAGE = (
    b"From: Larkfield <news@mail.larkfield.example>\r\nTo: ada@town.example\r\nSubject: Six  days\r\n of\twarm soil\r\n"
    b"Date: Tue, 03 Nov 2026 10:19:58 +0000\r\nMessage-ID: <a@b>\r\n\r\nHello  Ada \t\r\n\r\n line\r\n\r\n\r\n"
)


def key_text(name: str) -> str:
    return f"v=DKIM1; k=rsa; p={PUBLIC}" if name == "p1._domainkey.larkfield.example" else ""


def signed(message: bytes = MESSAGE, **options: object) -> bytes:
    fields = [b"from", b"to", b"subject", b"date", b"message-id", b"from", b"cc"]
    return (
        dkim.sign(
            message,
            b"p1",
            b"larkfield.example",
            PEM,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=fields,
            **options,
        )
        + message
    )


def test_a_right_signature_holds_and_names_what_it_covers() -> None:
    [signature] = check(signed(), key_text)
    assert signature.fault == ""
    assert (signature.domain, signature.selector) == ("larkfield.example", "p1")
    assert signature.signed == ("from", "to", "subject", "date", "message-id", "from", "cc")


def test_trace_headers_above_change_nothing() -> None:
    assert check(b"Return-Path: <x@y>\r\nReceived: from a\r\n\tby b\r\n" + signed(), key_text)[0].holds


def test_two_signatures_are_judged_apart() -> None:
    twice = signed(signed())
    assert [signature.holds for signature in check(twice, key_text)] == [True, True]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"Hello", b"Hallo", "the body was changed"),
        (b"Six  days", b"Ten days", "the header was changed"),
        (b"\r\nTo:", b"\r\nFrom: eve@x.example\r\nTo:", "the header was changed"),
        (b"Six  days", b"Six days", ""),
        (b"line\r\n\r\n\r\n", b"line\r\n", ""),
        (b"s=p1", b"s=p9", "the key was not found"),
        (b"a=rsa-sha256", b"a=rsa-sha1", "not understood"),
    ],
)
def test_what_breaks_it_and_what_does_not(old: bytes, new: bytes, fault: str) -> None:
    message = signed()
    assert message.count(old) >= 1
    assert check(message.replace(old, new, 1), key_text)[0].fault == fault


@pytest.mark.parametrize("text", ["", "v=DKIM1; p=", "v=DKIM1; p=!!!", "v=DKIM1; p=QUJD"])
def test_a_key_that_is_none(text: str) -> None:
    assert check(signed(), lambda _: text)[0].fault == "the key was not found"


def test_an_unsigned_message_has_no_signature() -> None:
    assert check(MESSAGE, key_text) == []


def test_tags() -> None:
    assert parse_tags(" v=1; b=ab\r\n\tcd ; h=a : b;") == {"v": "1", "b": "abcd", "h": "a:b"}
