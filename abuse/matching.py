"""From a pasted or forwarded message to the delivery behind it. Reads data only: nothing is fetched, nothing rendered.

Signs, strongest first (rules 5.2): a signed token of ours in a header or link; then the sending domain, the feedback
id and our servers' names in Received lines, which anybody can type. Pasting damages blanks and providers redact
addresses, so neither a signature over the body nor To is ever relied on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings

from abuse.models import Complaint
from accounts.models import Organization, SendingDomain
from campaigns.models import Campaign, Delivery
from compliance import policy
from sendserver.lib import tokens
from sendserver.lib.addresses import to_ascii_domain

MAX_BYTES: Final = policy.REPORT_MAX_KB * 1024
MAX_HEADERS: Final = 400
MAX_TOKENS: Final = 200  # candidates tried; a real message carries under twenty
_TOKEN: Final = re.compile(r"(?<![a-z0-9])[a-z0-9]{2}[a-z2-7]{26}(?![a-z0-9])")
_HEADER: Final = re.compile(r"^[ \t>]*([A-Za-z][A-Za-z0-9-]{0,60})[ \t]*:[ \t]*(.*)$")
_DOMAIN: Final = re.compile(r"@([A-Za-z0-9.-]{3,253})")
_DKIM_DOMAIN: Final = re.compile(r"\bd=([A-Za-z0-9.-]{3,253})")
_LINK: Final = re.compile(r"https?://([A-Za-z0-9.-]{3,253})", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W\d_]{6,}")
_TOKEN_HEADERS: Final = (
    "cfbl-feedback-id", "list-unsubscribe", "x-report-abuse", "message-id", "return-path", "list-help",
)  # fmt: skip
FOREIGN_WORDS_SHARE: Final = 0.5  # of the sent text's long words missing: somebody else's text
MIN_WORDS: Final = 12


@dataclass(frozen=True)
class Match:
    """What was found. `signs` are `(where, what)` in words for staff, strongest first."""

    grade: str
    delivery: Delivery | None = None
    organization: Organization | None = None
    signs: tuple[tuple[str, str], ...] = ()
    altered: bool = False  # a valid token, yet not what we sent: replay or forgery, not the sender's doing

    @property
    def is_proven(self) -> bool:
        """Tell whether a signature of ours stands behind it."""
        return self.grade == Complaint.Grade.A

    def as_found(self) -> dict[str, Any]:
        """Return what is stored with the report."""
        return {"signs": [list(sign) for sign in self.signs], "altered": self.altered}


@dataclass
class Source:
    """A message's source as text: header values by lower-case name, and the rest."""

    headers: dict[str, list[str]] = field(default_factory=dict)
    body: str = ""
    text: str = ""

    def all(self, name: str) -> list[str]:
        """Return the values of a header."""
        return self.headers.get(name, [])


def match_token(token: str) -> Match:
    """Return the match of a report link's token."""
    number = tokens.open_token(tokens.Purpose.DELIVERY, token.strip().lower())
    delivery = _delivery(number) if number is not None else None
    if delivery is None:
        return Match(Complaint.Grade.X)
    return Match(Complaint.Grade.A, delivery, delivery.organization, (("Link in the message", "signed token"),))


def match_source(raw: bytes) -> Match:
    """Return the match of a message's source; anything over MAX_BYTES is not read."""
    source = parse(raw[:MAX_BYTES])
    for where, number in _token_numbers(source):
        delivery = _delivery(number)
        if delivery is not None:
            signs = ((where, "signed token"), *_weak_signs(source))
            return Match(Complaint.Grade.A, delivery, delivery.organization, signs, is_altered(source, delivery))
    return _weak_match(source)


def parse(raw: bytes) -> Source:
    """Return headers and body; tolerant, since pasted text loses blanks, gains quote marks and mixes line ends."""
    text = raw.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    headers: dict[str, list[str]] = {}
    lines = text.split("\n")
    last = ""
    for place, line in enumerate(lines):
        found = _HEADER.match(line)
        if found and sum(map(len, headers.values())) < MAX_HEADERS:
            last = found[1].lower()
            headers.setdefault(last, []).append(found[2].strip())
        elif last and line[:1] in (" ", "\t"):
            headers[last][-1] += line.strip()
        elif not line.strip() and headers:
            return Source(headers, "\n".join(lines[place + 1 :]), text)
    return Source(headers, "", text)


def _token_numbers(source: Source) -> Iterator[tuple[str, int]]:
    """Yield where a token stands and the delivery's number in it, the strongest headers first."""
    places = [(name, value) for name in _TOKEN_HEADERS for value in source.all(name)]
    places.append(("text or link", source.text.replace("=\n", "")))  # quoted-printable breaks lines inside links
    seen: set[str] = set()
    for where, value in places:
        for token in _TOKEN.findall(value.lower()):
            if token in seen or len(seen) >= MAX_TOKENS:
                continue
            seen.add(token)
            number = tokens.open_token(tokens.Purpose.DELIVERY, token)
            if number is not None:
                yield where, number


def _delivery(number: int) -> Delivery | None:
    return Delivery.objects.select_related("organization", "campaign").filter(pk=number).first()


def _weak_match(source: Source) -> Match:
    signs = _weak_signs(source)
    organization = _organization_of(source)
    if not signs and organization is None:
        return Match(Complaint.Grade.X)
    ours = any(where == "Received line" for where, _ in signs)
    grade = Complaint.Grade.B if ours and organization is not None else Complaint.Grade.C
    return Match(grade, None, organization, signs)


def _weak_signs(source: Source) -> tuple[tuple[str, str], ...]:
    names = [config.name.lower() for config in settings.RELAYS.values()]
    received = " ".join(source.all("received")).lower()
    signs = [("Received line", name) for name in names if name in received]
    platform = settings.PLATFORM.domain.lower()
    own = ("message-id", "list-unsubscribe", "cfbl-address", "dkim-signature", "feedback-id")
    signs += [(name, platform) for name in own if any(platform in value.lower() for value in source.all(name))]
    signs += [("Sending domain", domain.name) for domain in _sending_domains(source)[:3]]
    return tuple(signs)


def _sending_domains(source: Source) -> list[SendingDomain]:
    """Return proven domains of customers that the message names as its author or signer."""
    named = [name for value in source.all("from") for name in _DOMAIN.findall(value)]
    named += [name for value in source.all("dkim-signature") for name in _DKIM_DOMAIN.findall(value)]
    names = {ascii_name for name in named[:20] if (ascii_name := to_ascii_domain(name))}
    found = SendingDomain.objects.filter(name__in=names, verified_at__isnull=False, removed_at=None)
    return list(found.select_related("organization"))


def _organization_of(source: Source) -> Organization | None:
    owners = {domain.organization_id: domain.organization for domain in _sending_domains(source)}
    return next(iter(owners.values())) if len(owners) == 1 else None


def is_altered(source: Source, delivery: Delivery) -> bool:
    """Tell whether a message with a valid token holds a text or links that we did not send."""
    snapshot = delivery.campaign.snapshot
    if snapshot is None:
        return False
    return _from_differs(source, delivery.campaign) or _body_differs(source.body, snapshot.content)


def _from_differs(source: Source, campaign: Campaign) -> bool:
    named = [name.lower().rstrip(".") for value in source.all("from")[:3] for name in _DOMAIN.findall(value)]
    sender = campaign.from_address
    return bool(named and sender and sender.domain.name not in named)


def _body_differs(body: str, content: dict[str, Any]) -> bool:
    """Compare roughly, since pasted bodies are encoded, cut and redacted: foreign links, or most words missing."""
    sent = f"{content.get('html', '')} {content.get('text', '')} {' '.join(map(str, content.get('links', [])))}"
    hosts = {host.lower() for host in _LINK.findall(body.replace("=\n", ""))}
    known = {host.lower() for host in _LINK.findall(sent)} | {settings.BASE_URL.split("://", 1)[1].split(":")[0]}
    if any(not _is_known(host, known) for host in hosts):
        return True
    words = set(_WORD.findall(str(content.get("text", "")).lower()))
    there = set(_WORD.findall(body.replace("=\n", "").lower()))
    if len(there) < MIN_WORDS or len(words) < MIN_WORDS:
        return False
    return len(words & there) < FOREIGN_WORDS_SHARE * min(len(words), len(there))


def _is_known(host: str, known: set[str]) -> bool:
    platform = settings.PLATFORM.domain.lower()
    return host in known or host == platform or host.endswith(f".{platform}")
