"""Tokens: only ours open, only for their purpose, and every altered character fails (rules section 7, test 10)."""

from __future__ import annotations

import ast
import base64
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


# ---------- time: nobody learns from it how much of a guess was right


def _altered(token: str) -> list[str]:
    """Return the token with each character of its block changed but the last, of which some spellings are nobody's."""
    return [token[:at] + ("b" if token[at] == "a" else "a") + token[at + 1 :] for at in range(2, len(token) - 1)]


def test_every_token_costs_one_comparison_of_equal_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one comparison is the constant-time one, whatever was altered, and it alone decides."""
    good = tokens.seal(tokens.Purpose.DELIVERY, 7)
    tried = [good, tokens.seal(tokens.Purpose.CASE, 7), tokens.seal(tokens.Purpose.DELIVERY, 2**63), *_altered(good)]
    for verdict in (True, False):
        lengths: list[tuple[int, int]] = []

        def compare(one: bytes, other: bytes, *, verdict: bool = verdict, seen: Any = lengths) -> bool:
            seen.append((len(one), len(other)))
            return verdict

        monkeypatch.setattr(tokens.hmac, "compare_digest", compare)
        opened = [tokens.open_token(tokens.Purpose.DELIVERY, token) is not None for token in tried]
        assert lengths == [(8, 8)] * len(tried)
        assert set(opened) == {verdict}


SECRET = re.compile(r"token|secret|signature|(^|_)mac(_|$)|password|digest|otp", re.IGNORECASE)
# Equality that tells a stranger nothing: what they sent against its own shape, stored hashes of stored things.
OPEN_TO_SEE = {
    ("sendserver/lib/tokens.py", "len(token) == 28"),
    ("compliance/sealed_files.py", "hashlib.sha256(data).digest() != digest"),
    ("campaigns/approve.py", "order.segment != narrowing.digest(narrowing.chosen(locked))"),
    ("compliance/signups.py", "int.from_bytes(digest) >> 256 - policy.SIGNUP_WORK_BITS == 0"),
    ("campaigns/returning.py", "open_token(Purpose.DELIVERY, token) == NOBODY"),
    ("campaigns/sending/selftest.py", "name == SIGNATURE"),
}


def _equalities(source: str) -> Iterator[str]:
    """Yield each comparison by == or != in which something named like a secret stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops):
            parts = [part for side in (node.left, *node.comparators) for part in ast.walk(side)]
            names = [part.id for part in parts if isinstance(part, ast.Name)]
            names += [part.attr for part in parts if isinstance(part, ast.Attribute)]
            if any(SECRET.search(name) for name in names):
                yield ast.unparse(node)


def test_no_secret_is_compared_by_equality() -> None:
    root = Path(__file__).resolve().parents[3]
    places = ("sendserver", "accounts", "compliance", "campaigns", "abuse")
    files = [file for place in places for file in (root / place).rglob("*.py")]
    ours = [file for file in files if not {"tests", "testing", "migrations", "local", "bench"} & set(file.parts)]
    found = {(str(file.relative_to(root)), one) for file in ours for one in _equalities(file.read_text())}
    assert len(ours) > 200
    assert found == OPEN_TO_SEE


@pytest.mark.parametrize("line", ["token == given", "row.secret != x", "a == b.mac", "otp_code == typed"])
def test_the_search_finds_what_it_is_for(line: str) -> None:
    assert list(_equalities(line)) == [line]
