"""Hash chains over append-only rows: canonical JSON, SHA-256, previous hash (architecture rule 7)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

GENESIS = b"\x00" * 32


def canonical(record: dict[str, Any]) -> bytes:
    """Return the record as canonical JSON: sorted keys, UTF-8, no blanks, floats refused (RFC 8785 style)."""
    _refuse_floats(record)
    return json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def link(previous: bytes, record: dict[str, Any]) -> bytes:
    """Return the hash of `record` behind `previous`, 32 bytes."""
    return hashlib.sha256(canonical(record) + previous).digest()


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a chained record holds no floats: their text form is not unique")
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for item in items:
        _refuse_floats(item)
