"""What a compiled message is made of: encoded literals, gaps, and the pieces that recipients' values give.

Written for several recipients at a time, column by column: whatever Python does once a value it does once a column
instead. A recipient costs its share of that, and one join.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import repeat
from typing import Final, cast
from urllib.parse import quote

from campaigns.content.merge import Slot, Test, Values
from campaigns.content.quoted import apart, encode, encode_all, together
from campaigns.errors import RenderError

CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
WEB_ADDRESS: Final = re.compile(r"https?://|mailto:", re.IGNORECASE)
KNOWN_MAX: Final = 96  # values of one field whose pieces are kept
Known = list[Sequence[bytes] | None]  # by number of a piece, its column: the piece of each recipient


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
    first name is encoded once, not once a recipient. What is new is encoded for several recipients at a time.
    """

    __slots__ = ("_are_words", "_known", "end", "places", "slot", "start")

    def __init__(self, slot: Slot, places: Sequence[Place], start: int) -> None:
        self.slot, self.places = slot, tuple(places)
        self.start, self.end = start, start + len(places)  # the numbers of its pieces
        self._known: dict[str, tuple[bytes, ...]] = {}
        self._are_words = all(place.context in ("text", "html") for place in places)

    def columns(self, values: Sequence[Values]) -> list[tuple[bytes, ...]]:
        """Return a column for each place; RenderError when a recipient's value may not stand in one of them."""
        field, known = self.slot.field, self._known
        raws = [one.get(field, "") for one in values]
        found = [known.get(raw) for raw in raws]
        if None in found:
            fresh = [raw for raw, pieces in zip(raws, found, strict=True) if pieces is None]
            made = self._encode(fresh)
            if len(known) + len(made) > KNOWN_MAX:
                known.clear()
            known.update(zip(fresh, made, strict=True))
            rest = iter(made)
            found = [next(rest) if pieces is None else pieces for pieces in found]
        return list(zip(*cast(list[tuple[bytes, ...]], found), strict=True))

    def _encode(self, raws: Sequence[str]) -> list[tuple[bytes, ...]]:
        """Return the pieces, one a place, of each raw value."""
        texts = self.slot.column(raws)
        joined = together(texts) if self._are_words else None
        if joined is None or CONTROLS.search(joined):
            return [tuple([encode(place.escaped(text)) for place in self.places]) for text in texts]
        columns = {"text": encode_all(texts)}
        marked = escape(joined)
        columns["html"] = columns["text"] if marked == joined else encode_all(apart(marked))
        return list(zip(*[columns[place.context] for place in self.places], strict=True))


@dataclass(frozen=True, eq=False)
class Fork:
    """A compiled condition: arms of (test, segment)."""

    arms: tuple[tuple[Test, Segment], ...]

    def column(self, values: Sequence[Values], known: Known) -> Sequence[bytes]:
        """Return the bytes of the first arm whose test holds, for each recipient; none of an arm that none takes."""
        chosen = [self._arm(one) for one in values]
        arms = set(chosen)
        if len(arms) == 1:
            arm = arms.pop()
            return [b""] * len(values) if arm is None else self.arms[arm][1].column(values, known)
        written = [b""] * len(values)
        for arm in arms - {None}:
            rows = [row for row, one in enumerate(chosen) if one == arm]
            some: Known = [column and [column[row] for row in rows] for column in known]
            pieces = self.arms[cast(int, arm)][1].column([values[row] for row in rows], some)
            for row, piece in zip(rows, pieces, strict=True):
                written[row] = piece
        return written

    def _arm(self, values: Values) -> int | None:
        for number, (test, _) in enumerate(self.arms):
            if test.holds(values):
                return number
        return None


@dataclass(frozen=True, eq=False)
class Segment:
    """Literals at even places, gaps at odd ones. A gap has the number of its piece among all of the message."""

    pieces: tuple[bytes, ...]
    gaps: tuple[int, ...]
    groups: tuple[Group, ...]  # those that stand here; what only an arm needs is not asked for outside it
    forks: tuple[tuple[int, Fork], ...]

    @cached_property
    def _literals(self) -> list[Iterator[bytes]]:
        return [repeat(piece) for piece in self.pieces]

    def parts(self, values: Sequence[Values], known: Known) -> list[Iterable[bytes]]:
        """Return what to zip and join for the bytes of each recipient; endless where nothing depends on them.

        `known` keeps what was encoded, by number.
        """
        for group in self.groups:
            if known[group.start] is None:
                known[group.start : group.end] = group.columns(values)
        for number, fork in self.forks:
            known[number] = fork.column(values, known)
        parts: list[Iterable[bytes]] = list(self._literals)
        parts[1::2] = [cast(Sequence[bytes], known[gap]) for gap in self.gaps]
        return parts

    def column(self, values: Sequence[Values], known: Known) -> Sequence[bytes]:
        """Return the bytes for each recipient."""
        if not self.gaps:
            return [self.pieces[0]] * len(values)
        return list(map(b"".join, zip(*self.parts(values, known), strict=False)))


@dataclass(frozen=True)
class Frames:
    """Pieces of which only a token differs between recipients: (first number, what stands before and behind it)."""

    groups: tuple[tuple[int, int, tuple[tuple[bytes, bytes], ...]], ...]
    fields: frozenset[str]  # whose every place is among them

    def fill(self, known: Known, tokens: Sequence[bytes]) -> None:
        """Put in the columns of recipients with these tokens."""
        for start, end, pairs in self.groups:
            known[start:end] = [[before + token + behind for token in tokens] for before, behind in pairs]


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
