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
from compliance.imports import files, lifecycle, reading, staging, tagging
from compliance.imports.ahead import reading_ahead
from compliance.imports.columns import plan_of
from compliance.imports.merge import LostJobError, Piece, merge, piece_of
from compliance.imports.rows import Judge
from compliance.imports.scan import data_rows, fail
from compliance.models import ImportJob, ImportState
from sendserver.lib import clock

PIECE: Final = 5_000  # rows a transaction: well under a second each, and a few MiB in hand
SLICE_SECONDS: Final = 50.0  # one task's turn; another list may wait
STALE: Final = timedelta(seconds=60)
SETTLED: Final = 50_000  # people looked at in one query after the last row


def run(job: ImportJob, *, piece: int = PIECE, seconds: float = SLICE_SECONDS) -> bool:
    """Read on with a job; True when nothing more is to be done now.

    False asks for another turn: after `seconds` other lists come first, if there are any. A job that another worker
    holds, or that has ended, is left alone.
    """
    if not _claim(job):
        return True
    ends = time.monotonic() + seconds
    last_contact_at = answers.claim_of(job).last_contact_at
    try:
        with reading_ahead(lambda: _pieces(job, piece, job.rows_read)) as parts:
            for part in parts:
                merge(job, part, last_contact_at)
                if time.monotonic() > ends and waiting(clock.now()).exclude(pk=job.pk).exists():
                    _release(job)
                    return False
        _finish(job)
    except LostJobError:
        return True
    except FileRefusedError as error:
        fail(job, error)
        lists.recount(job.contact_list)
        tagging.recount(job)
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


def _pieces(job: ImportJob, size: int, before: int) -> Iterator[Piece]:
    plan = plan_of(job)
    judge = Judge(plan, answers.claim_of(job), clock.now())
    rows: Iterator[reading.Row] = islice(data_rows(job, plan), before, None)
    while True:
        part = piece_of(map(judge, islice(rows, size)), before)
        if part.read == before:
            return
        yield part
        before = part.read


def _finish(job: ImportJob) -> None:
    """End the reading: held when the staff has to look, else done. The file is deleted; its hash stays."""
    target = ImportState.HELD if job.held_reasons else ImportState.DONE
    count_unmailable(job)
    with transaction.atomic():
        if not lifecycle.move(job, target, actor=None, finished_at=clock.now(), row_count=job.rows_read):
            return
        lists.recount(job.contact_list)
        tagging.recount(job)
        transaction.on_commit(lambda: files.forget(job.stored_name))


def count_unmailable(job: ImportJob) -> int:
    """Write and return how many people of this upload nobody may mail, the staff's look apart.

    Looks at a stretch of memberships at a time and notes how far it is, so that a long list is seen to go on.
    """
    count = place = job.settled_count = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(staging.ONE_BY_ONE)
            cursor.execute("SET LOCAL enable_bitmapscan = off")  # it would sort all that is left for each stretch
            cursor.execute(
                f"""SELECT count(*) FILTER (WHERE {mailable_sql()} NOT IN ('', 'list_held')), count(*), max(m.id)
                    FROM (SELECT * FROM compliance_listmembership
                          WHERE import_job_id = %s AND id > %s ORDER BY id LIMIT %s) m
                    JOIN compliance_contact c ON c.id = m.contact_id
                    JOIN compliance_contactlist l ON l.id = m.contact_list_id""",  # noqa: S608 (own fragments only)
                [job.pk, place, SETTLED],
            )
            unmailable, looked_at, last = cursor.fetchone()
        if not looked_at:
            break
        count, place = count + unmailable, last
        job.settled_count += looked_at
        ImportJob.objects.filter(pk=job.pk).update(settled_count=job.settled_count, heartbeat_at=clock.now())
    ImportJob.objects.filter(pk=job.pk).update(unmailable_count=count, settled_count=0)
    return count


def waiting(now: datetime) -> QuerySet[ImportJob]:
    """Return the jobs that a worker should take: queued, silent (being taken back too), or not counted yet."""
    silent = Q(heartbeat_at=None) | Q(heartbeat_at__lt=now - STALE)
    unread = Q(state=ImportState.QUEUED) | (Q(state__in=[ImportState.READING, ImportState.UNDOING]) & silent)
    return ImportJob.objects.filter(unread | (uncounted() & silent)).order_by("pk")


def uncounted() -> Q:
    """Return the condition of jobs whose first reading is not finished."""
    return Q(state__in=[ImportState.MAPPED, ImportState.ANSWERED]) & (Q(scan={}) | Q(scan__done=False))
