"""Conditions as they are kept: groups of comparisons, one level deep. Shape and sizes are checked here, meaning by
compliance.segments.vocabulary. Pure.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from compliance import policy
from compliance.errors import SegmentRefusedError
from sendserver.lib import chain

ALL, ANY = "all", "any"
MATCHES: Final = (ALL, ANY)
VALUE: Final = 200  # characters of a value
SUBJECT: Final = 60
OP: Final = 20


@dataclass(frozen=True)
class Condition:
    """One comparison: a key of subjects.FIXED or own:<uid>, a comparison, its value ("" where it takes none)."""

    subject: str
    op: str
    value: str = ""


@dataclass(frozen=True)
class Group:
    """Some conditions, of which all or any must hold."""

    match: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Conditions:
    """Some groups, of which all or any must hold."""

    match: str
    groups: tuple[Group, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the conditions as they are stored and hashed."""
        return {
            "match": self.match,
            "groups": [
                {"match": group.match, "conditions": [vars(one) for one in group.conditions]} for group in self.groups
            ],
        }

    @property
    def digest(self) -> bytes:
        """Return what stands for these conditions, SHA-256, 32 bytes."""
        return hashlib.sha256(chain.canonical(self.to_json())).digest()

    def every(self) -> list[Condition]:
        """Return all conditions of all groups."""
        return [one for group in self.groups for one in group.conditions]


def from_json(stored: object) -> Conditions:
    """Return conditions from JSON; SegmentRefusedError unless its shape and sizes are just those of to_json().

    Looks exactly three levels deep, so that depth costs nothing.
    """
    top = _object(stored, {"match", "groups"})
    groups = _list(top["groups"], policy.SEGMENT_GROUPS, "groups")
    found = Conditions(_match(top["match"]), tuple(_group(one) for one in groups))
    if len(found.every()) > policy.SEGMENT_CONDITIONS:
        raise SegmentRefusedError(f"At most {policy.SEGMENT_CONDITIONS} conditions.")
    return found


def _group(stored: object) -> Group:
    group = _object(stored, {"match", "conditions"})
    conditions = _list(group["conditions"], policy.SEGMENT_CONDITIONS, "conditions")
    if not conditions:
        raise SegmentRefusedError("Add at least one condition to each group.")
    return Group(_match(group["match"]), tuple(_condition(one) for one in conditions))


def _condition(stored: object) -> Condition:
    one = _object(stored, {"subject", "op", "value"})
    for name, most in (("subject", SUBJECT), ("op", OP), ("value", VALUE)):
        text = one[name]
        if not isinstance(text, str) or len(text) > most or "\x00" in text:
            raise SegmentRefusedError("One of the conditions cannot be read.")
    return Condition(one["subject"], one["op"], one["value"])


def _match(stored: object) -> str:
    if stored not in MATCHES:
        raise SegmentRefusedError("Choose whether all or any of them must hold.")
    return str(stored)


def _object(stored: object, names: set[str]) -> dict[str, Any]:
    if not isinstance(stored, dict) or set(stored) != names:
        raise SegmentRefusedError("These conditions cannot be read.")
    return stored


def _list(stored: object, most: int, word: str) -> list[Any]:
    if not isinstance(stored, list) or not stored:
        raise SegmentRefusedError("Add at least one condition.")
    if len(stored) > most:
        raise SegmentRefusedError(f"At most {most} {word}.")
    return stored
