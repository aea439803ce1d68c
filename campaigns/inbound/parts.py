"""A mail as parts, read with limits: everything that comes in is hostile until understood."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from html import unescape
from typing import Final

SIZE_MAX: Final = 1024 * 1024  # octets; the door refuses more
PARTS_MAX: Final = 60
DEPTH_MAX: Final = 8
HEADER_MAX: Final = 8_000  # characters of one header that are decoded: the library's time grows with their square
TEXT_MAX: Final = 20_000  # characters of one part that are looked at
# Below this line a report quotes the message: words of ours, not of the receiver.
_COPY: Final = re.compile(
    r"^-{2,} ?.{0,40}(?:copy of (?:the|your) message|original message|message follows|returned message)", re.I | re.M
)
_TAG: Final = re.compile(r"<[^<>]{0,2000}>")


def parse(raw: bytes) -> Message:
    """Return the parsed mail; never raises, odd bytes become odd text."""
    return message_from_bytes(raw[:SIZE_MAX], policy=compat32)


def walk(message: Message) -> Iterator[Message]:
    """Yield the parts, outermost first, at most PARTS_MAX of them and DEPTH_MAX deep."""
    waiting: list[tuple[Message, int]] = [(message, 0)]
    for _ in range(PARTS_MAX):
        if not waiting:
            return
        part, depth = waiting.pop(0)
        yield part
        payload = part.get_payload()
        if depth < DEPTH_MAX and isinstance(payload, list):
            waiting[0:0] = [(child, depth + 1) for child in payload if isinstance(child, Message)]


def header(message: Message, name: str) -> str:
    """Return a header's text, decoded, on one line, empty when it is missing or cannot be read."""
    value = message.get(name)
    if value is None:
        return ""
    raw = str(value)[:HEADER_MAX]
    try:
        text = str(make_header(decode_header(raw)))
    except (ValueError, LookupError):
        text = raw
    return " ".join(text.split())[:1000]


def text_of(part: Message) -> str:
    """Return the text of a leaf, HTML without its tags, at most TEXT_MAX characters."""
    if part.is_multipart():
        return ""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else str(part.get_payload()).encode(errors="replace")
    try:
        text = data[: 4 * TEXT_MAX].decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError):
        text = data[: 4 * TEXT_MAX].decode("latin-1")
    if part.get_content_subtype() == "html":
        text = unescape(_TAG.sub(" ", text))
    return text[:TEXT_MAX]


def human_text(message: Message) -> str:
    """Return the words a person would read: the text parts outside attached messages."""
    inside = {id(child) for part in walk(message) if _holds_message(part) for child in walk(part) if child is not part}
    leaves = [part for part in walk(message) if id(part) not in inside and part.get_content_maintype() == "text"]
    leaves = [part for part in leaves if part.get_content_subtype() != "rfc822-headers"]
    return _COPY.split("\n".join(map(text_of, leaves[:10])), maxsplit=1)[0][:TEXT_MAX]


def attached_text(message: Message) -> str:
    """Return the returned message or its headers as text: where our tokens stand when the address has none."""
    found = []
    for part in walk(message):
        if part.get_content_type() in ("text/rfc822-headers", "message/rfc822", "message/rfc822-headers"):
            inner = part.get_payload()
            found.append("\n".join(map(str, inner)) if isinstance(inner, list) else str(inner))
    return "\n".join(found)[: 4 * TEXT_MAX]


def _holds_message(part: Message) -> bool:
    return part.get_content_type() == "message/rfc822"
