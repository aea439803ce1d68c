"""Addresses: what is accepted, why not, and that one mailbox has one key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendserver.lib.addresses import (
    Address,
    AddressKey,
    BadAddress,
    masked,
    parse,
    suppression_hash,
    suppression_hasher,
    suppression_hashes,
    to_ascii_domain,
)


@pytest.mark.parametrize(
    ("value", "original", "key"),
    [
        ("ada@example.org", "ada@example.org", "ada@example.org"),
        ("  Ada@Example.ORG ", "Ada@example.org", "ada@example.org"),
        ("ada+news@bücher.example", "ada+news@xn--bcher-kva.example", "ada+news@xn--bcher-kva.example"),
        ("o'hara@example.org", "o'hara@example.org", "o'hara@example.org"),
    ],
)
def test_accepted(value: str, original: str, key: str) -> None:
    assert parse(value) == Address(original, AddressKey(key))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "empty"),
        ("ada", "no_at_sign"),
        ("@example.org", "no_at_sign"),
        ("a@b@example.org", "not_one_address"),
        ("a@example.org,b@example.org", "not_one_address"),
        ("<ada@example.org>", "not_one_address"),
        ("ada@example.org\r\nBcc: x@example.org", "control_character"),
        ("ada\x00@example.org", "control_character"),
        ("ada\u200b@example.org", "control_character"),
        ("ada\u202e@example.org", "control_character"),
        ('"a b"@example.org', "quoted_or_literal"),
        ("ada@[192.0.2.1]", "quoted_or_literal"),
        ("ada(comment)@example.org", "quoted_or_literal"),
        ("käthe@example.org", "non_ascii_local_part"),
        ("a..b@example.org", "bad_local_part"),
        (".ada@example.org", "bad_local_part"),
        ("a" * 65 + "@example.org", "too_long"),
        ("ada@example", "bad_domain"),
        ("ada@-example.org", "bad_domain"),
        ("ada@example..org", "bad_domain"),
        ("ada@192.0.2.1", "bad_domain"),
        ("a" * 20 + "@" + ".".join(["a" * 60] * 4) + ".org", "too_long"),
    ],
)
def test_refused(value: str, reason: str) -> None:
    result = parse(value)
    assert isinstance(result, BadAddress)
    assert result.reason == reason


@given(st.text(max_size=300))
def test_any_text_is_parsed_or_refused_and_nothing_accepted_can_break_a_header(value: str) -> None:
    result = parse(value)
    if isinstance(result, Address):
        assert result.original.isascii()
        assert result.original.isprintable()
        assert " " not in result.original
        assert result.original.count("@") == 1
        assert parse(result.original) == result


def test_dots_and_tags_keep_people_apart() -> None:
    keys = {parse(value).key for value in ("j.doe@example.org", "jdoe@example.org", "jdoe+x@example.org")}  # type: ignore[union-attr]
    assert len(keys) == 3


def test_unicode_and_ascii_form_of_a_domain_are_one() -> None:
    assert to_ascii_domain("BÜCHER.example") == to_ascii_domain("xn--bcher-kva.example")


def test_hashes_follow_the_newest_key_and_find_the_old_ones(settings: object) -> None:
    key = AddressKey("ada@example.org")
    before = suppression_hash(key)
    settings.SUPPRESSION_KEYS = {"k2": b"\x02" * 32, **settings.SUPPRESSION_KEYS}  # type: ignore[attr-defined]
    assert suppression_hash(key) != before
    assert suppression_hashes(key) == [suppression_hash(key), before]
    hash_of = suppression_hasher()
    assert [hash_of(one) for one in (key, AddressKey("ben@example.org"), key)] == [
        suppression_hash(key),
        suppression_hash(AddressKey("ben@example.org")),
        suppression_hash(key),
    ]


def test_logs_see_no_whole_address() -> None:
    assert masked("ada@example.org") == "a…@example.org"
    assert masked("nonsense") == "…"
