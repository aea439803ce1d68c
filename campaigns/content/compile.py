"""The compiler that previews, test sends and the lanes share: one content in, one body per recipient out.

The skeleton is encoded once: literal quoted-printable pieces and slots. A recipient costs the encoding of its own
values and one join. Headers, DKIM and the envelope are not written here (campaigns.sending.mime).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any, Final
from urllib.parse import quote

from campaigns.content import merge
from campaigns.content.merge import URL_FIELDS, Branch, Program, Slot, Test, Values
from campaigns.content.quoted import encode
from campaigns.errors import RenderError
from sendserver.lib import chain

CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
HEADER_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
WEB_ADDRESS: Final = re.compile(r"https?://|mailto:", re.IGNORECASE)
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
class Place:
    """A slot with where it stands: "text", "html", "url" (begins a link) or "query" (inside one)."""

    slot: Slot
    context: str

    def write(self, values: Values) -> str:
        """Return the value, escaped for its place; RenderError when it may not stand there."""
        value = self.slot.value(values)
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


@dataclass(frozen=True)
class Fork:
    """A compiled condition: arms of (test, segment)."""

    arms: tuple[tuple[Test, Segment], ...]

    def write(self, values: Values, known: list[bytes | None]) -> bytes:
        """Return the bytes of the first arm whose test holds."""
        for test, segment in self.arms:
            if test.holds(values):
                return segment.write(values, known)
        return b""


@dataclass(frozen=True)
class Segment:
    """Encoded pieces with gaps. A place that occurs twice has one `number`: its value is encoded once a recipient."""

    pieces: tuple[bytes, ...]
    places: tuple[tuple[int, int, Place], ...]  # where among the pieces, number, place
    forks: tuple[tuple[int, Fork], ...]

    def write(self, values: Values, known: list[bytes | None]) -> bytes:
        """Return the bytes for one recipient; `known` keeps what was encoded, by number."""
        pieces = list(self.pieces)
        for index, number, place in self.places:
            found = known[number]
            if found is None:
                found = known[number] = encode(place.write(values))
            pieces[index] = found
        for index, fork in self.forks:
            pieces[index] = fork.write(values, known)
        return b"".join(pieces)


@dataclass(frozen=True)
class CompiledMessage:
    """A content ready to be written for one recipient after the other."""

    content: MessageContent
    boundary: str
    subject_program: Program
    html_program: Program
    text_program: Program
    skeleton: Segment
    places: int  # how many different ones

    def subject(self, values: Values) -> str:
        """Return the subject for one recipient; RenderError when a value carries a line break or another control."""
        text = merge.render(self.subject_program, _guarded(values, self.subject_program))
        if len(text) > SUBJECT_MAX:
            raise RenderError("subject", "too long")
        return text

    def body(self, values: Values) -> bytes:
        """Return the whole multipart/alternative body: CRLF lines, quoted-printable parts, closing boundary."""
        return self.skeleton.write(values, [None] * self.places)

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
    numbers: dict[Place, int] = {}
    boundary = "=_b1_" + hashlib.blake2s(content.html.encode(), digest_size=8, person=b"boundary").hexdigest()
    return CompiledMessage(
        content=content,
        boundary=boundary,
        subject_program=merge.rename(merge.parse(content.subject, content.fields), columns),
        html_program=html,
        text_program=text,
        skeleton=_multipart(boundary, text, html, numbers),
        places=len(numbers),
    )


def _multipart(boundary: str, text: Program, html: Program, numbers: dict[Place, int]) -> Segment:
    """Compile RFC 2046 section 5.1.4: plain text first, HTML last; "=_" occurs in no encoded part."""
    builder = _Builder(numbers)
    for kind, program in (("plain", text), ("html", html)):
        head = f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
        builder.add((head + "Content-Transfer-Encoding: quoted-printable\r\n\r\n").encode())
        builder.compile(program, _Tail(is_html=kind == "html"))
        builder.add(b"\r\n")
    builder.add(f"--{boundary}--\r\n".encode())
    return builder.segment()


class _Builder:
    """Gathers the pieces of one segment; neighbouring literals become one."""

    def __init__(self, numbers: dict[Place, int]) -> None:
        self.numbers = numbers
        self.pieces: list[bytes] = []
        self.places: list[tuple[int, int, Place]] = []
        self.forks: list[tuple[int, Fork]] = []
        self.is_open = False  # the last piece is a literal that more may join

    def add(self, literal: bytes) -> None:
        if self.is_open:
            self.pieces[-1] += literal
        else:
            self.pieces.append(literal)
        self.is_open = True

    def compile(self, program: Program, tail: _Tail) -> _Builder:
        for piece in program:
            if isinstance(piece, str):
                tail.read(piece)
                self.add(encode(piece))
                continue
            index, self.is_open = len(self.pieces), False
            self.pieces.append(b"")
            if isinstance(piece, Branch):
                arms = ((test, _Builder(self.numbers).compile(arm, tail).segment()) for test, arm in piece.arms)
                self.forks.append((index, Fork(tuple(arms))))
            else:
                place = Place(piece, tail.context())
                self.places.append((index, self.numbers.setdefault(place, len(self.numbers)), place))
        return self

    def segment(self) -> Segment:
        return Segment(tuple(self.pieces), tuple(self.places), tuple(self.forks))


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


def _guarded(values: Values, program: Program) -> Values:
    """Return values for a header; RFC 5322 section 2.2: no value may end a line or begin another header."""
    for name in merge.fields_of(program):
        if HEADER_UNSAFE.search(values.get(name, "")):
            raise RenderError(name, "line break or control character")
    return values
