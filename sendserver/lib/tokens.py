"""Short signed tokens that stand in mail and links.

A token is one AES block over an eight-byte purpose tag and an eight-byte number, written in lower-case base32 behind
the id of its key: `k1` + 26 characters. A block cipher is a keyed permutation, so nobody without the key can make a
block whose first half is the right tag (one chance in 2**64), the number stays unreadable, and the token survives
case folding and fits a 64-octet local part (RFC 5321 section 4.5.3.1.1). Tokens never expire (rules UNSUB-LINK-LIFE);
old keys stay in TOKEN_KEYS and only the first one seals.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading
from collections.abc import Sequence
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from django.conf import settings

_SHAPE = re.compile(r"([a-z0-9]{2})([a-z2-7]{26})")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_THREE = (1 << 30) - 1
_mine = threading.local()


class Purpose:
    """What a token is good for; a token sealed for one purpose opens for no other."""

    DELIVERY = "delivery"  # unsubscribe, why, report, return path, Message-ID
    CAMPAIGN = "campaign"  # click links and view online: constant per campaign
    INVITATION = "invitation"
    CASE = "case"  # status page of a report
    CONFIRM = "confirm"
    PROBE = "probe"  # the message by which a relay is tested
    SIGNUP = "signup"  # the link by which a sign-up is confirmed
    CONTACT = "contact"  # links mailed on request
    PAGE = "page"  # where the next page of a long list begins
    ERASE = "erase"  # mailed to the person who asked to be erased


@lru_cache(maxsize=64)
def _tag(purpose: str) -> bytes:
    return hashlib.blake2s(purpose.encode(), digest_size=8, person=b"token").digest()


@lru_cache(maxsize=16)
def _cipher(key: bytes) -> Cipher[modes.ECB]:
    derived = hashlib.blake2s(key, person=b"tokens", digest_size=16).digest()
    return Cipher(algorithms.AES(derived), modes.ECB())  # noqa: S305 (one block, all of it unique)


def seal(purpose: str, number: int) -> str:
    """Return the token of `number` for `purpose`, under the newest key."""
    return seal_all(purpose, [number])[0]


def seal_all(purpose: str, numbers: Sequence[int]) -> list[str]:
    """Return the token of each number, as `seal`."""
    kid, key = next(iter(settings.TOKEN_KEYS.items()))
    tag = _tag(purpose)
    sealed = _encryptor(key).update(b"".join([tag + number.to_bytes(8, "big") for number in numbers]))
    return [kid + _written(sealed[at : at + 16]) for at in range(0, len(sealed), 16)]


def _encryptor(key: bytes) -> CipherContext:
    """Return this thread's encryptor: making one costs more than its block, and ECB blocks know nothing of another."""
    try:
        found: CipherContext = _mine.encryptors[key]
    except (AttributeError, KeyError):
        found = _cipher(key).encryptor()
        _mine.__dict__.setdefault("encryptors", {})[key] = found
    return found


def _written(block: bytes) -> str:
    """Return 16 octets in lower-case base32 without padding, RFC 4648 section 6: 26 characters."""
    number = int.from_bytes(block, "big") << 2  # 128 bits and two spare ones are 13 pairs of characters
    pairs, a, b = (
        _PAIRS,
        number >> 100,
        number >> 70 & _THREE,
    )  # three pairs at a time: what Python's small numbers hold
    c, d, e = number >> 40 & _THREE, number >> 10 & _THREE, number & 1023
    return (
        f"{pairs[a >> 20]}{pairs[a >> 10 & 1023]}{pairs[a & 1023]}{pairs[b >> 20]}{pairs[b >> 10 & 1023]}"
        f"{pairs[b & 1023]}{pairs[c >> 20]}{pairs[c >> 10 & 1023]}{pairs[c & 1023]}{pairs[d >> 20]}"
        f"{pairs[d >> 10 & 1023]}{pairs[d & 1023]}{pairs[e]}"
    )


def open_token(purpose: str, token: str) -> int | None:
    """Return the number inside `token`, or None when it is not ours, altered, or for another purpose."""
    match = _SHAPE.fullmatch(token.lower()) if len(token) == 28 else None
    key = settings.TOKEN_KEYS.get(match[1]) if match else None
    if match is None or key is None:
        return None
    block = base64.b32decode(match[2].upper() + "======")
    if _written(block) != match[2]:
        return None  # the last character carries two spare bits; only one spelling is ours
    plain = _cipher(key).decryptor().update(block)
    return int.from_bytes(plain[8:], "big") if hmac.compare_digest(plain[:8], _tag(purpose)) else None
