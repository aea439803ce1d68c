"""Tokens: only ours open, only for their purpose, and every altered character fails (rules section 7, test 10)."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendserver.lib import tokens
from sendserver.lib.tokens import Purpose, open_token, seal

NUMBERS = st.integers(min_value=0, max_value=2**64 - 1)


@given(NUMBERS)
def test_a_token_opens_to_its_number(number: int) -> None:
    assert open_token(Purpose.DELIVERY, seal(Purpose.DELIVERY, number)) == number


@given(NUMBERS)
def test_a_token_survives_case_folding(number: int) -> None:
    assert open_token(Purpose.DELIVERY, seal(Purpose.DELIVERY, number).upper()) == number


@given(NUMBERS)
def test_a_token_opens_for_no_other_purpose(number: int) -> None:
    assert open_token(Purpose.CASE, seal(Purpose.DELIVERY, number)) is None


def test_every_altered_character_fails() -> None:
    token = seal(Purpose.DELIVERY, 4_711)
    for position in range(len(token)):
        for char in string.ascii_lowercase + string.digits:
            altered = token[:position] + char + token[position + 1 :]
            if altered != token:
                assert open_token(Purpose.DELIVERY, altered) is None, altered


@pytest.mark.parametrize(
    "bad", ["", "k1", "k1" + "a" * 25, "k1" + "a" * 27, "k1" + "!" * 26, "é" * 28, "k9" + "a" * 26]
)
def test_what_is_no_token_opens_to_nothing(bad: str) -> None:
    assert open_token(Purpose.DELIVERY, bad) is None


def test_a_token_fits_the_local_part_of_a_return_path() -> None:
    assert len(f"b.{seal(Purpose.DELIVERY, 2**63)}") <= 64


def test_old_keys_open_and_the_first_one_seals(settings: object) -> None:
    old = seal(Purpose.DELIVERY, 7)
    settings.TOKEN_KEYS = {"k2": b"\x02" * 32, **settings.TOKEN_KEYS}  # type: ignore[attr-defined]
    assert open_token(Purpose.DELIVERY, old) == 7
    assert seal(Purpose.DELIVERY, 7).startswith("k2")
    assert tokens.seal(Purpose.DELIVERY, 7) != old


@given(st.binary(min_size=16, max_size=16))
def test_the_alphabet_is_that_of_rfc_4648(block: bytes) -> None:
    assert tokens._written(block) == base64.b32encode(block).decode().rstrip("=").lower()
