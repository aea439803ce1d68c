"""Secrets of one installation: made once, kept in `var/secrets`, readable by their owner alone.

Losing them loses more than logins: the suppression keys are what the do-not-mail list is hashed with.
"""

import os
import secrets
from pathlib import Path

from sendserver.local.errors import LauncherError

KEY_BYTES = 32
# name of the environment variable -> whether it is a list of named keys ("kid:hex")
APPLICATION_KEYS = {
    "SECRET_KEY": False,
    "TOKEN_KEYS": True,
    "SUPPRESSION_KEYS": True,
    "FIELD_KEYS": True,
    "LEDGER_KEYS": True,
}


def secret(folder: Path, name: str, *, named: bool = False) -> str:
    """Return the secret `name`, made on the first call (32 random bytes as hex; `k1:` before it if `named`).

    Side effect: creates the folder (0700) and the file (0600).
    """
    path = folder / name
    try:
        if path.exists():
            return path.read_text(encoding="ascii").strip()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except PermissionError as error:
        raise LauncherError(
            f"The secrets in {folder} belong to another user. Start as that user, or set VAR_DIR."
        ) from error
    value = ("k1:" if named else "") + secrets.token_hex(KEY_BYTES)
    _write_private(path, value + "\n")
    return value


def application_keys(folder: Path) -> dict[str, str]:
    """Return SECRET_KEY and the key lists of the portal, by environment name."""
    return {name: secret(folder, name.lower(), named=named) for name, named in APPLICATION_KEYS.items()}


def _write_private(path: Path, text: str) -> None:
    """Write through a neighbour and a rename: a crash leaves either no secret or a whole one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
