"""Evidence beside a statement: screenshots, scans and logs, handled as compliance.sealed_files says.

A file's fingerprint is signed into the statement; its name is not, since names of files name people.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from django.http import HttpResponse

from accounts.models import User
from compliance import policy, sealed_files
from compliance.errors import FileRefusedError
from compliance.models import EvidenceFile, ImportJob, SavedPage
from sendserver.lib import clock

ROOM: Final = "evidence"


def add(job: ImportJob, chunks: Iterable[bytes], *, name: str, actor: User) -> EvidenceFile:
    """Keep a file with an upload and return its row; FileRefusedError in words when we do not take it."""
    if EvidenceFile.objects.filter(import_uid=job.uid).count() >= policy.EVIDENCE_FILES:
        raise FileRefusedError(f"Up to {policy.EVIDENCE_FILES} files can be added.")
    data = sealed_files.take(chunks)
    row, _ = EvidenceFile.objects.get_or_create(
        organization=job.organization,
        import_uid=job.uid,
        sha256=keep(data),
        defaults={
            "name": sealed_files.name_of(name),
            "kind": sealed_files.kind_of(data),
            "size": len(data),
            "added_by": actor,
            "added_at": clock.now(),
        },
    )
    return row


def path_of(digest: bytes) -> Path:
    """Return where a file is kept."""
    return sealed_files.path_of(ROOM, digest)


def keep(data: bytes) -> bytes:
    """Keep a file that stands beside statements and return its fingerprint."""
    return sealed_files.keep(ROOM, data)


def read(row: EvidenceFile) -> bytes:
    """Return a kept file; ValueError when it is no longer the one that was added."""
    return bytes_of(bytes(row.sha256))


def bytes_of(digest: bytes) -> bytes:
    """Return what is kept under a fingerprint; ValueError when it no longer fits."""
    return sealed_files.read(ROOM, digest)


def as_download(row: EvidenceFile) -> HttpResponse:
    """Return a file as a download that no browser opens by itself."""
    return sealed_files.as_download(read(row), f"evidence-{row.pk}.{row.kind}")


def remove(row: EvidenceFile) -> None:
    """Take a file away from an upload that is not signed yet; its bytes go when nobody else added the same ones."""
    digest = bytes(row.sha256)
    row.delete()
    drop(digest)


def drop(digest: bytes) -> None:
    """Delete what is kept under a fingerprint, unless some row still names it."""
    if not any(rows.objects.filter(sha256=digest).exists() for rows in (EvidenceFile, SavedPage)):
        sealed_files.drop(ROOM, digest)


def signed_of(job: ImportJob) -> list[dict[str, object]]:
    """Return what a statement says of its evidence: fingerprint, kind and size of each file."""
    rows = EvidenceFile.objects.filter(import_uid=job.uid).order_by("pk")
    return [{"sha256": bytes(row.sha256).hex(), "kind": row.kind, "size": row.size} for row in rows]
