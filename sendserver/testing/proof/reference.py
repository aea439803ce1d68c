"""What a message must say, worked out slowly by other code: python-liquid renders the source, EmailMessage writes it.

Nothing of campaigns.content is used. The merge language's own decisions stand here a second time, in other words: what
is blank is false and takes its default, comparisons are of numbers, every value is escaped once for its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from email.message import EmailMessage
from functools import cached_property
from html.parser import HTMLParser
from typing import Any, Final

from liquid import BoundTemplate, Environment

_TAG: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_NUMBERED: Final = re.compile("\ue000(\\d+)\ue001")
_COMPARED: Final = re.compile(r"\b([a-z][a-z0-9_]*)\s*(<=|>=|<|>)")
_OPEN_CLOSE: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SUBJECT_MOST: Final = 900
_BIDI: Final = range(0x202A, 0x202F), range(0x2066, 0x206A)


class RefusedError(Exception):
    """This recipient's message may not be written."""


class Value(str):
    """A column's value as Liquid shall see it: nothing but blanks is nothing."""

    __slots__ = ()

    def __liquid__(self) -> str | None:
        """Return what conditions look at."""
        return str(self) if self.strip() else None


def percent(text: str) -> str:
    """Return text for an address, RFC 3986 section 2.1."""
    return "".join(chr(octet) if octet in _UNRESERVED else f"%{octet:02X}" for octet in text.encode())


def is_control(char: str) -> bool:
    """Tell what may stand in no message: controls but tab and line ends, and Unicode's own line ends."""
    code = ord(char)
    return (code < 32 and char not in "\t\r\n") or 127 <= code < 160 or char in "\u2028\u2029"


def _text(value: str) -> str:
    if not value:
        raise RefusedError("empty")
    if any(map(is_control, value)):
        raise RefusedError("control")
    return value


def _html(value: str) -> str:
    return _text(value).translate(_OPEN_CLOSE)


def _query(value: str) -> str:
    return percent(_text(value))


def _address(value: str) -> str:
    if not _text(value).lower().startswith(("http://", "https://", "mailto:")):
        raise RefusedError("not an address")
    return _html(value)


def _date(value: str, form: str) -> str:
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read(value).strftime(form)
        except ValueError:
            continue
    return value


def _truncate(value: str, length: Any = 50, end: str = "...") -> str:
    return value if len(value) <= int(length) else value[: max(0, int(length) - len(end))] + end


_FILTERS: Final[Mapping[str, Any]] = {
    "default": lambda value, other: other if not value.strip() else value,
    "upcase": lambda value: value.upper(),
    "downcase": lambda value: value.lower(),
    "capitalize": lambda value: "".join([*map(str.upper, value[:1]), *map(str.lower, [value[1:]])]),
    "date": _date,
    "escape": lambda value: value,
    "strip": lambda value: value.strip(),
    "truncate": _truncate,
    "url_encode": percent,
    "as_text": _text,
    "as_html": _html,
    "as_query": _query,
    "as_address": _address,
    "as_subject": lambda value: value or _text(""),
}


class _Places(HTMLParser):
    """Finds in which places of an HTML document the numbered tags stand."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.places: dict[int, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look into the addresses of a tag."""
        for name, value in attrs:
            if name in ("href", "src"):
                for found in _NUMBERED.finditer(value or ""):
                    self.places[int(found[1])] = "as_query" if found.start() else "as_address"


def _marked(source: str, tags: list[str]) -> str:
    def number(found: re.Match[str]) -> str:
        tags.append(found[0])
        return f"\ue000{len(tags) - 1}\ue001"

    return _TAG.sub(number, source)


def with_places(source: str, usual: str) -> str:
    """Return Liquid source in which each value passes the filter of its place, and numbers are compared as numbers."""
    tags: list[str] = []
    marked = _marked(source, tags)
    parser = _Places()
    if usual == "as_html":
        parser.feed(marked)
        parser.close()

    def restore(found: re.Match[str]) -> str:
        number = int(found[1])
        tag = tags[number]
        if tag.startswith("{%"):
            return _COMPARED.sub(r"\1__number \2", tag)
        place = parser.places.get(number, usual)
        if place == "as_query" and "url_encode" in tag:
            place = "as_html"
        return tag[:-2] + f"| {place} }}}}"

    return _NUMBERED.sub(restore, marked)


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


@dataclass(frozen=True)
class Said:
    """What one message says."""

    subject: str
    text: bytes  # decoded parts, lines ending in CRLF
    html: bytes


@dataclass(frozen=True)
class Source:
    """The words of a campaign as they were approved."""

    subject: str
    text: str
    html: str

    @cached_property
    def _templates(self) -> tuple[BoundTemplate, BoundTemplate, BoundTemplate]:
        environment = Environment(autoescape=False)
        environment.filters = dict(_FILTERS)
        return (
            environment.from_string(with_places(self.subject, "as_subject")),
            environment.from_string(with_places(self.text, "as_text")),
            environment.from_string(with_places(self.html, "as_html")),
        )

    @cached_property
    def _subject_fields(self) -> list[str]:
        return re.findall(r"\{\{\s*([a-z][a-z0-9_]*)", self.subject)

    def said(self, values: Mapping[str, str]) -> Said:
        """Return the message for these values; RefusedError where none may be written."""
        for name in self._subject_fields:
            _refuse_in_header(values[name])
        context: dict[str, Any] = {name: Value(value) for name, value in values.items()}
        context |= {f"{name}__number": _number(value) for name, value in values.items()}
        subject, text, html = (template.render(**context) for template in self._templates)
        if len(subject) > _SUBJECT_MOST:
            raise RefusedError("subject too long")
        return Said(subject, *_through_mail(text, html))


def _refuse_in_header(value: str) -> None:
    if any(is_control(char) or char in "\t\r\n" or any(ord(char) in marks for marks in _BIDI) for char in value):
        raise RefusedError("control in the subject")


def _through_mail(text: str, html: str) -> tuple[bytes, bytes]:
    """Write both parts with EmailMessage and return them as a reader decodes them."""
    message = EmailMessage()
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    decoded = [part.get_payload(decode=True) for part in message.iter_parts()]
    first, second = (part.replace(b"\n", b"\r\n") for part in decoded if isinstance(part, bytes))
    return first, second


def shown_name(first: str, last: str) -> str:
    """Return the display name of a recipient: without controls and marks of address syntax, at most 78 characters."""
    joined = " ".join(name for name in (first, last) if name)
    odd = lambda char: (  # noqa: E731
        ord(char) < 32 or is_control(char) or char in '@<>"\\,;:()[]' or any(ord(char) in marks for marks in _BIDI)
    )
    return " ".join("".join(" " if odd(char) else char for char in joined).split())[:78]
