"""The compiler that previews, test sends and the lanes share: one content in, one body per recipient out.

The skeleton is encoded once: literal quoted-printable pieces and slots. A recipient costs the encoding of its own
values and one join. Headers, DKIM and the envelope are not written here (campaigns.sending.mime).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final

from campaigns.content import merge
from campaigns.content.merge import URL_FIELDS, Branch, Program, Slot, Test, Values
from campaigns.content.quoted import encode, is_sound
from campaigns.content.segments import Fork, Frames, Group, Known, Place, Segment, around
from campaigns.errors import RenderError
from sendserver.lib import chain

HEADER_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
IN_URL: Final = re.compile(r"""(?:href|src)\s*=\s*(?:"(?P<double>[^"]*)|'(?P<single>[^']*))\Z""", re.IGNORECASE)
SUBJECT_MAX: Final = 900  # characters after merging; RFC 5322 section 2.1.1 allows a line of 998


@dataclass(frozen=True)
class MessageContent:
    """What was approved: words with merge tags. `html` is a whole document; both parts hold the URL fields as slots."""

    subject: str
    preheader: str
    from_name: str
    from_address: str
    reply_to: str
    html: str
    text: str
    list_name: str
    list_id: str
    fields: frozenset[str] = field(default_factory=frozenset)
    columns: tuple[tuple[str, str], ...] = ()  # field as written -> key of its value, where they differ

    def to_json(self) -> dict[str, Any]:
        """Return the content as it is kept in a snapshot."""
        return {**asdict(self), "fields": sorted(self.fields), "columns": [list(pair) for pair in self.columns]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> MessageContent:
        """Return the content of a snapshot; keys that are not ours (lists, links) are left alone."""
        own = {name: stored[name] for name in cls.__dataclass_fields__}
        columns = tuple((str(name), str(key)) for name, key in own["columns"])
        return cls(**{**own, "fields": frozenset(own["fields"]), "columns": columns})

    def sha256(self) -> bytes:
        """Return the hash that binds an approval to these words (rules CONTENT-SNAPSHOT), 32 bytes."""
        return hashlib.sha256(chain.canonical(self.to_json())).digest()


@dataclass(frozen=True)
class CompiledMessage:
    """A content ready to be written for one recipient after the other."""

    content: MessageContent
    boundary: str
    subject_program: Program
    html_program: Program
    text_program: Program
    skeleton: Segment
    groups: tuple[Group, ...]
    pieces: int  # how many there are to be known for a recipient

    def subject(self, values: Values) -> str:
        """Return the subject for one recipient, as `subjects`."""
        return self.subjects([values])[0]

    def subjects(self, values: Sequence[Values]) -> Sequence[str]:
        """Return each recipient's subject; RenderError when a value carries a line break or another control."""
        for name in self.subject_fields:  # RFC 5322 section 2.2: no value may end a line or begin another header
            if HEADER_UNSAFE.search("".join([one.get(name, "") for one in values])):
                raise RenderError(name, "line break or control character")
        texts = merge.render_all(self.subject_program, values)
        if max(map(len, texts)) > SUBJECT_MAX:
            raise RenderError("subject", "too long")
        return texts

    @cached_property
    def subject_fields(self) -> tuple[str, ...]:
        """Return the fields that the subject follows from."""
        return tuple(sorted(merge.fields_of(self.subject_program)))

    def body(self, values: Values) -> bytes:
        """Return the body for one recipient, as `bodies`."""
        return b"".join(next(zip(*self.bodies([values]), strict=False)))

    def bodies(
        self, values: Sequence[Values], frames: Frames | None = None, tokens: Sequence[bytes] = ()
    ) -> list[Iterable[bytes]]:
        """Return what to zip and join for each recipient's whole body (Segment.parts).

        That is multipart/alternative: CRLF lines, quoted-printable parts, closing boundary. What `frames` covers is
        taken from there, with `tokens`; `values` need not hold it.
        """
        known: Known = [None] * self.pieces
        if frames is not None:
            frames.fill(known, tokens)
        return self.skeleton.parts(values, known)

    def frames(self, values_of: Callable[[str], Values], tokens: tuple[str, str]) -> Frames:
        """Find the groups that `values_of(token)` fills and in which only the token changes, tried with two `tokens`.

        A slot with a filter that cuts or changes the token is left to be written like any other value.
        """
        one, two = (values_of(token) for token in tokens)
        framed = []
        for group in self.groups:
            if group.slot.field in one:
                ones, twos = zip(*group.columns([one, two]), strict=True)
                pairs = around(ones, twos, *(token.encode() for token in tokens))
                if pairs:
                    framed.append((group.start, group.end, pairs))
        starts = {start for start, _, _ in framed}
        tested = frozenset().union(
            *(merge.tested_fields(program) for program in (self.html_program, self.text_program))
        )
        rest = tested.union(group.slot.field for group in self.groups if group.start not in starts)
        return Frames(tuple(framed), frozenset(one) - rest - merge.fields_of(self.subject_program))

    @cached_property
    def octets(self) -> int:
        """Return how large a body is at least: without values and conditions."""
        return sum(map(len, self.skeleton.pieces))

    def html(self, values: Values) -> str:
        """Return the HTML part as the recipient sees it, for previews and checks."""
        return _plain(self.html_program, values, is_html=True)

    def text(self, values: Values) -> str:
        """Return the text part as the recipient sees it."""
        return _plain(self.text_program, values, is_html=False)

    @property
    def fields(self) -> frozenset[str]:
        """Return every field that stands in subject, HTML or text, our own URLs apart."""
        programs = (self.subject_program, self.html_program, self.text_program)
        return frozenset().union(*(merge.fields_of(program) for program in programs)) - URL_FIELDS

    @property
    def needed_fields(self) -> frozenset[str]:
        """Return the fields that every recipient must have: without default and outside conditions."""
        programs = (self.subject_program, self.html_program, self.text_program)
        return frozenset().union(*(merge.needed_fields(program) for program in programs)) - URL_FIELDS


def compile_message(content: MessageContent) -> CompiledMessage:
    """Compile a content; ContentError when its merge language or its fields are wrong."""
    fields = content.fields | URL_FIELDS
    columns = dict(content.columns)
    html = merge.rename(merge.parse(content.html, fields), columns)
    text = merge.rename(merge.parse(content.text, fields), columns)
    boundary = "=_b1_" + hashlib.blake2s(content.html.encode(), digest_size=8, person=b"boundary").hexdigest()
    builder = _multipart(boundary, text, html)
    numbering = _Numbering(builder.places(), builder.places_in_arms())
    skeleton = builder.segment(numbering)
    return CompiledMessage(
        content=content,
        boundary=boundary,
        subject_program=merge.rename(merge.parse(content.subject, content.fields), columns),
        html_program=html,
        text_program=text,
        skeleton=skeleton,
        groups=tuple(dict.fromkeys(numbering.groups.values())),
        pieces=numbering.count,
    )


def _multipart(boundary: str, text: Program, html: Program) -> _Builder:
    """Compile RFC 2046 section 5.1.4: plain text first, HTML last; "=_" occurs in no encoded part."""
    builder = _Builder()
    for kind, program in (("plain", text), ("html", html)):
        head = f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
        builder.add((head + "Content-Transfer-Encoding: quoted-printable\r\n\r\n").encode())
        builder.compile(program, _Tail(is_html=kind == "html"))
        builder.add(b"\r\n")
    builder.add(f"--{boundary}--\r\n".encode())
    return builder


class _Numbering:
    """Gives every piece of a message its number: places outside conditions by slot, then every other place, then forks.

    What stands in an arm only is a group of its own: nothing may be asked of a value for an arm that is not taken.
    """

    def __init__(self, outside: Iterable[Place], inside: Iterable[Place]) -> None:
        self.groups: dict[Place, Group] = {}
        self.numbers: dict[Place, int] = {}
        by_slot: dict[Slot, dict[Place, None]] = {}
        for place in outside:
            by_slot.setdefault(place.slot, {})[place] = None
        for places in by_slot.values():
            self._add(list(places))
        for place in inside:
            if place not in self.numbers:
                self._add([place])
        self.count = len(self.numbers)

    def _add(self, places: list[Place]) -> None:
        group = Group(places[0].slot, places, len(self.numbers))
        for place in places:
            self.groups[place], self.numbers[place] = group, len(self.numbers)

    def next(self) -> int:
        """Return the number of one more piece."""
        self.count += 1
        return self.count - 1


class _Builder:
    """Gathers the pieces of one segment, literals at even places; neighbouring literals become one."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = [b""]
        self.gaps: list[Place | tuple[tuple[Test, _Builder], ...]] = []

    def add(self, literal: bytes) -> None:
        self.pieces[-1] += literal

    def compile(self, program: Program, tail: _Tail) -> _Builder:
        for piece in program:
            if isinstance(piece, str):
                tail.read(piece)
                self.add(encode(piece))
                continue
            if isinstance(piece, Branch):
                self.gaps.append(tuple((test, _Builder().compile(arm, tail)) for test, arm in piece.arms))
            else:
                self.gaps.append(Place(piece, tail.context()))
            self.pieces += [b"", b""]
        return self

    def places(self) -> list[Place]:
        """Return the places that stand here."""
        return [gap for gap in self.gaps if isinstance(gap, Place)]

    def places_in_arms(self) -> Iterator[Place]:
        """Yield the places that stand in arms, at any depth."""
        for arm in (arm for gap in self.gaps if not isinstance(gap, Place) for _, arm in gap):
            yield from arm.places()
            yield from arm.places_in_arms()

    def segment(self, numbering: _Numbering) -> Segment:
        gaps: list[int] = []
        forks: list[tuple[int, Fork]] = []
        for gap in self.gaps:
            if isinstance(gap, Place):
                gaps.append(numbering.numbers[gap])
            else:
                gaps.append(numbering.next())
                forks.append((gaps[-1], Fork(tuple((test, arm.segment(numbering)) for test, arm in gap))))
        if not all(map(is_sound, self.pieces)):
            raise AssertionError("a literal with a bare CR or LF, a NUL, a leading dot or a long line")
        groups = tuple(dict.fromkeys(numbering.groups[place] for place in self.places()))
        return Segment(tuple(self.pieces), tuple(gaps), groups, tuple(forks))


class _Tail:
    """Remembers the HTML since the last tag began, to know whether a slot stands inside a link."""

    def __init__(self, *, is_html: bool) -> None:
        self.is_html, self.seen = is_html, ""

    def read(self, literal: str) -> None:
        start = literal.rfind("<")
        self.seen = literal[start:] if start >= 0 else self.seen + literal

    def context(self) -> str:
        if not self.is_html:
            return "text"
        inside = IN_URL.search(self.seen)
        before = (inside["double"] or inside["single"] or "") if inside else ""
        self.seen += "0"  # the value itself: whatever follows is no longer the beginning of the address
        return "html" if inside is None else "query" if before else "url"


def _plain(program: Program, values: Values, *, is_html: bool) -> str:
    """Return a part unencoded, by the same rules as the bytes that are sent."""
    tail = _Tail(is_html=is_html)
    out: list[str] = []
    for piece in merge.flatten(program, values):
        if isinstance(piece, str):
            tail.read(piece)
            out.append(piece)
        else:
            out.append(Place(piece, tail.context()).write(values))
    return "".join(out)
