"""DKIM signatures (RFC 6376): rsa-sha256, relaxed/relaxed, over the final bytes.

Signed last; nothing is changed behind it. A header that must stay single is listed once more than it occurs, so that
a copy added later breaks the signature (RFC 6376 section 8.15). No l= and no z=.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from accounts.domains import SigningKey
from campaigns.sending.form import Form, mark
from compliance import policy

Headers = Sequence[tuple[str, str]]

OVERSIGNED: Final = (
    *("From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "Sender", "MIME-Version", "Content-Type"),
    *("Content-Transfer-Encoding", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"),
)
# Some relays add a Feedback-ID of their own, so these are signed as they are and not oversigned (rules 3.4).
SIGNED: Final = (
    *("List-Help", "Feedback-ID", "CFBL-Address", "CFBL-Feedback-ID", "X-Report-Abuse", "Precedence"),
    "Auto-Submitted",
)
LIFETIME_SECONDS: Final = policy.DKIM_X_DAYS * 86_400
_BLANKS: Final = re.compile(rb"[ \t]+")
_LOOSE: Final = (b"\t", b"  ", b" \r\n")  # bytes that relaxing would change
_FOLD: Final = re.compile(rb"\r\n(?=[ \t])")
_PADDING: Final = padding.PKCS1v15()
_DIGEST: Final = utils.Prehashed(hashes.SHA256())
_OWN: Final = ("at", "until", "bh")


@dataclass(frozen=True)
class Signer:
    """A key ready to sign: parsed once, used for every message of a campaign."""

    selector: str
    domain: str
    key: rsa.RSAPrivateKey

    @classmethod
    def of(cls, key: SigningKey) -> Signer:
        """Return the signer of a stored key."""
        return cls(key.selector, key.domain, _load(key.private_pem))


@lru_cache(maxsize=32)
def _load(pem: str) -> rsa.RSAPrivateKey:
    return cast(rsa.RSAPrivateKey, load_pem_private_key(pem.encode(), password=None))


def sign(headers: Headers, body: bytes, signers: Sequence[Signer], *, at: int) -> list[tuple[str, str]]:
    """Return one DKIM-Signature header a signer, to be put on top; `at` is the Unix time of signing, in seconds."""
    names = _names(headers)
    signed = _canonical_headers(headers, names)
    body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
    return [_signature(signer, names, signed, body_hash, at) for signer in signers]


class Seal:
    """The signatures of a letter whose headers differ in a few values only: all else is made canonical once.

    `headers` hold campaigns.sending.form.mark(name) where a value stands; a value is a whole header or has no blanks.
    """

    def __init__(self, headers: Headers, signers: Sequence[Signer], names: Sequence[str]) -> None:
        signed = _names(headers)
        self._headers = Form.of(_canonical_headers(headers, signed).decode(), names)
        self._signers = []
        for signer in signers:
            value = _value(signer, signed, mark("at"), mark("until"), mark("bh"))
            own = relaxed_header("DKIM-Signature", value).removesuffix(b"\r\n").decode()
            self._signers.append((signer.key, Form.of(own, _OWN), Form.of(f"DKIM-Signature: {value}", _OWN)))

    def sign(self, values: Sequence[bytes], body: bytes, *, at: int) -> bytes:
        """Return the header lines to be put on top; `values` in the order of the names.

        `body` is a compiled one, which is its own relaxed form (campaigns.content.quoted).
        """
        signed = self._headers.fill(*map(relaxed_value, values))
        gaps = (b"%d" % at, b"%d" % (at + LIFETIME_SECONDS), base64.b64encode(hashlib.sha256(body).digest()))
        lines = []
        for key, own, header in self._signers:
            lines += [header.fill(*gaps), _wrapped(_raw(key, signed + own.fill(*gaps))), b"\r\n"]
        return b"".join(lines)


def _signature(signer: Signer, names: list[str], signed: bytes, body_hash: str, at: int) -> tuple[str, str]:
    value = _value(signer, names, str(at), str(at + LIFETIME_SECONDS), body_hash)
    own = relaxed_header("DKIM-Signature", value).removesuffix(b"\r\n")
    return "DKIM-Signature", value + _wrapped(_raw(signer.key, signed + own)).decode()


def _value(signer: Signer, names: list[str], at: str, until: str, body_hash: str) -> str:
    """Return the header's value up to the signature itself."""
    return (
        f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={signer.domain}; s={signer.selector};\r\n"
        f" t={at}; x={until};\r\n h={_folded(names)};\r\n bh={body_hash};\r\n b="
    )


def _raw(key: rsa.RSAPrivateKey, signed: bytes) -> bytes:
    return key.sign(hashlib.sha256(signed).digest(), _PADDING, _DIGEST)


def _wrapped(raw: bytes) -> bytes:
    text = base64.b64encode(raw)
    return b"\r\n ".join([text[start : start + 72] for start in range(0, len(text), 72)])


def _names(headers: Headers) -> list[str]:
    """Return the h= list."""
    present = [name.lower() for name, _ in headers]
    once_more = [name for name in OVERSIGNED for _ in range(present.count(name.lower()) + 1)]
    return once_more + [name for name in SIGNED for _ in range(present.count(name.lower()))]


def _folded(names: list[str]) -> str:
    """Return the names joined by colons, folded below 78 columns."""
    lines, line = [], ""
    for name in names:
        if len(line) + len(name) > 72:
            lines.append(line)
            line = ""
        line += name + ":"
    return "\r\n ".join([*lines, line]).removesuffix(":")


def _canonical_headers(headers: Headers, names: list[str]) -> bytes:
    """Return the signed headers in the order of h=; a name listed again takes the next one up (section 5.4.2)."""
    stacks: dict[str, list[bytes]] = {}
    for name, value in headers:
        stacks.setdefault(name.lower(), []).append(relaxed_header(name, value))
    return b"".join(stacks[name.lower()].pop() for name in names if stacks.get(name.lower()))


def relaxed_header(name: str, value: str) -> bytes:
    """Return one header in relaxed form, RFC 6376 section 3.4.2."""
    return name.lower().encode() + b":" + relaxed_value(value.encode()) + b"\r\n"


def relaxed_value(value: bytes) -> bytes:
    """Return a header's value in relaxed form."""
    if b"\r" in value:
        value = _FOLD.sub(b"", value)
    return _BLANKS.sub(b" ", value).strip(b" \t")


def relaxed_body(body: bytes) -> bytes:
    """Return the body in relaxed form, RFC 6376 section 3.4.4; compiled bodies are in it already and pass untouched."""
    if any(loose in body for loose in _LOOSE):
        lines = [_BLANKS.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
        body = b"\r\n".join(lines)
    stripped = body.rstrip(b"\r\n")
    return stripped + b"\r\n" if stripped else b""
