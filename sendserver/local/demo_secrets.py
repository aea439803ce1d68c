"""Passwords and authenticator secrets of the demo people: made once for an installation, kept in `var/secrets`."""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from allauth.mfa.totp.internal.auth import format_hotp_value, generate_totp_secret, hotp_value

PERIOD = 30  # seconds a code lives
_WORDS = "amber birch cedar delta ember fjord grove heron inlet jolly kayak larch maple north olive pearl quill river"


@dataclass(frozen=True)
class Credentials:
    """What one person signs in with."""

    password: str
    totp_secret: str  # base32

    def code(self) -> str:
        """Return the authenticator code of this half minute; RFC 6238."""
        return format_hotp_value(hotp_value(self.totp_secret, int(time.time()) // PERIOD))


def credentials(var: Path, keys: list[str]) -> dict[str, Credentials]:
    """Return everybody's credentials, making what is missing. Side effect: writes `secrets/demo.json` (0600)."""
    path = var / "secrets" / "demo.json"
    kept = json.loads(path.read_text(encoding="ascii")) if path.exists() else {}
    missing = [key for key in keys if key not in kept]
    for key in missing:
        kept[key] = {"password": _password(), "totp_secret": generate_totp_secret()}
    if missing:
        _write(path, json.dumps(kept, indent=1))
    return {key: Credentials(**kept[key]) for key in keys}


def _password() -> str:
    """Return three words and a number: easy to type, different on each machine."""
    words = [secrets.choice(_WORDS.split()) for _ in range(3)]
    return "-".join([*words, str(secrets.randbelow(9000) + 1000)])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
    draft.replace(path)
