"""Signed heads of the ledger: Ed25519 (RFC 8032) over one line of text. Knows no model.

The key stands in the environment (LEDGER_KEYS, "kid:hex" with the 32 byte seed, newest first) and never in the
database: whoever can alter every table still cannot sign another history.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings


class NoLedgerKeyError(Exception):
    """LEDGER_KEYS is empty, so nothing can be signed."""


@dataclass(frozen=True)
class Head:
    """The newest entry at one moment, as it is exported."""

    position: int
    entry_hash: bytes
    at: datetime
    key_id: str
    signature: bytes = b""

    @property
    def text(self) -> str:
        """Return what is signed, without a line end."""
        moment = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        return f"sendserver ledger {self.position} {self.entry_hash.hex()} {moment} {self.key_id}"

    def as_line(self) -> str:
        """Return the head as one line of JSON; `text` is what the signature covers."""
        kept = {
            "position": self.position,
            "entry_hash": self.entry_hash.hex(),
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "key_id": self.key_id,
            "text": self.text,
            "signature": self.signature.hex(),
        }
        return json.dumps(kept, sort_keys=True)


def signed(position: int, entry_hash: bytes, at: datetime) -> Head:
    """Return a head signed with the newest key; NoLedgerKeyError when there is none."""
    if not settings.LEDGER_KEYS:
        raise NoLedgerKeyError("LEDGER_KEYS is empty")
    key_id, seed = next(iter(settings.LEDGER_KEYS.items()))
    head = Head(position, entry_hash, at, key_id)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(head.text.encode())
    return Head(position, entry_hash, at, key_id, signature)


def from_line(line: str) -> Head:
    """Return the head of an exported line; ValueError (KeyError, TypeError) when it is none."""
    kept: dict[str, Any] = json.loads(line)
    moment = datetime.fromisoformat(kept["at"])
    signature, entry_hash = bytes.fromhex(kept["signature"]), bytes.fromhex(kept["entry_hash"])
    return Head(int(kept["position"]), entry_hash, moment, str(kept["key_id"]), signature)


def is_genuine(head: Head) -> bool:
    """Tell whether the platform signed this head with a key that is still known."""
    seed = settings.LEDGER_KEYS.get(head.key_id)
    if seed is None:
        return False
    try:
        Ed25519PrivateKey.from_private_bytes(seed).public_key().verify(head.signature, head.text.encode())
    except InvalidSignature:
        return False
    return True


def public_keys() -> dict[str, str]:
    """Return the public key of each id as PEM (SubjectPublicKeyInfo), for `openssl pkeyutl -verify -rawin`."""
    return {
        key_id: Ed25519PrivateKey.from_private_bytes(seed)
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode()
        for key_id, seed in settings.LEDGER_KEYS.items()
    }
