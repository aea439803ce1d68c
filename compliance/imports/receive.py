"""The first step of an upload: a file arrives, is looked at, and becomes a job with its proposal."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import PurePath
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.models import Organization, User
from compliance import lists
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
        dialect = reading.Dialect("utf-8", ",") if stored.kind == "xlsx" else reading.propose(path)
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


def first_rows(path: Any, dialect: reading.Dialect, count: int = SAMPLE_ROWS) -> list[reading.Row]:
    """Return the first rows of a file, the header among them."""
    return list(islice(reading.rows(path, dialect), count))


def _some(rows: list[reading.Row], otherwise: str) -> list[reading.Row]:
    """Return the rows, or refuse the file when there are none."""
    if not rows:
        raise FileRefusedError(otherwise)
    return rows


def _shape(first: list[reading.Row]) -> dict[str, Any]:
    """Return the header as shown."""
    named = columns.has_header(first[0].cells)
    width = max(len(row.cells) for row in first[:20])
    cells = first[0].cells if named else [""] * width
    return {"header": columns.clean_header([cell.replace("\x00", "") for cell in cells])}


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
    named = columns.has_header(first[0].cells)
    if job.columns.get("targets"):
        return columns.plan_of(job)
    before = columns.remembered(job.organization, job.header, job)
    sample = [row.cells for row in first[1 if named else 0 :]]
    found = before or columns.propose(job.header, sample)
    return Plan(found.targets, list(job.header), found.date_order, named)


def choose_if_certain(job: ImportJob, *, actor: User) -> bool:
    """Choose the columns without asking where the file leaves no question; they stand under check answers to change.

    Returns whether they were chosen. Looks at the first rows only: a later odd row is listed with its line.
    """
    first = first_rows(files.path_of(job.stored_name), reading.Dialect(job.encoding, job.delimiter))
    plan = proposal(job, first)
    sample = [row.cells for row in first[1:]]
    sound = not any(row.problem for row in first) and columns.is_certain(plan, sample, has_header=plan.has_header)
    return sound and not columns.complaints(plan) and choose(job, plan, actor=actor)


def choose(job: ImportJob, plan: Plan, *, actor: User) -> bool:
    """Keep the chosen columns and forget what was counted under others; tell whether the job took them."""
    kept = plan.to_json()
    scan = job.scan if job.columns == kept else {}
    return lifecycle.move(job, ImportState.MAPPED, actor=actor, columns=kept, scan=scan, heartbeat_at=None)
