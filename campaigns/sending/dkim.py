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
_FOLD: Final = re.compile(r"\r\n(?=[ \t])")


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


def _signature(signer: Signer, names: list[str], signed: bytes, body_hash: str, at: int) -> tuple[str, str]:
    value = (
        f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={signer.domain}; s={signer.selector};\r\n"
        f" t={at}; x={at + LIFETIME_SECONDS};\r\n h={_folded(names)};\r\n bh={body_hash};\r\n b="
    )
    own = relaxed_header("DKIM-Signature", value).removesuffix(b"\r\n")
    digest = hashlib.sha256(signed + own).digest()
    raw = signer.key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    text = base64.b64encode(raw).decode()
    pieces = [text[start : start + 72] for start in range(0, len(text), 72)]
    return "DKIM-Signature", value + "\r\n ".join(pieces)


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
    unfolded = _FOLD.sub("", value).encode()
    return name.lower().encode() + b":" + _BLANKS.sub(b" ", unfolded).strip(b" \t") + b"\r\n"


def relaxed_body(body: bytes) -> bytes:
    """Return the body in relaxed form, RFC 6376 section 3.4.4; compiled bodies are in it already and pass untouched."""
    if any(loose in body for loose in _LOOSE):
        lines = [_BLANKS.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
        body = b"\r\n".join(lines)
    stripped = body.rstrip(b"\r\n")
    return stripped + b"\r\n" if stripped else b""
