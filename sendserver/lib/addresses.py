"""E-mail addresses: one normal form for comparing, the original kept for sending.

Folds case only: no dots, no plus tags, since two people must never share one key.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, NewType

import idna
from django.conf import settings

AddressKey = NewType("AddressKey", str)

LOCAL_MAX = 64  # octets, RFC 5321 section 4.5.3.1.1
ADDRESS_MAX = 254  # octets, RFC 5321 section 4.5.3.1.3 less the angle brackets
_ATEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
# What nearly every row is: plain signs and one @. All else takes the long way, which knows the reasons.
_PLAIN = re.compile(rf"({_ATEXT.pattern})@([A-Za-z0-9.-]+)")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


class Address(NamedTuple):
    """An accepted address: `original` is what we send to, `key` what we compare."""

    original: str
    key: AddressKey

    @property
    def domain(self) -> str:
        """Return the domain as A-label, lower case."""
        return self.key.rpartition("@")[2]


@dataclass(frozen=True)
class BadAddress:
    """A refused address with a reason code; texts for people live where they are shown."""

    value: str
    reason: str
    suggestion: str = ""


@lru_cache(maxsize=8192)  # a list has few domains and many rows
def to_ascii_domain(domain: str) -> str | None:
    """Return the domain as lower-case A-labels (RFC 5891 with UTS 46 mapping, non-transitional), or None.

    An A-label that decodes to nothing registrable ("xn--example") is no domain either.
    """
    text = domain.strip().lower()
    if not text.isascii() or "xn--" in text:
        try:
            text = idna.encode(text, uts46=True, std3_rules=True).decode()
        except (idna.IDNAError, UnicodeError):
            return None
    labels = text.split(".")
    if len(labels) < 2 or len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    return text if not labels[-1].isdigit() else None


def parse(value: str) -> Address | BadAddress:
    """Return the address in `value`, or why it cannot be mailed (rules SRC-SYNTAX).

    Refused on purpose: quoted local parts, comments, address literals, non-ASCII local parts (both relays would
    need SMTPUTF8), several addresses in one cell, and anything with a control or invisible character.
    """
    plain = _PLAIN.fullmatch(value)
    if plain and len(plain[1]) <= LOCAL_MAX:
        return _joined(value, plain[1], plain[2])
    text = unicodedata.normalize("NFC", value).strip(" \t\u00a0")
    reason = _refusal(text)
    if reason:
        return BadAddress(value, reason)
    local, _, domain = text.rpartition("@")
    return _joined(value, local, domain)


def _joined(value: str, local: str, domain: str) -> Address | BadAddress:
    ascii_domain = to_ascii_domain(domain)
    if ascii_domain is None:
        return BadAddress(value, "bad_domain")
    address = f"{local}@{ascii_domain}"
    if len(address) > ADDRESS_MAX:
        return BadAddress(value, "too_long")
    return Address(address, AddressKey(address.lower()))


def _refusal(text: str) -> str:
    if not text:
        return "empty"
    if any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Co", "Cs") for char in text):
        return "control_character"
    if text.startswith('"') and not text.endswith(">"):
        return "quoted_or_literal"  # before the next: an @ or a comma in quotation marks is no second address
    if text.count("@") > 1 or any(mark in text for mark in ",;<>"):
        return "not_one_address"
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        return "no_at_sign"
    if '"' in local or "(" in text or "[" in domain:
        return "quoted_or_literal"
    if not local.isascii():
        return "non_ascii_local_part"
    if len(local) > LOCAL_MAX:
        return "too_long"
    return "" if _ATEXT.fullmatch(local) else "bad_local_part"


def suppression_hash(key: AddressKey) -> bytes:
    """Return the keyed hash (32 bytes) under which the do-not-mail list keeps an address; newest key."""
    return _keyed_hash(next(iter(settings.SUPPRESSION_KEYS.values())), key)


def suppression_hasher() -> Callable[[AddressKey], bytes]:
    """Return a function that does what suppression_hash() does, for many addresses; half the time each."""
    begun = hmac.new(next(iter(settings.SUPPRESSION_KEYS.values())), digestmod="sha256")

    def hash_of(key: AddressKey) -> bytes:
        mac = begun.copy()
        mac.update(key.encode())
        return mac.digest()

    return hash_of


def suppression_hashes(key: AddressKey) -> list[bytes]:
    """Return the hash under every key ever used, for look-ups after a rotation."""
    return [_keyed_hash(secret, key) for secret in settings.SUPPRESSION_KEYS.values()]


# An address, or where nothing else of it is kept, its keyed hash.
Who = AddressKey | bytes


def hashes_of(who: Who) -> list[bytes]:
    """Return the hashes under which somebody may be found."""
    return [who] if isinstance(who, bytes) else suppression_hashes(who)


def suppression_key_id() -> str:
    """Return the id of the key that new hashes use; every row names it."""
    return next(iter(settings.SUPPRESSION_KEYS))


def _keyed_hash(secret: bytes, key: AddressKey) -> bytes:
    return hmac.digest(secret, key.encode(), "sha256")


def masked(address: str) -> str:
    """Return the address as logs may show it: first letter and domain."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}" if local else "…"
