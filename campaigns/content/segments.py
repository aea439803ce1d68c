"""What a compiled message is made of: encoded literals, gaps, and the pieces that one recipient's values give.

A recipient costs the encoding of what was not encoded before, and one join.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from operator import itemgetter
from typing import Final
from urllib.parse import quote

from campaigns.content.merge import Slot, Test, Values
from campaigns.content.quoted import SOFT, encode, is_bare
from campaigns.errors import RenderError

CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
WEB_ADDRESS: Final = re.compile(r"https?://|mailto:", re.IGNORECASE)
KNOWN_MAX: Final = 512  # values of one field whose pieces are kept
Known = list[bytes | None]  # a recipient's pieces by number


@dataclass(frozen=True)
class Place:
    """A slot with where it stands: "text", "html", "url" (begins a link) or "query" (inside one)."""

    slot: Slot
    context: str

    def write(self, values: Values) -> str:
        """Return the value, escaped for its place; RenderError when it may not stand there."""
        return self.escaped(self.slot.value(values))

    def escaped(self, value: str) -> str:
        """Return the slot's `value`, escaped for this place; RenderError when it may not stand here."""
        if value.isalnum() and self.context in ("text", "html"):
            return value  # a letter or a digit is neither a control nor a mark of HTML
        if CONTROLS.search(value):
            raise RenderError(self.slot.field, "control character")
        if self.context == "text":
            return value
        if self.context == "url" and not WEB_ADDRESS.match(value):
            raise RenderError(self.slot.field, "not a web address")
        if self.context == "query" and not any(name == "url_encode" for name, _ in self.slot.filters):
            value = quote(value, safe="")
        return escape(value)


class Group:
    """One slot in every context it occurs in, and what its last values were encoded to.

    A place's bytes follow from the one value of its field alone, so they are kept by that value: a town, a season or a
    first name is encoded once, not once a recipient.
    """

    __slots__ = ("_is_words", "_known", "end", "places", "slot", "start")

    def __init__(self, slot: Slot, places: Sequence[Place], start: int) -> None:
        self.slot, self.places = slot, tuple(places)
        self.start, self.end = start, start + len(places)  # the numbers of its pieces
        self._known: dict[str, list[bytes]] = {}
        self._is_words = all(place.context in ("text", "html") for place in places)

    def encoded(self, values: Values) -> list[bytes]:
        """Return the piece for each place; RenderError when the value may not stand in one of them."""
        raw = values.get(self.slot.field, "")
        found = self._known.get(raw)
        if found is None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            found = self._known[raw] = self._encode(values)
        return found

    def _encode(self, values: Values) -> list[bytes]:
        value = self.slot.value(values)
        if self._is_words and is_bare(value):  # neither HTML nor quoted-printable writes any of it differently
            return [value.encode("ascii") + SOFT] * len(self.places)
        pieces: dict[str, bytes] = {}  # in most contexts the value is written alike
        texts = [place.escaped(value) for place in self.places]
        for text in texts:
            if text not in pieces:
                pieces[text] = encode(text)
        return [pieces[text] for text in texts]


@dataclass(frozen=True, eq=False)
class Fork:
    """A compiled condition: arms of (test, segment)."""

    arms: tuple[tuple[Test, Segment], ...]

    def write(self, values: Values, known: Known) -> bytes:
        """Return the bytes of the first arm whose test holds."""
        for test, segment in self.arms:
            if test.holds(values):
                return segment.write(values, known)
        return b""


@dataclass(frozen=True, eq=False)
class Segment:
    """Literals at even places, gaps at odd ones. A gap has the number of its piece among all of the message."""

    pieces: tuple[bytes, ...]
    gaps: tuple[int, ...]
    groups: tuple[Group, ...]  # those that stand here; what only an arm needs is not asked for outside it
    forks: tuple[tuple[int, Fork], ...]

    @cached_property
    def _pick(self) -> Callable[[Known], Sequence[bytes]]:
        gaps = self.gaps
        return itemgetter(*gaps) if len(gaps) > 1 else lambda known: [known[number] for number in gaps]  # type: ignore[misc]

    def write(self, values: Values, known: Known) -> bytes:
        """Return the bytes for one recipient; `known` keeps what was encoded, by number."""
        for group in self.groups:
            if known[group.start] is None:
                known[group.start : group.end] = group.encoded(values)
        for number, fork in self.forks:
            known[number] = fork.write(values, known)
        pieces = list(self.pieces)
        pieces[1::2] = self._pick(known)
        return b"".join(pieces)


@dataclass(frozen=True)
class Frames:
    """Pieces of which only a token differs between recipients: (first number, what stands before and behind it)."""

    groups: tuple[tuple[int, int, tuple[tuple[bytes, bytes], ...]], ...]
    fields: frozenset[str]  # whose every place is among them

    def fill(self, known: Known, token: bytes) -> None:
        """Put in the pieces of one recipient."""
        for start, end, pairs in self.groups:
            known[start:end] = [before + token + behind for before, behind in pairs]


def around(
    ones: Sequence[bytes], twos: Sequence[bytes], one: bytes, two: bytes
) -> tuple[tuple[bytes, bytes], ...] | None:
    """Return what stands around the token in each piece, or None when the token is not all that differs."""
    pairs = []
    for first, second in zip(ones, twos, strict=True):
        before, found, behind = first.partition(one)
        if not found or before + two + behind != second:
            return None
        pairs.append((before, behind))
    return tuple(pairs)
