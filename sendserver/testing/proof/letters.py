"""One received message against what it must be: envelope, header block, tokens, both parts, signatures."""

from __future__ import annotations

import email
import email.policy
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr, parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import dkim

from sendserver.lib.tokens import Purpose, open_token
from sendserver.testing.proof.people import Person
from sendserver.testing.proof.reference import RefusedError, Source, shown_name

# Rules 3.1 and 3.3: these, once each, in this order; DKIM-Signature stands twice on top.
HEADERS = (
    *("DKIM-Signature", "DKIM-Signature", "Date", "From", "Reply-To", "To", "Subject", "Message-ID", "MIME-Version"),
    *("Content-Type", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Help", "Feedback-ID"),
    *("CFBL-Address", "CFBL-Feedback-ID", "X-Report-Abuse", "Precedence"),
)
DAY = 86_400
PART_HEADERS = ("Content-Type", "Content-Transfer-Encoding")
LINE_MOST = 998  # octets, RFC 5322 section 2.1.1


class Taken(NamedTuple):
    """A message as a sink kept it."""

    sender: str
    recipient: str
    raw: bytes


@dataclass(frozen=True)
class Expected:
    """What all messages of a campaign have in common."""

    subject: str
    text: str
    html: str
    sender: str  # the mailbox in From
    reply_to: str
    list_id: str
    feedback_id: str
    return_host: str
    base_url: str
    mail_domain: str
    unsubscribe_domain: str
    keys: Mapping[str, str]  # "<selector>._domainkey.<domain>" -> its TXT record

    @classmethod
    def from_json(cls, text: str) -> Expected:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return it for another process."""
        return json.dumps(asdict(self))

    @property
    def source(self) -> Source:
        """Return the words that the reference renderer reads."""
        return Source(self.subject, self.text, self.html)


def read(path: Path) -> Iterator[Taken]:
    """Yield the messages of one file of a sink."""
    with path.open("rb") as file:
        while head := file.readline():
            sender, recipient, raw = (file.read(int(length)) for length in head.split())
            yield Taken(sender.decode(), recipient.decode(), raw)


class Judge:
    """Compares messages with what they must be; keeps the reference's parsed templates."""

    def __init__(self, expected: Expected) -> None:
        self.expected, self.source = expected, expected.source

    def judge(self, taken: Taken, person: Person) -> tuple[int | None, list[str]]:
        """Return the delivery that the message's token leads to, and what is wrong with it."""
        message = cast(EmailMessage, email.message_from_bytes(taken.raw, policy=email.policy.default))
        headers = dict(message.items())
        token = taken.sender.partition("@")[0].removeprefix("b.")
        delivery = open_token(Purpose.DELIVERY, token)
        wrong = [
            *self._bytes(taken),
            *self._shape(message, headers),
            *self._headers(headers, taken, token, person),
            *self._words(message, str(headers["Subject"]), token, (taken.recipient, person)),
        ]
        if delivery is None:
            wrong.append(f"the return path {taken.sender} holds no token of ours")
        return delivery, [f"{taken.recipient}: {one}" for one in wrong]

    def _bytes(self, taken: Taken) -> Iterator[str]:
        lines = taken.raw.split(b"\r\n")
        if taken.raw.count(b"\r") != len(lines) - 1 or taken.raw.count(b"\n") != len(lines) - 1 or b"\0" in taken.raw:
            yield "a bare CR, LF or a NUL"
        if max(map(len, lines)) > LINE_MOST:
            yield "a line beyond 998 octets"

    def _shape(self, message: EmailMessage, headers: Mapping[str, Any]) -> Iterator[str]:
        names = tuple(message.keys())
        if names != HEADERS:
            yield f"headers {names}"
        parts = list(message.iter_parts())
        if [part.get_content_type() for part in parts] != ["text/plain", "text/html"]:
            yield "the parts are not text/plain and text/html"
        defects = [*message.defects, *(defect for value in headers.values() for defect in value.defects)]
        for part in parts:
            own = dict(part.items())
            if tuple(part.keys()) != PART_HEADERS or own["Content-Type"].params.get("charset") != "utf-8":
                yield f"headers of a part {tuple(part.keys())}"
            defects += [*part.defects, *(defect for value in own.values() for defect in value.defects)]
        yield from (f"defect {defect!r}" for defect in defects)

    def _headers(self, message: Mapping[str, Any], taken: Taken, token: str, person: Person) -> Iterator[str]:
        want = self.expected
        out = f"<{want.base_url}/u/{token}/>, <mailto:u.{token}@{want.unsubscribe_domain}?subject=unsubscribe>"
        fixed = {
            "From": want.sender,
            "Reply-To": want.reply_to,
            "Message-ID": f"<{token}@{want.mail_domain}>",
            "MIME-Version": "1.0",
            "List-Unsubscribe": out,
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "List-Help": f"<{want.base_url}/why/{token}/>",
            "Feedback-ID": want.feedback_id,
            "CFBL-Address": f"fbl@{want.mail_domain}; report=arf",
            "CFBL-Feedback-ID": token,
            "X-Report-Abuse": f"Report abuse at {want.base_url}/abuse/?t={token}",
            "Precedence": "bulk",
        }
        for name, value in fixed.items():
            if str(message[name]) != value:
                yield f"{name} is {str(message[name])!r}, not {value!r}"
        if not str(message["List-Id"]).endswith(f"<{want.list_id}>"):
            yield f"List-Id is {message['List-Id']}"
        age = time.time() - parsedate_to_datetime(f"{str(message['Date']).removesuffix(' -0000')} +0000").timestamp()
        if not -5 < age < DAY:
            yield f"the date is {message['Date']}"
        if taken.sender != f"b.{token}@{want.return_host}":
            yield f"the return path is {taken.sender}"
        yield from self._recipient(message, taken, person)

    def _recipient(self, message: Mapping[str, Any], taken: Taken, person: Person) -> Iterator[str]:
        if [one.addr_spec for one in message["To"].addresses] != [taken.recipient]:
            yield f"To is {message['To']!r}"
        raw = email.message_from_bytes(taken.raw.partition(b"\r\n\r\n")[0], policy=email.policy.compat32)["To"]
        # The newer parser of Python 3.11 leaves blanks between words of one name (RFC 2047 section 6.2 has none there).
        shown, address = parseaddr(re.sub(r"\r\n(?=[ \t])", "", raw))
        name = shown_name(person.columns["first_name"], person.columns["last_name"])
        if (str(make_header(decode_header(shown))), address) != (name, taken.recipient):
            yield f"To is {raw!r}, not {name!r} <{taken.recipient}>"

    def _words(self, message: EmailMessage, subject: str, token: str, to: tuple[str, Person]) -> Iterator[str]:
        try:
            said = self.source.said(self.values(token, *to))
        except RefusedError as error:
            yield f"was written, though it may not be: {error}"
            return
        if subject != said.subject.lstrip(" "):  # RFC 5322 section 2.2: blanks in front are not shown
            yield f"the subject is {subject!r}, not {said.subject!r}"
        for part, content in zip(message.iter_parts(), (said.text, said.html), strict=False):
            payload = part.get_payload(decode=True)
            if payload != content:
                yield f"{part.get_content_type()} differs{_where(payload, content)}"

    def values(self, token: str, recipient: str, person: Person) -> dict[str, str]:
        """Return every value that may stand in a message."""
        base = self.expected.base_url
        links = {
            "unsubscribe_url": f"{base}/u/{token}/",
            "why_url": f"{base}/why/{token}/",
            "report_url": f"{base}/abuse/?t={token}",
        }
        return {**person.columns, "email": recipient, **links}

    def is_refused(self, person: Person, recipient: str) -> bool:
        """Tell whether this person's message may not be written, by the reference."""
        try:
            self.source.said(self.values("k1" + "a" * 26, recipient, person))
        except RefusedError:
            return True
        return False

    def signatures(self, taken: Taken) -> list[str]:
        """Return what dkimpy says against the two signatures."""
        verifier = dkim.DKIM(taken.raw, minkey=2048)
        wrong, domains = [], set()
        for index in range(2):
            try:
                if not verifier.verify(idx=index, dnsfunc=self._key):
                    wrong.append(f"{taken.recipient}: signature {index} does not verify")
            except dkim.DKIMException as error:
                wrong.append(f"{taken.recipient}: signature {index}: {error}")
            domains.add(f"{verifier.selector.decode()}._domainkey.{verifier.domain.decode()}")
        if domains != set(self.expected.keys):
            wrong.append(f"{taken.recipient}: signed by {sorted(domains)}")
        return wrong

    def _key(self, name: bytes, timeout: int = 5) -> bytes:
        return self.expected.keys.get(name.decode().rstrip("."), "").encode()


def _where(one: object, other: bytes) -> str:
    found = one if isinstance(one, bytes) else b""
    at = next((n for n, pair in enumerate(zip(found, other, strict=False)) if pair[0] != pair[1]), 0)
    return f" at {at}: {found[at : at + 60]!r}, not {other[at : at + 60]!r}"
