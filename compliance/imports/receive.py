"""The first step of an upload: a file arrives, is looked at, and becomes a job with its proposal."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.models import Organization, User
from compliance import contact_fields, lists
from compliance.errors import FileRefusedError
from compliance.imports import columns, files, lifecycle, reading
from compliance.imports.columns import Plan
from compliance.models import ContactList, ImportJob, ImportState

SAMPLE_ROWS = 200


def start(  # noqa: PLR0913 (one file and where it goes)
    organization: Organization,
    user: User,
    chunks: Iterable[bytes],
    *,
    file_name: str,
    contact_list: ContactList | None = None,
    list_name: str = "",
) -> ImportJob:
    """Return the job of a file that arrives in `chunks`; FileRefusedError when it cannot be a list.

    Goes into `contact_list`, or into a new list of that name.
    """
    stored = files.receive(chunks)
    try:
        path = files.path_of(stored.name)
        dialect = dialect_of(path, stored.kind)
        first = _some(first_rows(path, dialect), "The file has no rows.")
        with transaction.atomic():
            target = contact_list or lists.create_list(organization, list_name, actor=user)
            job = ImportJob.objects.create(
                organization=organization,
                contact_list=target,
                created_by=user,
                file_name=PurePath(file_name.replace("\\", "/")).name.replace("\x00", "")[:200] or "file",
                stored_name=stored.name,
                file_bytes=stored.size,
                file_sha256=stored.sha256,
                kind=stored.kind,
                encoding=dialect.encoding,
                delimiter=dialect.delimiter,
                **_shape(first),
            )
            audit.record(
                "import.uploaded",
                actor=user,
                organization=organization,
                subject=f"import:{job.uid}",
                detail={"list": str(target.uid), "bytes": stored.size, "sha256": stored.sha256.hex()},
            )
    except BaseException:
        files.forget(stored.name)
        raise
    return job


def dialect_of(path: Path, kind: str) -> reading.Dialect:
    """Return how a received file is written: workbooks lie there as plain CSV."""
    return reading.Dialect("utf-8", ",") if kind == "xlsx" else reading.propose(path)


def first_rows(path: Path, dialect: reading.Dialect, count: int = SAMPLE_ROWS) -> list[reading.Row]:
    """Return the first rows of a file, the header among them."""
    return list(islice(reading.rows(path, dialect), count))


def _some(rows: list[reading.Row], otherwise: str) -> list[reading.Row]:
    """Return the rows, or refuse the file when there are none."""
    if not rows:
        raise FileRefusedError(otherwise)
    return rows


def _shape(first: list[reading.Row]) -> dict[str, Any]:
    """Return the header as shown."""
    names = columns.head_of([row.cells for row in first]).names
    return {"header": columns.clean_header([cell.replace("\x00", "") for cell in names])}


def reread(job: ImportJob, dialect: reading.Dialect) -> list[reading.Row]:
    """Return the first rows under another encoding or delimiter and keep both and the new header with the job."""
    first = _some(first_rows(files.path_of(job.stored_name), dialect), "Read this way, the file has no rows.")
    shape = _shape(first)
    changed = (job.encoding, job.delimiter) != (dialect.encoding, dialect.delimiter)
    if changed or job.header != shape["header"]:
        job.encoding, job.delimiter, job.header = dialect.encoding, dialect.delimiter, shape["header"]
        ImportJob.objects.filter(pk=job.pk, state__in=lifecycle.OPEN).update(
            encoding=job.encoding, delimiter=job.delimiter, header=job.header, columns={}, scan={}
        )
        job.columns, job.scan = {}, {}
    return first


def proposal(job: ImportJob, first: list[reading.Row]) -> Plan:
    """Return how the columns are read at first: as chosen before, as last time, else as they look."""
    if job.columns.get("targets"):
        return columns.plan_of(job)
    cells = [row.cells for row in first]
    head = columns.head_of(cells).rows
    found = columns.remembered(job.organization, job.header, job) or columns.propose(job.header, cells[head:])
    targets = contact_fields.with_known_kinds(job.organization, found.targets, job.header)
    return Plan(targets, list(job.header), found.date_order, head)


def choose_if_certain(job: ImportJob, *, actor: User) -> bool:
    """Choose the columns without asking where the file leaves no question; they stand under check answers to change.

    Returns whether they were chosen. Looks at the first rows only: a later odd row is listed with its line.
    """
    first = first_rows(files.path_of(job.stored_name), reading.Dialect(job.encoding, job.delimiter))
    plan = proposal(job, first)
    sample = [row.cells for row in first[plan.head :]]
    sound = not any(row.problem for row in first) and columns.is_certain(plan, sample)
    wrong = columns.complaints(plan) or contact_fields.contradictions(job.organization, plan)
    return sound and not wrong and choose(job, plan, actor=actor)


def choose(job: ImportJob, plan: Plan, *, actor: User) -> bool:
    """Keep the chosen columns and forget what was counted under others; tell whether the job took them."""
    kept = plan.to_json()
    if spelled := contact_fields.spelled(job.organization, plan):
        kept["fields"] = {str(index): name for index, name in spelled.items()}
    scan = job.scan if job.columns == kept else {}
    return lifecycle.move(job, ImportState.MAPPED, actor=actor, columns=kept, scan=scan, heartbeat_at=None)
