"""Secrets at rest: DKIM keys and the like, sealed with FIELD_KEYS (Fernet), the key id in front."""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


class UnreadableSecretError(Exception):
    """A sealed value names a key we do not hold, or was altered."""


def seal_text(text: str) -> str:
    """Return `text` sealed as `kid:token`."""
    kid, key = next(iter(settings.FIELD_KEYS.items()))
    return f"{kid}:{_fernet(key).encrypt(text.encode()).decode()}"


def open_text(sealed: str) -> str:
    """Return the text inside; raises UnreadableSecretError."""
    kid, _, token = sealed.partition(":")
    key = settings.FIELD_KEYS.get(kid)
    if key is None:
        raise UnreadableSecretError(f"no field key {kid!r}")
    try:
        return _fernet(key).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise UnreadableSecretError("altered") from error


def _fernet(key: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(key))
