"""Rows judged good become contacts and memberships: one piece, one transaction, exactly once.

Counters and the place in the file move in the same transaction, behind a fence: a second worker on the same job
finds the place moved and stops without having written anything. Whoever was known before is written down first as
they were (compliance.imports.undo puts them back).
"""

# ruff: noqa: S608 (statements of our own words)

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from django.db import IntegrityError, connection, transaction
from django.db.models import F

from compliance import policy, tracking_consent
from compliance.imports import staging, tagging
from compliance.imports.rows import Refused, Taken
from compliance.models import ImportJob, ImportRow, ImportState
from sendserver.lib import clock
from sendserver.lib.addresses import suppression_hash, suppression_hasher

_TEXTS: Final = "address key domain first_name last_name country assumed fields basis source".split()  # noqa: SIM905
_COLUMNS: Final = (*_TEXTS, "consent_at", "confirmed_at", "hash", "uid")
_STAGE: Final = """(address text, key text, domain text, first_name text, last_name text, country text, assumed text,
  fields jsonb, basis text, source text, consent_at timestamptz, confirmed_at timestamptz, hash bytea, uid uuid)"""
_TABLES: Final = {"import_stage": _STAGE, "import_known": f"(contact_id bigint, {_STAGE.lstrip('(')}"}
_UIDS_AT_ONCE: Final = 256
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_Rank = tuple[bool, datetime, int]
TRIES: Final = 5  # of a piece whose people somebody else adds at the same moment, by a form

# A piece is lost whole, its place in the file with it, and read again: none is waited for. Whoever relies on it writes
# behind it in the log (the end of the reading, the plan of a campaign), and that is waited for.
_IN_PASSING: Final = "SET LOCAL synchronous_commit = off"
# Two lists of one organization go piece by piece after each other: no lock in a circle, nobody added twice.
_ALONE: Final = "SELECT pg_advisory_xact_lock(7316202, hashint8(%(organization)s))"
_AS_USUAL: Final = "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on; SET LOCAL enable_seqscan = on"
# Whoever is known goes over from one table to the other, by the row's place.
_KNOWN: Final = f"""WITH looked AS MATERIALIZED (SELECT s.ctid AS place, (SELECT c.id FROM compliance_contact c
      WHERE c.organization_id = %(organization)s AND c.address_key = s.key) AS contact_id FROM import_stage s),
    known AS (DELETE FROM import_stage s USING looked WHERE s.ctid = looked.place AND looked.contact_id IS NOT NULL
      RETURNING looked.contact_id, s.*)
  INSERT INTO import_known (contact_id, {", ".join(_COLUMNS)}) SELECT contact_id, {", ".join(_COLUMNS)} FROM known"""
_NEW: Final = """WITH made AS (
    INSERT INTO compliance_contact (uid, organization_id, address, address_key, address_hash, domain, first_name,
      last_name, country, fields, created_at, updated_at)
    SELECT uid, %(organization)s, address, key, hash, domain, first_name, last_name, country, fields,
      now(), now() FROM import_stage RETURNING id, address_key)
  INSERT INTO compliance_listmembership (contact_list_id, contact_id, basis, consent_at, confirmed_at, country,
    last_contact_at, source, attestation_id, import_job_id, first_import_id, added_at)
  SELECT %(list)s, made.id, s.basis, s.consent_at, s.confirmed_at, s.assumed, %(last_contact)s, s.source,
    %(attestation)s, %(job)s, %(job)s, now()
  FROM made JOIN import_stage s ON s.key = made.address_key"""
# What is compared IS TRUE is no way into a table: while it fills, the planner takes all rows of an upload, or a list,
# for one. A person has few rows anywhere.
# As they were before this upload; who is there already was touched (or added) by an earlier piece of it.
_BEFORE: Final = """WITH noted AS (
    INSERT INTO compliance_importbefore (job_id, contact_id, first_name, last_name, country, fields, updated_at,
      touched_at, row_consent_at, row_confirmed_at, membership)
    SELECT %(job)s, c.id, c.first_name, c.last_name, c.country, c.fields, c.updated_at, now(), k.consent_at,
      k.confirmed_at, to_jsonb(m)
    FROM import_known k JOIN compliance_contact c ON c.id = k.contact_id
    LEFT JOIN LATERAL (SELECT * FROM compliance_listmembership
      WHERE contact_id = c.id AND (contact_list_id = %(list)s) IS TRUE LIMIT 1) m ON true
    WHERE m.first_import_id IS DISTINCT FROM %(job)s
    ON CONFLICT (job_id, contact_id) DO NOTHING RETURNING membership IS NULL AS is_new)
  SELECT count(*) FILTER (WHERE is_new), count(*) FROM noted"""
# People whom an earlier piece of this file had: the better row counts, wherever the pieces are cut. (_rank in SQL)
_RANK: Final = "({0}confirmed_at IS NOT NULL, {0}consent_at IS NOT NULL, COALESCE({0}consent_at, '-infinity'))"
_AGAIN: Final = f"""DELETE FROM import_known k
  WHERE (SELECT {_RANK.format("k.")} < {_RANK.format("b.row_")} FROM compliance_importbefore b
         WHERE (b.job_id = %(job)s) IS TRUE AND b.contact_id = k.contact_id)"""
_AGAIN_NEW: Final = f"""DELETE FROM import_known k
  WHERE (SELECT {_RANK.format("k.")} < {_RANK.format("m.")} FROM compliance_listmembership m
         WHERE m.contact_id = k.contact_id AND (m.contact_list_id = %(list)s AND m.first_import_id = %(job)s) IS TRUE)
    AND (SELECT true FROM compliance_importbefore b
         WHERE (b.job_id = %(job)s) IS TRUE AND b.contact_id = k.contact_id) IS NULL"""
# LIMIT keeps the planner from turning a look-up by index into a join (as in staging.ONE_BY_ONE).
NOTED: Final = """LATERAL (SELECT * FROM compliance_importbefore
    WHERE (job_id = %(job)s) IS TRUE AND contact_id = people.contact_id LIMIT 1)"""
_TOUCH: Final = f"""UPDATE compliance_contact c SET
    address = CASE WHEN k.noted THEN c.address ELSE k.address END,
    first_name = COALESCE(NULLIF(k.first_name, ''), k.old_first_name, ''),
    last_name = COALESCE(NULLIF(k.last_name, ''), k.old_last_name, ''),
    country = COALESCE(NULLIF(k.country, ''), k.old_country, ''),
    fields = COALESCE(k.old_fields, '{{}}') || k.fields,
    updated_at = now()
  FROM (SELECT people.*, b.id IS NOT NULL AS noted, b.first_name AS old_first_name, b.last_name AS old_last_name,
          b.country AS old_country, b.fields AS old_fields
        FROM import_known people LEFT JOIN {NOTED} b ON true) k
  WHERE c.id = k.contact_id"""
_TOUCHED: Final = f"""UPDATE compliance_importbefore b
  SET touched_at = now(), row_consent_at = k.consent_at, row_confirmed_at = k.confirmed_at
  FROM (SELECT people.consent_at, people.confirmed_at, b.id FROM import_known people, {NOTED} b) k WHERE b.id = k.id"""
RESTORED: Final = f"""UPDATE compliance_listmembership m SET basis = old.basis, consent_at = old.consent_at,
    confirmed_at = old.confirmed_at, country = old.country, last_contact_at = old.last_contact_at,
    source = old.source, attestation_id = old.attestation_id, import_job_id = old.import_job_id
  FROM (SELECT row.* FROM {{people}} people, {NOTED} b,
          LATERAL jsonb_populate_record(NULL::compliance_listmembership, b.membership) row
        WHERE b.membership IS NOT NULL) old
  WHERE m.id = old.id AND (m.import_job_id = %(job)s) IS TRUE"""
# An older permission is replaced only by one that is no weaker: with its second step, if there was one, and newer.
_MEMBERSHIPS: Final = """INSERT INTO compliance_listmembership AS m
    (contact_list_id, contact_id, basis, consent_at, confirmed_at, country, last_contact_at, source, attestation_id,
     import_job_id, first_import_id, added_at)
  SELECT %(list)s, k.contact_id, k.basis, k.consent_at, k.confirmed_at, k.assumed, %(last_contact)s, k.source,
    %(attestation)s, %(job)s, %(job)s, now()
  FROM import_known k
  ON CONFLICT (contact_list_id, contact_id) DO UPDATE SET
    basis = excluded.basis, consent_at = excluded.consent_at, confirmed_at = excluded.confirmed_at,
    country = excluded.country, source = excluded.source, attestation_id = excluded.attestation_id,
    import_job_id = excluded.import_job_id,
    last_contact_at = GREATEST(m.last_contact_at, excluded.last_contact_at)
  WHERE m.attestation_id IS NULL OR m.basis = '' OR m.first_import_id = %(job)s
    OR ((excluded.confirmed_at IS NOT NULL OR m.confirmed_at IS NULL)
        AND (m.consent_at IS NULL OR excluded.consent_at >= m.consent_at))"""


class LostJobError(Exception):
    """Another worker has gone on with this job."""


@dataclass
class Piece:
    """Judged rows of one stretch of a file; `read` rows of the file are behind it, this stretch included."""

    before: int
    read: int
    lines: list[str] = field(default_factory=list)  # for COPY, one a person, in the order of their keys
    doubles: int = 0
    counting: list[tuple[str, datetime]] = field(default_factory=list)  # key, and when they agreed to be counted
    refused: list[Refused] = field(default_factory=list)
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of the rows that have any, by address key


def piece_of(judged: Iterable[Taken | Refused], before: int) -> Piece:
    """Return a piece of rows: each person once, the row with the stronger permission. Asks no database."""
    hash_of, uids = suppression_hasher(), _uids()
    best: dict[str, tuple[_Rank, str]] = {}
    counting: dict[str, datetime | None] = {}
    refused: list[Refused] = []
    tags: dict[str, tuple[str, ...]] = {}
    rows = 0
    for row in judged:
        rows += 1
        if isinstance(row, Refused):
            refused.append(row)
            continue
        rank, other = _rank(row), best.get(row.key)
        if other is None or rank > other[0]:
            best[row.key] = rank, _line(row, hash_of(row.key), next(uids))
            if row.tracking_at or counting:
                counting[row.key] = row.tracking_at
            if row.tags or row.key in tags:
                tags[row.key] = row.tags
    lines = [best[key][1] for key in sorted(best)]
    agreed = [(key, at) for key, at in counting.items() if at]
    return Piece(before, before + rows, lines, rows - len(refused) - len(best), agreed, refused, tags)


def _rank(row: Taken) -> _Rank:
    """The row with proof wins, then the newer sign-up, then the later line (rules section 2.6)."""
    return row.confirmed_at is not None, row.consent_at or _NEVER, row.line


def _line(row: Taken, hashed: bytes, uid: str) -> str:
    texts = (row.address, row.key, row.domain, row.first_name, row.last_name, row.country, row.assumed, row.fields)
    moments = (staging.time_of(row.consent_at), staging.time_of(row.confirmed_at))
    return staging.line_of((*texts, row.basis, row.source), *moments, staging.bytes_of(hashed), uid)


def _uids() -> Iterator[str]:
    """Yield random UUIDs without end (RFC 9562 section 5.4, 120 bits of chance); some at once, a tenth of the time."""
    while True:
        noise = os.urandom(16 * _UIDS_AT_ONCE).hex()
        for place in range(0, len(noise), 32):
            yield f"{noise[place : place + 12]}4{noise[place + 13 : place + 16]}a{noise[place + 17 : place + 32]}"


def merge(job: ImportJob, piece: Piece, last_contact_at: Any) -> None:
    """Write one piece and its counters; LostJobError when another worker was faster."""
    for chance in range(TRIES):
        try:
            with transaction.atomic():
                _in_passing()
                _fence(job, piece)
                counts = _write(job, piece.lines, last_contact_at, piece.tags)
                counts["duplicates"] += piece.doubles
                tracking_consent.from_upload(job, piece.counting)
                _keep_refused(job, piece.refused)
                _count(job, counts, len(piece.refused))
            break
        except IntegrityError:
            if chance == TRIES - 1:
                raise
    job.rows_read = piece.read


def merge_one(job: ImportJob, row: Taken, last_contact_at: Any) -> dict[str, Any]:
    """Write one mended row of a finished job and return its counts (keys as _write())."""
    line = _line(row, suppression_hash(row.key), next(_uids()))
    counts = _write(job, [line], last_contact_at, {row.key: row.tags})
    tracking_consent.from_upload(job, [(row.key, row.tracking_at)] if row.tracking_at else [])
    _count(job, counts, -1)
    return counts


def _in_passing() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_IN_PASSING)


def _fence(job: ImportJob, piece: Piece) -> None:
    rows = ImportJob.objects.filter(pk=job.pk, state=ImportState.READING, rows_read=piece.before)
    if not rows.update(rows_read=piece.read, heartbeat_at=clock.now()):
        raise LostJobError(str(job.uid))


def _write(job: ImportJob, lines: list[str], last_contact_at: Any, tags: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    values = {
        "organization": job.organization_id,
        "list": job.contact_list_id,
        "job": job.pk,
        "attestation": job.attestation_id,
        "last_contact": last_contact_at,
    }
    with connection.cursor() as cursor:
        staging.empty_tables(cursor, _TABLES)
        cursor.execute(_ALONE, values)
        staging.copy("import_stage", _COLUMNS, lines)
        cursor.execute(staging.ONE_BY_ONE)
        suppressed = staging.take_suppressed(cursor, "import_stage", values)
        cursor.execute(_KNOWN, values)
        added = updated = 0
        if cursor.rowcount:
            added, updated = _rewrite_known(cursor, values)
        cursor.execute(_AS_USUAL)
        cursor.execute(_NEW, values)
        added += cursor.rowcount
        tagging.write(cursor, job, tags)
    duplicates = len(lines) - sum(suppressed.values()) - added - updated
    return {"added": added, "updated": updated, "duplicates": duplicates, "suppressed": suppressed}


def _rewrite_known(cursor: Any, values: dict[str, Any]) -> tuple[int, int]:
    """Bring people whom the organization has up to date; return (new on the list, on it before this upload)."""
    cursor.execute(_AGAIN, values)
    cursor.execute(_AGAIN_NEW, values)
    cursor.execute(_BEFORE, values)
    new, noted = cursor.fetchone()
    cursor.execute(RESTORED.format(people="import_known"), values)
    cursor.execute(_TOUCH, values)
    cursor.execute(_TOUCHED, values)
    cursor.execute(_MEMBERSHIPS, values)
    return new, noted - new


def _keep_refused(job: ImportJob, refused: list[Refused]) -> None:
    if not refused:
        return
    room = policy.UPLOAD_PROBLEMS_KEPT - ImportRow.objects.filter(job=job).count()
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
