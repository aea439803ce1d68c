"""Evidence beside a statement: screenshots, scans and logs, kept under their fingerprint, sealed, written once.

A file is looked at by its first bytes only and never shown in a page: it is given back as a download. No virus scanner
looks at it (docs/known-limits.md). Its fingerprint is signed into the statement; its name is not, since names of files
name people.
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

from accounts.models import User
from compliance import policy
from compliance.errors import FileRefusedError
from compliance.models import EvidenceFile, ImportJob, SavedPage
from sendserver.lib import clock
from sendserver.lib.crypto import open_text, seal_text

_KINDS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"%PDF-", "pdf"),
)


def add(job: ImportJob, chunks: Iterable[bytes], *, name: str, actor: User) -> EvidenceFile:
    """Keep a file with an upload and return its row; FileRefusedError in words when we do not take it."""
    if EvidenceFile.objects.filter(import_uid=job.uid).count() >= policy.EVIDENCE_FILES:
        raise FileRefusedError(f"Up to {policy.EVIDENCE_FILES} files can be added.")
    data = _read(chunks)
    digest = hashlib.sha256(data).digest()
    keep(digest, data)
    row, _ = EvidenceFile.objects.get_or_create(
        organization=job.organization,
        import_uid=job.uid,
        sha256=digest,
        defaults={
            "name": "".join(char for char in name if char.isprintable())[:120] or "file",
            "kind": kind_of(data),
            "size": len(data),
            "added_by": actor,
            "added_at": clock.now(),
        },
    )
    return row


def _read(chunks: Iterable[bytes]) -> bytes:
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


def path_of(digest: bytes) -> Path:
    """Return where a file is kept: by its fingerprint."""
    return Path(settings.MEDIA_ROOT) / "evidence" / digest.hex()


def keep(digest: bytes, data: bytes) -> None:
    """Write a file once, sealed with FIELD_KEYS; one that is there already is the same."""
    target = path_of(digest)
    if target.exists():
        return
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(seal_text(base64.b64encode(data).decode()))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)


def read(row: EvidenceFile) -> bytes:
    """Return a kept file; ValueError when it is no longer the one that was added."""
    return bytes_of(bytes(row.sha256))


def bytes_of(digest: bytes) -> bytes:
    """Return what is kept under a fingerprint; ValueError when it no longer fits."""
    data = base64.b64decode(open_text(path_of(digest).read_text(encoding="ascii")))
    if hashlib.sha256(data).digest() != digest:
        raise ValueError(f"evidence {digest.hex()} does not fit its fingerprint")
    return data


def as_download(row: EvidenceFile) -> HttpResponse:
    """Return a file as a download that no browser opens by itself."""
    response = HttpResponse(read(row), content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="evidence-{row.pk}.{row.kind}"'
    response["Cache-Control"] = "no-store"
    return response


def remove(row: EvidenceFile) -> None:
    """Take a file away from an upload that is not signed yet; its bytes go when nobody else added the same ones."""
    digest = bytes(row.sha256)
    row.delete()
    drop(digest)


def drop(digest: bytes) -> None:
    """Delete what is kept under a fingerprint, unless some row still names it."""
    if not any(rows.objects.filter(sha256=digest).exists() for rows in (EvidenceFile, SavedPage)):
        path_of(digest).unlink(missing_ok=True)


def signed_of(job: ImportJob) -> list[dict[str, object]]:
    """Return what a statement says of its evidence: fingerprint, kind and size of each file."""
    rows = EvidenceFile.objects.filter(import_uid=job.uid).order_by("pk")
    return [{"sha256": bytes(row.sha256).hex(), "kind": row.kind, "size": row.size} for row in rows]
