"""The second reading, after the signature: a worker takes a job and writes its people, piece by piece.

Restartable at any moment: a piece is one transaction, and whoever comes next skips the rows already behind it. A
worker that says nothing for STALE is taken for dead. Nothing here enqueues; compliance.tasks does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from compliance import answers, lists
from compliance.consent import mailable_sql
from compliance.errors import FileRefusedError
from compliance.imports import files, lifecycle, reading
from compliance.imports.columns import plan_of
from compliance.imports.merge import LostJobError, Piece, merge
from compliance.imports.rows import Taken, judge
from compliance.imports.scan import data_rows, fail
from compliance.models import ImportJob, ImportState
from sendserver.lib import clock

PIECE: Final = 10_000  # rows a transaction
SLICE_SECONDS: Final = 240.0  # one task's turn; under Celery's limit by far
STALE: Final = timedelta(seconds=60)


def run(job: ImportJob, *, piece: int = PIECE, seconds: float = SLICE_SECONDS) -> bool:
    """Read on with a job for at most `seconds`; True when nothing more is to be done now.

    False asks for another turn. A job that another worker holds, or that has ended, is left alone.
    """
    if not _claim(job):
        return True
    ends = time.monotonic() + seconds
    try:
        for part in _pieces(job, piece):
            merge(job, part, answers.claim_of(job).last_contact_at)
            if time.monotonic() > ends:
                _release(job)
                return False
        _finish(job)
    except LostJobError:
        return True
    except FileRefusedError as error:
        fail(job, error)
        lists.recount(job.contact_list)
    return True


def _claim(job: ImportJob) -> bool:
    """Take a waiting job, or one whose worker went silent."""
    now = clock.now()
    if job.state == ImportState.QUEUED:
        return lifecycle.move(job, ImportState.READING, actor=None, started_at=now, heartbeat_at=now)
    silent = Q(heartbeat_at=None) | Q(heartbeat_at__lt=now - STALE)
    taken = ImportJob.objects.filter(silent, pk=job.pk, state=ImportState.READING).update(heartbeat_at=now)
    if taken:
        job.refresh_from_db()
    return bool(taken)


def _release(job: ImportJob) -> None:
    ImportJob.objects.filter(pk=job.pk, rows_read=job.rows_read).update(heartbeat_at=None)


def _pieces(job: ImportJob, size: int) -> Iterator[Piece]:
    plan, claim, now = plan_of(job), answers.claim_of(job), clock.now()
    rows: Iterator[reading.Row] = islice(data_rows(job, plan), job.rows_read, None)
    before = job.rows_read
    while stretch := list(islice(rows, size)):
        part = Piece(before, before + len(stretch))
        for row in stretch:
            judged = judge(row, plan, claim, now)
            if isinstance(judged, Taken):
                part.taken.append(judged)
            else:
                part.refused.append(judged)
        yield part
        before = part.read


def _finish(job: ImportJob) -> None:
    """End the reading: held when the staff has to look, else done. The file is deleted; its hash stays."""
    target = ImportState.HELD if job.held_reasons else ImportState.DONE
    with transaction.atomic():
        count_unmailable(job)
        if not lifecycle.move(job, target, actor=None, finished_at=clock.now(), row_count=job.rows_read):
            return
        lists.recount(job.contact_list)
        transaction.on_commit(lambda: files.forget(job.stored_name))


def count_unmailable(job: ImportJob) -> int:
    """Write and return how many people of this upload nobody may mail, the staff's look apart."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT count(*) FROM compliance_listmembership m
                JOIN compliance_contact c ON c.id = m.contact_id
                JOIN compliance_contactlist l ON l.id = m.contact_list_id
                WHERE m.import_job_id = %s AND {mailable_sql()} NOT IN ('', 'list_held')""",  # noqa: S608 (own fragments only)
            [job.pk],
        )
        count = int(cursor.fetchone()[0])
    ImportJob.objects.filter(pk=job.pk).update(unmailable_count=count)
    return count


def waiting(now: datetime) -> QuerySet[ImportJob]:
    """Return the jobs that a worker should take: queued, silent, or not counted yet."""
    silent = Q(heartbeat_at=None) | Q(heartbeat_at__lt=now - STALE)
    unread = Q(state=ImportState.QUEUED) | (Q(state=ImportState.READING) & silent)
    return ImportJob.objects.filter(unread | (uncounted() & silent)).order_by("pk")


def uncounted() -> Q:
    """Return the condition of jobs whose first reading is not finished."""
    return Q(state__in=[ImportState.MAPPED, ImportState.ANSWERED]) & (Q(scan={}) | Q(scan__done=False))
