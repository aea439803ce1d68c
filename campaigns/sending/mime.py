"""The final bytes of a campaign message: header block, compiled body, signatures (rules section 3).

Customers choose words, From and Reply-To from their own lists; every other header is written here. Nothing is
repaired silently: a control character in a value, a bare CR or LF or a line beyond 998 octets raises RenderError.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formataddr, formatdate
from functools import cached_property, lru_cache
from itertools import repeat
from typing import Final, NamedTuple, Protocol

from django.conf import settings

from campaigns.content.compile import CompiledMessage
from campaigns.errors import RenderError
from campaigns.inbound.addresses import Links, return_path
from campaigns.sending import dkim
from campaigns.sending.form import Form, mark
from campaigns.sending.phases import Envelope
from compliance import policy
from sendserver.lib.tokens import Purpose, seal_all

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_BARE_CR_OR_DOT: Final = re.compile(rb"\r(?!\n(?!\.))")  # each begins with its octet, which is looked for by memchr
_BARE_LF: Final = re.compile(rb"\n(?<!\r\n)")
_NAME_NOISE: Final = re.compile(r'[@<>"\\,;:()\[\]]')
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9 '_-]+")  # needs no quotes, RFC 5322 section 3.2.3
NAME_MAX: Final = 78
_SHOWN_NAME: Final = re.compile(rf"(?=.{{1,{NAME_MAX}}}\Z)[A-Za-z0-9'_-]+(?: [A-Za-z0-9'_-]+)*")  # plain as it stands
HEADER_LINE: Final = 76  # RFC 2047 section 2 for lines with encoded words; kept for all
_BLANKS_AND_WORD: Final = re.compile(r" *[^ ]+| +$")
_WORD: Final = "=?utf-8?b?{}?="
Headers = list[tuple[str, str]]
_STOP: Final = "unsubscribe"
_GAPS: Final = ("date", "to", "subject", "token")
_TOKENS: Final = ("k1" + "a2" * 13, "z9" + "q7" * 13)  # two in a token's shape, to see where it stands


@dataclass(frozen=True)
class Letter:
    """What is the same for everybody in a campaign, loaded once."""

    compiled: CompiledMessage
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
    def press(self) -> Press:
        """Return everything about the letter that is worked out once and not for each recipient."""
        return Press(self)

    def headers(self, links: Links, date: str, to: str, subject: str) -> Headers:
        """Return the header block but for its signatures; the last three are values as they stand in the header."""
        return [
            ("Date", date),
            ("From", mailbox(self.from_name, self.from_address)),
            *([("Reply-To", self.reply_to)] if self.reply_to else []),
            ("To", to),
            ("Subject", subject),
            ("Message-ID", links.message_id),
            ("MIME-Version", "1.0"),
            ("Content-Type", f'multipart/alternative; boundary="{self.compiled.boundary}"'),
            ("List-Id", f"{encoded('List-Id', _phrase(self.list_name))} <{self.list_id}>"),
            # One physical line each: folded values broke signatures in the field (rules 3.3).
            (
                "List-Unsubscribe",
                f"<{links.unsubscribe_url}>, <mailto:{links.unsubscribe_address}?subject=unsubscribe>",
            ),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("List-Help", f"<{links.why_url}>"),
            ("Feedback-ID", self.feedback_id),
            ("CFBL-Address", f"fbl@{settings.PLATFORM.mail_domain}; report=arf"),
            ("CFBL-Feedback-ID", links.token),
            ("X-Report-Abuse", f"Report abuse at {links.report_url}"),
            ("Precedence", "bulk"),
        ]


class Press:
    """A letter set up to be written many times: its headers with gaps, its links with gaps."""

    def __init__(self, letter: Letter) -> None:
        self.letter, self.compiled = letter, letter.compiled
        headers = letter.headers(Links(mark("token")), *map(mark, _GAPS[:3]))
        self.form = Form.of(_block(headers).decode(), _GAPS)
        self.seal = dkim.Seal(headers, letter.signers, _GAPS) if letter.signers else None
        self.frames = self.compiled.frames(lambda token: _urls(Links(token)), _TOKENS)
        self.needs_urls = not _urls(Links("")).keys() <= self.frames.fields

    def subjects(self, values: Sequence[Mapping[str, str]]) -> list[str]:
        """Return each recipient's Subject header, encoded; RenderError as CompiledMessage.subjects."""
        prefix, texts = self.letter.subject_prefix, self.compiled.subjects(values)
        return encoded_all("Subject", [prefix + text for text in texts] if prefix else texts)


class Addressed(Protocol):
    """What the renderer needs of a delivery; a claimed item has it."""

    @property
    def delivery_id(self) -> int:
        """Return its number."""

    @property
    def address(self) -> str:
        """Return the address."""

    @property
    def values(self) -> Mapping[str, str]:
        """Return the merge values."""


class Recipient(NamedTuple):
    """One delivery as the renderer needs it."""

    delivery_id: int
    address: str
    values: Mapping[str, str] = {}


class Written(NamedTuple):
    """A message ready for the wire: whole lines with CRLF, none of which begins with a dot."""

    envelope: Envelope
    message: bytes


def write(letter: Letter, recipient: Addressed, *, clock: Callable[[], float] = time.time) -> Written:
    """Return the message for one recipient; raises RenderError naming the field."""
    return write_all(letter, [recipient], clock=clock)[0]


def write_all(
    letter: Letter, recipients: Sequence[Addressed], *, clock: Callable[[], float] = time.time
) -> list[Written]:
    """Return the message of each recipient; raises RenderError when one of them cannot be written, for all.

    Python's work is done once a column of values where it can be, so several together cost a third of one by one.
    """
    press, at, values = letter.press, int(clock()), [recipient.values for recipient in recipients]
    tokens = seal_all(Purpose.DELIVERY, [recipient.delivery_id for recipient in recipients])
    if press.needs_urls:
        values = [{**one, **_urls(Links(token))} for one, token in zip(values, tokens, strict=True)]
    marks = [token.encode() for token in tokens]
    bodies = press.compiled.bodies(values, press.frames, marks)
    addresses = [recipient.address for recipient in recipients]
    tos, subjects = _tos(values, addresses), press.subjects(values)
    try:
        gaps = (
            [_date(at).encode()] * len(tokens),
            [to.encode("ascii") for to in tos],
            [subject.encode("ascii") for subject in subjects],
            marks,
        )
    except UnicodeEncodeError as error:
        raise RenderError("header", "not ASCII after encoding") from error
    heads = press.form.columns(*gaps)
    if press.seal is not None:
        written = [b"".join(row) for _, row in zip(tokens, zip(*bodies, strict=False), strict=False)]
        rows = zip(zip(*gaps, strict=True), written, heads, strict=True)
        heads = [press.seal.sign(row, body, at=at) + head for row, body, head in rows]
        bodies = [written]
    _check(b"".join(heads))
    messages = list(map(b"".join, zip(heads, repeat(b"\r\n"), *bodies, strict=False)))
    if max(map(len, messages)) > policy.MSG_MAX_KB * 1024:
        raise RenderError("message", f"larger than {policy.MSG_MAX_KB} KB")
    host = letter.return_host
    envelopes = [Envelope(return_path(token, host), *to) for token, *to in zip(tokens, addresses, tokens, strict=True)]
    return list(map(Written, envelopes, messages))


def _urls(links: Links) -> dict[str, str]:
    """Return what the fields of ours stand for."""
    return {
        "unsubscribe_url": links.unsubscribe_url,
        "why_url": links.why_url,
        "report_url": links.report_url,
    }


def _tos(values: Sequence[Mapping[str, str]], addresses: Sequence[str]) -> list[str]:
    """Return the To header of each: the recipient's name as far as it is known, and the address."""
    if not "".join(addresses).isprintable() and any(map(_CONTROLS.search, addresses)):
        raise RenderError("name", "control character in a header")
    names = [_joined(one.get("first_name", ""), one.get("last_name", "")) for one in values]
    shown = [f"{name} " if _SHOWN_NAME.fullmatch(name) else _shown(name) for name in names]
    return [f"{name}<{address}>" for name, address in zip(shown, addresses, strict=True)]


def _joined(first: str, last: str) -> str:
    return f"{first} {last}" if first and last else first or last


@lru_cache(maxsize=512)
def _shown(name: str) -> str:
    """Return the display name with the blank behind it."""
    return mailbox(clean_name(name), "").removesuffix("<>")


@lru_cache(maxsize=8)
def _date(at: int) -> str:
    return formatdate(at)


def clean_name(name: str) -> str:
    """Return a recipient's name fit for a display name: no address marks, no controls, at most NAME_MAX."""
    return " ".join(_NAME_NOISE.sub(" ", _CONTROLS.sub(" ", name)).split())[:NAME_MAX]


def mailbox(name: str, address: str) -> str:
    """Return one mailbox, the name quoted or as RFC 2047 words; what looks like such a word is read back as written."""
    if _CONTROLS.search(name + address):
        raise RenderError("name", "control character in a header")
    if _PLAIN_NAME.fullmatch(name):
        return f"{name} <{address}>"
    if name.isascii() and "=?" not in name:  # readers decode a word of RFC 2047 inside quotes too
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


def encoded_all(header: str, texts: Sequence[str]) -> list[str]:
    """Return each text for a header, as `encoded`."""
    if _CONTROLS.search("".join(texts)):
        raise RenderError(header.lower(), "control character in a header")
    room = HEADER_LINE - len(header) - 2
    return [
        text if len(text) <= room and text.isascii() and "=?" not in text else encoded(header, text) for text in texts
    ]


def _words(text: str, room: int) -> Iterator[str]:
    """Yield base64 words of whole characters, the first at most `room` characters long (RFC 2047 section 5)."""
    octets, most = b"", _octets_in(room)
    if len(text) <= most and len(whole := text.encode()) <= most:
        yield _WORD.format(base64.b64encode(whole).decode())
        return
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


def _block(headers: Headers) -> bytes:
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if not text.isascii():
        raise RenderError("header", "not ASCII after encoding")
    return text.encode()


def _check(heads: bytes) -> None:
    """Look at exact header blocks once more: refuse, never repair (rules 3.6: a bare CR or LF smuggles mail).

    The body needs no such look: each piece of it was looked at when it was encoded (content.quoted.is_sound).
    """
    if _BARE_CR_OR_DOT.search(heads) or _BARE_LF.search(heads) or b"\0" in heads:
        raise RenderError("message", "a bare CR, LF or NUL, or a leading dot")
    start, end = 0, len(heads)
    while end - start > policy.LINE_MAX:  # from each line's end look as far as the next may be away
        start = heads.rfind(b"\n", start, start + policy.LINE_MAX + 2) + 1
        if not start:
            raise RenderError("message", "a line beyond 998 octets")
