"""The compiler that previews, test sends and the lanes share: one content in, one body per recipient out.

The skeleton is encoded once: literal quoted-printable pieces and slots. A recipient costs the encoding of its own
values and one join. Headers, DKIM and the envelope are not written here (campaigns.sending.mime).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
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
    """A compiled condition: arms of (test, pieces)."""

    arms: tuple[tuple[Test, tuple[Compiled, ...]], ...]


Compiled = bytes | Place | Fork


@dataclass(frozen=True)
class CompiledMessage:
    """A content ready to be written for one recipient after the other."""

    content: MessageContent
    boundary: str
    subject_program: Program
    html_program: Program
    text_program: Program
    pieces: tuple[Compiled, ...]

    def subject(self, values: Values) -> str:
        """Return the subject for one recipient; RenderError when a value carries a line break or another control."""
        text = merge.render(self.subject_program, _guarded(values, self.subject_program))
        if len(text) > SUBJECT_MAX:
            raise RenderError("subject", "too long")
        return text

    def body(self, values: Values) -> bytes:
        """Return the whole multipart/alternative body: CRLF lines, quoted-printable parts, closing boundary."""
        return b"".join(_assemble(self.pieces, values, {}))

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
    return CompiledMessage(
        content=content,
        boundary=boundary,
        subject_program=merge.rename(merge.parse(content.subject, content.fields), columns),
        html_program=html,
        text_program=text,
        pieces=tuple(_multipart(boundary, text, html)),
    )


def _multipart(boundary: str, text: Program, html: Program) -> Iterator[Compiled]:
    """Yield the pieces of RFC 2046 section 5.1.4: plain text first, HTML last; "=_" occurs in no encoded part."""
    for kind, program in (("plain", text), ("html", html)):
        head = f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
        yield (head + "Content-Transfer-Encoding: quoted-printable\r\n\r\n").encode()
        yield from _compile(program, _Tail(is_html=kind == "html"))
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


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


def _compile(program: Program, tail: _Tail) -> Iterator[Compiled]:
    for piece in program:
        if isinstance(piece, str):
            tail.read(piece)
            yield encode(piece)
        elif isinstance(piece, Branch):
            yield Fork(tuple((test, tuple(_compile(pieces, tail))) for test, pieces in piece.arms))
        else:
            yield Place(piece, tail.context())


def _assemble(pieces: tuple[Compiled, ...], values: Values, known: dict[Place, bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        elif isinstance(piece, Place):
            if piece not in known:
                known[piece] = encode(piece.write(values))
            yield known[piece]
        else:
            for test, arm in piece.arms:
                if test.holds(values):
                    yield from _assemble(arm, values, known)
                    break


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
