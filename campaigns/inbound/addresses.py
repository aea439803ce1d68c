"""The addresses and links that stand in our mail, made from one token a delivery; and reading them back.

The token is sealed (sendserver.lib.tokens): whoever was not given it cannot make one, and it survives case folding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from django.conf import settings

from sendserver.lib.tokens import Purpose, open_token, seal

CANDIDATES_MAX: Final = 200
_TOKEN: Final = re.compile(r"(?<![a-z0-9])[a-z0-9]{2}[a-z2-7]{26}(?![a-z0-9])")
MAILBOXES: Final = frozenset({"abuse", "postmaster", "help", "privacy"})


class Kind(StrEnum):
    """What one of our addresses is for."""

    BOUNCE = "bounce"
    UNSUBSCRIBE = "unsubscribe"
    FEEDBACK = "feedback"
    NOTICE = "notice"  # bounces and replies to our own mail
    ABUSE = "abuse"
    HELP = "help"
    PROBE = "probe"  # a relay's self-test comes home


@dataclass(frozen=True)
class Ours:
    """An address of ours, understood; `delivery_id` for those that carry a token, `probe_id` for a self-test's."""

    kind: Kind
    delivery_id: int | None = None
    probe_id: int | None = None


@dataclass(frozen=True)
class Links:
    """Everything in a message that leads back to us."""

    token: str

    @classmethod
    def of(cls, delivery_id: int) -> Links:
        """Return the links of a delivery, under the newest key."""
        return cls(seal(Purpose.DELIVERY, delivery_id))

    @property
    def message_id(self) -> str:
        """Return the Message-ID: the same for every attempt, so that a receiver can spot a repeat."""
        return f"<{self.token}@{settings.PLATFORM.mail_domain}>"

    @property
    def unsubscribe_url(self) -> str:
        """Return the page with one button, which takes the one-click POST as well."""
        return f"{settings.BASE_URL}/u/{self.token}/"

    @property
    def why_url(self) -> str:
        """Return the page that answers "why did I get this?"."""
        return f"{settings.BASE_URL}/why/{self.token}/"

    @property
    def preferences_url(self) -> str:
        """Return the page where a person chooses."""
        return f"{settings.BASE_URL}/p/{self.token}/"

    @property
    def report_url(self) -> str:
        """Return the abuse form that already knows the message."""
        return f"{settings.BASE_URL}/abuse/?t={self.token}"

    @property
    def unsubscribe_address(self) -> str:
        """Return the mailbox of List-Unsubscribe's mailto form."""
        return f"u.{self.token}@{settings.PLATFORM.unsubscribe_domain}"

    def return_path(self, host: str) -> str:
        """Return the envelope sender at the customer's delegated `host`."""
        return return_path(self.token, host)


def return_path(token: str, host: str) -> str:
    """Return the envelope sender of the delivery with this token at the customer's delegated `host`."""
    return f"b.{token}@{host}"


def read(address: str) -> Ours | None:
    """Return what `address` is, or None when it is none of ours or its token does not open.

    The host of a return path is not compared: the token alone proves that we made the address, and a customer's host
    may have been removed while bounces still come home.
    """
    local, _, host = address.strip().lower().rpartition("@")
    if host in _own_hosts():
        fixed = _fixed(local, host)
        if fixed is not None:
            return fixed
    prefix, _, token = local.partition(".")
    if prefix == "p":
        return _probe(token, host)
    kind = {"b": Kind.BOUNCE, "u": Kind.UNSUBSCRIBE}.get(prefix)
    if kind is None or (kind is Kind.UNSUBSCRIBE and host != settings.PLATFORM.unsubscribe_domain):
        return None
    delivery_id = open_token(Purpose.DELIVERY, token)
    return None if delivery_id is None else Ours(kind, delivery_id)


def probe_address(probe_id: int) -> str:
    """Return the address by which a self-test comes home."""
    return f"p.{seal(Purpose.PROBE, probe_id)}@{settings.RELAY_SELF_TEST}"


def _probe(token: str, host: str) -> Ours | None:
    if not settings.RELAY_SELF_TEST or host != settings.RELAY_SELF_TEST:
        return None
    probe_id = open_token(Purpose.PROBE, token)
    return None if probe_id is None else Ours(Kind.PROBE, probe_id=probe_id)


def find_delivery(text: str) -> int | None:
    """Return the delivery whose token stands in `text` (headers of a returned message), or None.

    Looks at no more than CANDIDATES_MAX words that have a token's shape.
    """
    for count, match in enumerate(_TOKEN.finditer(text.lower())):
        if count >= CANDIDATES_MAX:
            return None
        delivery_id = open_token(Purpose.DELIVERY, match[0])
        if delivery_id is not None:
            return delivery_id
    return None


def _own_hosts() -> frozenset[str]:
    platform = settings.PLATFORM
    return frozenset({platform.domain, platform.mail_domain, platform.return_domain, platform.unsubscribe_domain})


def _fixed(local: str, host: str) -> Ours | None:
    if host == settings.PLATFORM.mail_domain and local == "fbl":
        return Ours(Kind.FEEDBACK)
    if host == settings.PLATFORM.mail_domain and local == "notices":
        return Ours(Kind.NOTICE)
    if local == "abuse":
        return Ours(Kind.ABUSE)
    return Ours(Kind.HELP) if local in MAILBOXES else None
