"""The hash that chains evidence."""

from __future__ import annotations

import pytest

from sendserver.lib import chain

RECORD = {"action": "list.attested", "detail": {"rows": 3}, "text": "Grüße"}


def test_a_link_binds_its_predecessor() -> None:
    """Else a record could be taken out and its follower pointed past the gap without anybody seeing it."""
    assert chain.link(b"a" * 32, RECORD) != chain.link(b"b" * 32, RECORD)


def test_a_link_binds_every_part_of_its_record() -> None:
    before = chain.link(b"a" * 32, RECORD)
    assert chain.link(b"a" * 32, {**RECORD, "detail": {"rows": 4}}) != before
    assert chain.link(b"a" * 32, {**RECORD, "more": None}) != before


def test_the_order_of_keys_is_no_part_of_it() -> None:
    assert chain.link(b"", {"a": 1, "b": 2}) == chain.link(b"", {"b": 2, "a": 1})


def test_floats_are_refused_deep_inside() -> None:
    with pytest.raises(TypeError, match="no floats"):
        chain.link(b"", {"a": [{"b": 0.1}]})
