"""Check the DKIM signatures of a kept message as its receiver would: RFC 6376, rsa-sha256, relaxed/relaxed.

Written apart from the signer on purpose, so that a fault of one is seen by the other. The caller gives
the text of a key record. Other algorithms and canonicalizations are reported as not understood.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_WSP = re.compile(rb"[ \t]+")
_HEADER_END = b"\r\n\r\n"
KeyText = Callable[[str], str]  # name of a TXT record -> its text, "" when there is none


@dataclass(frozen=True)
class Signature:
    """One signature and what came of it."""

    domain: str
    selector: str
    signed: tuple[str, ...]  # header names in lower case
    fault: str  # "" when it holds

    @property
    def holds(self) -> bool:
        """Tell whether the signature is right."""
        return not self.fault


def check(message: bytes, key_text: KeyText) -> list[Signature]:
    """Return every DKIM signature of a message with its result, topmost first."""
    header, _, body = message.partition(_HEADER_END)
    fields = split_fields(header)
    return [
        _check_one(number, fields, body, key_text)
        for number, field in enumerate(fields)
        if _name(field) == b"dkim-signature"
    ]


def split_fields(header: bytes) -> list[bytes]:
    """Return the header fields, folded as they stand, without the last line end."""
    return re.split(rb"\r\n(?![ \t])", header)


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip().lower()


def _check_one(number: int, fields: list[bytes], body: bytes, key_text: KeyText) -> Signature:
    tags = parse_tags(fields[number].partition(b":")[2].decode("ascii", "replace"))
    names = tuple(name.strip().lower() for name in tags.get("h", "").split(":"))
    fault = _fault(tags, names, number, fields, body, key_text)
    return Signature(tags.get("d", ""), tags.get("s", ""), names, fault)


def parse_tags(text: str) -> dict[str, str]:
    """Return a tag list (RFC 6376 section 3.2) as a dict, white space inside values removed."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip(): re.sub(r"\s+", "", value) for name, _, value in pairs if name.strip()}


def _fault(  # noqa: PLR0913, PLR0917
    tags: dict[str, str], names: tuple[str, ...], number: int, fields: list[bytes], body: bytes, key_text: KeyText
) -> str:
    if tags.get("a") != "rsa-sha256" or tags.get("c") != "relaxed/relaxed" or "l" in tags:
        return "not understood"
    if _body_hash(body) != tags.get("bh"):
        return "the body was changed"
    key = _public_key(key_text(f"{tags.get('s')}._domainkey.{tags.get('d')}"))
    if key is None:
        return "the key was not found"
    try:
        key.verify(
            base64.b64decode(tags.get("b", "")), _signed(number, fields, names), padding.PKCS1v15(), hashes.SHA256()
        )
    except (InvalidSignature, binascii.Error):
        return "the header was changed"
    return ""


def _body_hash(body: bytes) -> str:
    """Return bh=: white space at line ends gone, runs of it one space, empty lines at the end gone (section 3.4.4)."""
    lines = [_WSP.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    text = b"".join(line + b"\r\n" for line in lines)
    return base64.b64encode(hashlib.sha256(text).digest()).decode()


def _relaxed(field: bytes) -> bytes:
    """Return a header field in relaxed form (section 3.4.2), without line end."""
    name, _, value = field.partition(b":")
    return name.strip().lower() + b":" + _WSP.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


def _signed(number: int, fields: list[bytes], names: tuple[str, ...]) -> bytes:
    """Return what was signed: the named fields from the bottom up, then the signature itself with b= empty."""
    pool = [field for index, field in enumerate(fields) if index != number]
    lines = []
    for name in names:
        found = next((field for field in reversed(pool) if _name(field) == name.encode()), None)
        if found is not None:
            pool.reverse()
            pool.remove(found)
            pool.reverse()
            lines.append(_relaxed(found) + b"\r\n")
    own = re.sub(rb"(^|;)(\s*b\s*=)[^;]*", rb"\1\2", _relaxed(fields[number]).partition(b":")[2])
    return b"".join(lines) + b"dkim-signature:" + own.strip(b" ")


def _public_key(text: str) -> rsa.RSAPublicKey | None:
    value = parse_tags(text).get("p", "")
    try:
        key = serialization.load_der_public_key(base64.b64decode(value)) if value else None
    except (ValueError, binascii.Error):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None
