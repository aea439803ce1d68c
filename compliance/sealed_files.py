"""Files that strangers hand in: taken by their first bytes, kept sealed by fingerprint, given as downloads only.

No virus scanner looks at them (docs/known-limits.md). Each use has a room of its own, so that what one throws away
another keeps.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from django.conf import settings
from django.http import HttpResponse

from compliance import policy
from compliance.errors import FileRefusedError
from sendserver.lib.crypto import open_text, seal_text

_KINDS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"%PDF-", "pdf"),
)


def take(chunks: Iterable[bytes]) -> bytes:
    """Return a file's bytes; FileRefusedError in words for one that is too large or none of our kinds."""
    most, data = policy.EVIDENCE_MB * 1024 * 1024, b""
    for chunk in chunks:
        data += chunk
        if len(data) > most:
            raise FileRefusedError(f"The file is larger than {policy.EVIDENCE_MB} MB.")
    if not kind_of(data):
        raise FileRefusedError("Add a picture (PNG, JPEG), a PDF, or a text file.")
    return data


def kind_of(data: bytes) -> str:
    """Return what a file is by its first bytes: png, jpeg, pdf, text; "" for what we do not take."""
    found = next((kind for magic, kind in _KINDS if data.startswith(magic)), "")
    if found or not data or b"\x00" in data:
        return found
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    return "" if text.lstrip().startswith("<") else "text"


def name_of(name: str) -> str:
    """Return a file's name as it is shown: printable, at most 120 characters."""
    return "".join(char for char in name if char.isprintable())[:120] or "file"


def path_of(room: str, digest: bytes) -> Path:
    """Return where a file is kept: by its fingerprint."""
    return Path(settings.MEDIA_ROOT) / room / digest.hex()


def keep(room: str, data: bytes) -> bytes:
    """Write a file once, sealed with FIELD_KEYS, and return its SHA-256; one that is there already is the same."""
    digest = hashlib.sha256(data).digest()
    target = path_of(room, digest)
    if target.exists():
        return digest
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(seal_text(base64.b64encode(data).decode()))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
    return digest


def read(room: str, digest: bytes) -> bytes:
    """Return a kept file; ValueError when it is no longer the one that was handed in."""
    data = base64.b64decode(open_text(path_of(room, digest).read_text(encoding="ascii")))
    if hashlib.sha256(data).digest() != digest:
        raise ValueError(f"{room} {digest.hex()[:8]} does not fit its fingerprint")
    return data


def drop(room: str, digest: bytes) -> None:
    """Throw a file away; the caller knows that nobody else has it."""
    path_of(room, digest).unlink(missing_ok=True)


def as_download(data: bytes, name: str) -> HttpResponse:
    """Return bytes as a download that no browser opens by itself; `name` is ours, never the stranger's."""
    response = HttpResponse(data, content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response
