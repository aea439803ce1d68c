"""The final bytes of a campaign message: header block, compiled body, signatures (rules section 3).

Customers choose words, From and Reply-To from their own lists; every other header is written here. Nothing is
repaired silently: a control character in a value, a bare CR or LF or a line beyond 998 octets raises RenderError.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formataddr, formatdate
from functools import cached_property, lru_cache
from typing import Final, Protocol

from django.conf import settings

from campaigns.errors import RenderError
from campaigns.inbound.addresses import Links
from campaigns.sending import dkim
from campaigns.sending.smtp import Envelope
from compliance import policy

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_BARE_CR: Final = re.compile(rb"\r(?!\n)")  # each begins with its octet, which the engine looks for by memchr
_BARE_LF: Final = re.compile(rb"\n(?<!\r\n)")
_NAME_NOISE: Final = re.compile(r'[@<>"\\,;:()\[\]]')
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9 '_-]+")  # needs no quotes, RFC 5322 section 3.2.3
NAME_MAX: Final = 78
HEADER_LINE: Final = 76  # RFC 2047 section 2 for lines with encoded words; kept for all
_BLANKS_AND_WORD: Final = re.compile(r" *[^ ]+| +$")
_WORD: Final = "=?utf-8?b?{}?="


class Compiled(Protocol):
    """What the content compiler gives: campaigns.content.compile.CompiledMessage."""

    @property
    def boundary(self) -> str:
        """Return the multipart boundary."""

    def subject(self, values: Mapping[str, str]) -> str:
        """Return the subject for one recipient."""

    def body(self, values: Mapping[str, str]) -> bytes:
        """Return the multipart body for one recipient."""


@dataclass(frozen=True)
class Letter:
    """What is the same for everybody in a campaign, loaded once."""

    compiled: Compiled
    from_name: str
    from_address: str
    reply_to: str
    list_name: str
    list_id: str
    feedback_id: str
    return_host: str
    signers: tuple[dkim.Signer, ...] = ()
    subject_prefix: str = ""  # "[Test] " for a test message

    @cached_property
    def sender(self) -> str:
        """Return the From header."""
        return mailbox(self.from_name, self.from_address)

    @cached_property
    def list_header(self) -> str:
        """Return the List-Id header."""
        return f"{encoded('List-Id', _phrase(self.list_name))} <{self.list_id}>"


@dataclass(frozen=True)
class Recipient:
    """One delivery as the renderer needs it."""

    delivery_id: int
    address: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """A message ready for the wire."""

    envelope: Envelope
    message: bytes


def write(letter: Letter, recipient: Recipient, *, clock: Callable[[], float] = time.time) -> Written:
    """Return the message for one recipient; raises RenderError naming the field."""
    links = Links.of(recipient.delivery_id)
    at = int(clock())
    values = {
        **recipient.values,
        "unsubscribe_url": links.unsubscribe_url,
        "why_url": links.why_url,
        "report_url": links.report_url,
    }
    body = letter.compiled.body(values)
    headers = _headers(letter, recipient, links, values, at)
    signatures = dkim.sign(headers, body, letter.signers, at=at) if letter.signers else []
    message = _block([*signatures, *headers]) + b"\r\n" + body
    _check(message)
    return Written(Envelope(links.return_path(letter.return_host), recipient.address, links.token), message)


def _headers(
    letter: Letter, recipient: Recipient, links: Links, values: Mapping[str, str], at: int
) -> list[tuple[str, str]]:
    platform = settings.PLATFORM
    name = " ".join(filter(None, (values.get("first_name", ""), values.get("last_name", ""))))
    return [
        ("Date", _date(at)),
        ("From", letter.sender),
        *([("Reply-To", letter.reply_to)] if letter.reply_to else []),
        ("To", mailbox(clean_name(name), recipient.address)),
        ("Subject", encoded("Subject", letter.subject_prefix + letter.compiled.subject(values))),
        ("Message-ID", links.message_id),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/alternative; boundary="{letter.compiled.boundary}"'),
        ("List-Id", letter.list_header),
        # One physical line each: folded values broke signatures in the field (rules 3.3).
        ("List-Unsubscribe", f"<{links.unsubscribe_url}>, <mailto:{links.unsubscribe_address}?subject=unsubscribe>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Help", f"<{links.why_url}>"),
        ("Feedback-ID", letter.feedback_id),
        ("CFBL-Address", f"fbl@{platform.mail_domain}; report=arf"),
        ("CFBL-Feedback-ID", links.token),
        ("X-Report-Abuse", f"Report abuse at {links.report_url}"),
        ("Precedence", "bulk"),
    ]


@lru_cache(maxsize=8)
def _date(at: int) -> str:
    return formatdate(at)


def clean_name(name: str) -> str:
    """Return a recipient's name fit for a display name: no address marks, no controls, at most NAME_MAX."""
    return " ".join(_NAME_NOISE.sub(" ", _CONTROLS.sub(" ", name)).split())[:NAME_MAX]


def mailbox(name: str, address: str) -> str:
    """Return one mailbox, the name quoted or as RFC 2047 words."""
    if _CONTROLS.search(name + address):
        raise RenderError("name", "control character in a header")
    if _PLAIN_NAME.fullmatch(name):
        return f"{name} <{address}>"
    if name.isascii():
        return formataddr((name, address))
    return f"{encoded('From', name)} <{address}>"


def encoded(header: str, text: str) -> str:
    """Return text for a header: as it is when ASCII, else RFC 2047 words that split between characters."""
    if _CONTROLS.search(text):
        raise RenderError(header.lower(), "control character in a header")
    room = HEADER_LINE - len(header) - 2
    if not text.isascii() or "=?" in text:
        return "\r\n ".join(_words(text, room))
    return text if len(text) <= room else _folded(text, room)


def _words(text: str, room: int) -> Iterator[str]:
    """Yield base64 words of whole characters, the first at most `room` characters long (RFC 2047 section 5)."""
    octets, most = b"", _octets_in(room)
    for char in text:
        more = char.encode()
        if octets and len(octets) + len(more) > most:
            yield _WORD.format(base64.b64encode(octets).decode())
            octets, most = b"", _octets_in(HEADER_LINE - 1)
        octets += more
    yield _WORD.format(base64.b64encode(octets).decode())


def _octets_in(room: int) -> int:
    return max(0, room - len(_WORD) + 2) // 4 * 3


def _folded(text: str, room: int) -> str:
    """Return ASCII text on lines of at most `room` characters, broken in front of blanks (RFC 5322 section 2.2.3).

    A break stands only where something else than blanks follows: a line of blanks alone would be obsolete syntax.
    """
    lines, line = [], ""
    for word in _BLANKS_AND_WORD.findall(text):
        if line and len(line) + len(word) > room and word.strip():
            lines.append(line)
            line, room = "", HEADER_LINE
        line += word
    return "\r\n".join([*lines, line])


def _phrase(name: str) -> str:
    return f'"{_NAME_NOISE.sub(" ", name).strip()}"' if name.isascii() else name


def _block(headers: list[tuple[str, str]]) -> bytes:
    text = "".join(f"{name}: {value}\r\n" for name, value in headers)
    if not text.isascii():
        raise RenderError("header", "not ASCII after encoding")
    return text.encode()


def _check(message: bytes) -> None:
    """Look at the exact bytes once more: refuse, never repair (rules 3.6: a bare CR or LF is how mail is smuggled)."""
    if _BARE_CR.search(message) or _BARE_LF.search(message) or b"\0" in message:
        raise RenderError("message", "a bare CR, LF or NUL")
    if len(message) > policy.MSG_MAX_KB * 1024:
        raise RenderError("message", f"larger than {policy.MSG_MAX_KB} KB")
    start, end = 0, len(message)
    while end - start > policy.LINE_MAX:  # from each line's end look as far as the next may be away
        start = message.rfind(b"\n", start, start + policy.LINE_MAX + 2) + 1
        if not start:
            raise RenderError("message", "a line beyond 998 octets")
