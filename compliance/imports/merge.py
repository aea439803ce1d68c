"""Rows judged good become contacts and memberships: one piece, one transaction, exactly once.

Counters and the place in the file move in the same transaction, behind a fence: a second worker on the same job
finds the place moved and stops without having written anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import F

from compliance import policy
from compliance.imports import staging
from compliance.imports.rows import Refused, Taken
from compliance.models import ImportJob, ImportRow, ImportState
from sendserver.lib import clock

_STAGE: Final = """line bigint, address text, key text, domain text, first_name text, last_name text, country text,
  assumed text, fields jsonb, basis text, consent_at timestamptz, confirmed_at timestamptz, source text, hash bytea"""
_COLUMNS: Final = (*(column.name for column in fields(Taken)), "hash")

# The row with proof wins, then the newer sign-up, then the later line (rules section 2.6).
_DEDUPE: Final = """DELETE FROM import_stage s USING (
    SELECT line, row_number() OVER (PARTITION BY key ORDER BY (confirmed_at IS NOT NULL) DESC,
      consent_at DESC NULLS LAST, line DESC) AS place FROM import_stage) AS ranked
  WHERE ranked.line = s.line AND ranked.place > 1"""
# In order of key, so that two uploads of one organization wait for each other and do not lock in a circle.
_CONTACTS: Final = """INSERT INTO compliance_contact AS c
    (uid, organization_id, address, address_key, address_hash, domain, first_name, last_name, country, fields,
     created_at, updated_at)
  SELECT gen_random_uuid(), %(organization)s, address, key, hash, domain, first_name, last_name, country, fields,
    now(), now() FROM import_stage ORDER BY key
  ON CONFLICT (organization_id, address_key) DO UPDATE SET
    first_name = COALESCE(NULLIF(excluded.first_name, ''), c.first_name),
    last_name = COALESCE(NULLIF(excluded.last_name, ''), c.last_name),
    country = COALESCE(NULLIF(excluded.country, ''), c.country),
    fields = c.fields || excluded.fields,
    updated_at = now()"""
_KNOWN: Final = """SELECT count(*) FILTER (WHERE m.import_job_id = %(job)s), count(*)
  FROM import_stage s
  JOIN compliance_contact c ON c.organization_id = %(organization)s AND c.address_key = s.key
  JOIN compliance_listmembership m ON m.contact_id = c.id AND m.contact_list_id = %(list)s"""
# An older permission is replaced only by one that is no weaker: with its second step, if there was one, and newer.
_MEMBERSHIPS: Final = """INSERT INTO compliance_listmembership AS m
    (contact_list_id, contact_id, basis, consent_at, confirmed_at, country, last_contact_at, source, attestation_id,
     import_job_id, first_import_id, added_at)
  SELECT %(list)s, c.id, s.basis, s.consent_at, s.confirmed_at, s.assumed, %(last_contact)s, s.source,
    %(attestation)s, %(job)s, %(job)s, now()
  FROM import_stage s
  JOIN compliance_contact c ON c.organization_id = %(organization)s AND c.address_key = s.key
  ORDER BY s.key
  ON CONFLICT (contact_list_id, contact_id) DO UPDATE SET
    basis = excluded.basis, consent_at = excluded.consent_at, confirmed_at = excluded.confirmed_at,
    country = excluded.country, source = excluded.source, attestation_id = excluded.attestation_id,
    import_job_id = excluded.import_job_id,
    last_contact_at = GREATEST(m.last_contact_at, excluded.last_contact_at)
  WHERE m.attestation_id IS NULL OR m.basis = ''
    OR ((excluded.confirmed_at IS NOT NULL OR m.confirmed_at IS NULL)
        AND (m.consent_at IS NULL OR excluded.consent_at >= m.consent_at))"""


class LostJobError(Exception):
    """Another worker has gone on with this job."""


@dataclass
class Piece:
    """Judged rows of one stretch of a file; `read` rows of the file are behind it, this stretch included."""

    before: int
    read: int
    taken: list[Taken] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def merge(job: ImportJob, piece: Piece, last_contact_at: Any) -> None:
    """Write one piece and its counters; LostJobError when another worker was faster."""
    with transaction.atomic():
        _fence(job, piece)
        counts = _write(job, piece.taken, last_contact_at)
        _keep_refused(job, piece.refused)
        _count(job, counts, len(piece.refused))
    job.rows_read = piece.read


def merge_one(job: ImportJob, row: Taken, last_contact_at: Any) -> dict[str, Any]:
    """Write one mended row of a finished job and return its counts (keys as _write())."""
    counts = _write(job, [row], last_contact_at)
    _count(job, counts, -1)
    return counts


def _fence(job: ImportJob, piece: Piece) -> None:
    rows = ImportJob.objects.filter(pk=job.pk, state=ImportState.READING, rows_read=piece.before)
    if not rows.update(rows_read=piece.read, heartbeat_at=clock.now()):
        raise LostJobError(str(job.uid))


def _write(job: ImportJob, taken: Iterable[Taken], last_contact_at: Any) -> dict[str, Any]:
    values = {
        "organization": job.organization_id,
        "list": job.contact_list_id,
        "job": job.pk,
        "attestation": job.attestation_id,
        "last_contact": last_contact_at,
    }
    with staging.table("import_stage", _STAGE), connection.cursor() as cursor:
        staging.copy("import_stage", _COLUMNS, (_as_tuple(row) for row in taken))
        cursor.execute(_DEDUPE)
        duplicates = cursor.rowcount
        suppressed = staging.take_suppressed(cursor, "import_stage", values)
        cursor.execute(_CONTACTS, values)
        kept = cursor.rowcount
        cursor.execute(_KNOWN, values)
        again, known = cursor.fetchone()
        cursor.execute(_MEMBERSHIPS, values)
    return {
        "added": kept - known,
        "updated": known - again,
        "duplicates": duplicates + again,
        "suppressed": suppressed,
    }


def _as_tuple(row: Taken) -> tuple[Any, ...]:
    return (*(getattr(row, name) for name in _COLUMNS[:-1]), staging.hash_of(row.key))


def _keep_refused(job: ImportJob, refused: list[Refused]) -> None:
    room = policy.UPLOAD_PROBLEMS_KEPT - (ImportRow.objects.filter(job=job).count() if refused else 0)
    ImportRow.objects.bulk_create(
        [
            ImportRow(
                job=job,
                line=row.line,
                value=storable(row.value)[:400],
                reason=row.reason,
                suggestion=row.suggestion[:254],
                cells=[storable(cell)[:1000] for cell in row.cells[:60]],
            )
            for row in refused[: max(0, room)]
        ],
        batch_size=1000,
        ignore_conflicts=True,
    )


def storable(text: str) -> str:
    """Return text that the database can hold: without NUL and lone surrogates."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _count(job: ImportJob, counts: dict[str, Any], rejected: int) -> None:
    ImportJob.objects.filter(pk=job.pk).update(
        added_count=F("added_count") + counts["added"],
        updated_count=F("updated_count") + counts["updated"],
        duplicate_count=F("duplicate_count") + counts["duplicates"],
        suppressed_count=F("suppressed_count") + sum(counts["suppressed"].values()),
        rejected_count=F("rejected_count") + rejected,
        suppressed_reasons=_plus(job, counts["suppressed"]),
    )


def _plus(job: ImportJob, more: dict[str, int]) -> dict[str, int]:
    kept = ImportJob.objects.values_list("suppressed_reasons", flat=True).get(pk=job.pk)
    return {reason: kept.get(reason, 0) + more.get(reason, 0) for reason in {**kept, **more}}
