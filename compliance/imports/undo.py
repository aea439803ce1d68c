"""An upload taken back as a whole, while nobody of it was mailed; also one that is still being read.

The organization's people are afterwards as they were before: who was added is gone, who was updated is restored from
what the merge wrote down. What others changed since stays: a later upload, a person's own hand. The do-not-mail list
is not touched, and the statement stays on record.
"""

# ruff: noqa: S608 (statements of our own words)

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Q

from accounts.models import User
from compliance import contact_fields, lists, policy
from compliance.errors import ImportRefusedError
from compliance.imports import files, lifecycle, staging, tagging
from compliance.imports.merge import NOTED, RESTORED
from compliance.imports.open_again import release
from compliance.models import ContactList, ImportBefore, ImportJob, ImportState, ListMembership
from sendserver.lib import clock

PIECE: Final = 5000  # people a transaction
AT_ONCE: Final = 1.0  # seconds that a page may wait for it; the worker does the rest
RUNNING: Final = (ImportState.QUEUED, ImportState.READING)
ENDED: Final = (ImportState.DONE, ImportState.HELD)
HOLD: Final = "An upload into this list is being taken back."

_STAGE: Final = """INSERT INTO import_undo
  SELECT id, contact_id FROM compliance_listmembership WHERE import_job_id = %(job)s ORDER BY id LIMIT %(limit)s"""
# Those whose membership the upload did not win still had a name or country changed.
_REST: Final = """INSERT INTO import_undo
  SELECT NULL, contact_id FROM compliance_importbefore WHERE job_id = %(job)s ORDER BY id LIMIT %(limit)s"""
_CONTACTS: Final = f"""UPDATE compliance_contact c SET first_name = b.first_name, last_name = b.last_name,
    country = b.country, fields = b.fields, updated_at = b.updated_at
  FROM (SELECT b.* FROM import_undo people, {NOTED} b) b WHERE c.id = b.contact_id AND c.updated_at = b.touched_at"""
_REMOVED: Final = """DELETE FROM compliance_listmembership m USING import_undo u
  WHERE m.id = u.id AND (m.import_job_id = %(job)s) IS TRUE"""
_NOBODY: Final = """DELETE FROM import_undo u WHERE u.id IS NULL
  OR EXISTS (SELECT FROM compliance_importbefore b WHERE (b.job_id = %(job)s) IS TRUE AND b.contact_id = u.contact_id)
  OR EXISTS (SELECT FROM compliance_listmembership m WHERE m.contact_id = u.contact_id)"""
_UNLINKED: Final = """UPDATE compliance_importrow r SET contact_id = NULL FROM import_undo u
  WHERE r.contact_id = u.contact_id"""
_UNCOUNTED: Final = """UPDATE compliance_contact c SET tracking_consent_at = NULL, tracking_import = NULL
  FROM import_undo u WHERE c.id = u.contact_id AND c.tracking_import = %(job)s"""
_UNPROVEN: Final = """UPDATE compliance_proofrow r SET contact_id = NULL FROM import_undo u
  WHERE r.contact_id = u.contact_id"""
_UNCHECKED: Final = "DELETE FROM compliance_registercheck r USING import_undo u WHERE r.contact_id = u.contact_id"
_FORGOTTEN: Final = f"""DELETE FROM compliance_importbefore b
  USING (SELECT b.id FROM import_undone people, {NOTED} b) gone WHERE b.id = gone.id"""
_GONE: Final = "DELETE FROM compliance_contact c USING import_undo u WHERE c.id = u.contact_id"


def may_undo(job: ImportJob) -> bool:
    """Tell whether an upload can be taken back now."""
    if job.state in RUNNING:
        return not was_mailed(job)
    if job.state not in ENDED or job.finished_at is None:
        return False
    return clock.now() - job.finished_at < timedelta(days=policy.IMPORT_UNDO_D) and not was_mailed(job)


def was_mailed(job: ImportJob) -> bool:
    """Tell whether anybody of this upload got mail since it was read."""
    since = job.finished_at or job.started_at
    mailed = Q(last_contact_at__gte=since)
    return since is not None and ListMembership.objects.filter(mailed, import_job=job).exists()


def undo(job: ImportJob, *, actor: User) -> bool:
    """Begin to take an upload back, at once done if it is short; ImportRefusedError when it is too late.

    False means that somebody else was faster. From here on nobody of the list is mailed until all are back as they
    were; whoever calls pokes the worker if the job is still UNDOING.
    """
    if not may_undo(job):
        raise ImportRefusedError(
            f"An upload can be taken back for {policy.IMPORT_UNDO_D} days, as long as nothing was sent to it."
        )
    reason = "Taken back by the customer; the statement is withdrawn"
    if not begin(job, actor=actor, reason=reason):
        return False
    go_on(job, seconds=AT_ONCE)
    return True


@transaction.atomic
def begin(job: ImportJob, *, actor: User, reason: str, **fields: Any) -> bool:
    """Move an upload to UNDOING and hold its list, whoever takes it back; False when somebody else was faster."""
    if not lifecycle.move(job, ImportState.UNDOING, actor=actor, reason=reason, settled_count=0, **fields):
        return False
    ContactList.objects.filter(pk=job.contact_list_id, held_at=None).update(held_at=clock.now(), held_reason=HOLD)
    return True


def go_on(job: ImportJob, *, seconds: float = 50.0, piece: int = PIECE) -> bool:
    """Take people back, piece by piece, for at most `seconds`; True when all are and the upload is cancelled.

    Restartable at any moment: what is done is no longer found. Two workers take turns at the job's row.
    """
    ends = time.monotonic() + seconds
    while _piece(job, piece):
        if time.monotonic() > ends:
            return False
    _finish(job)
    return True


@transaction.atomic
def _piece(job: ImportJob, limit: int) -> int:
    """Take some people back and return how many."""
    if not ImportJob.objects.select_for_update().filter(pk=job.pk, state=ImportState.UNDOING).exists():
        return 0
    values = {"job": job.pk, "limit": limit}
    with staging.table("import_undo", "(id bigint, contact_id bigint)"), connection.cursor() as cursor:
        cursor.execute(_STAGE, values)
        if not cursor.rowcount:
            cursor.execute(_REST, values)
        people = cursor.rowcount
        if people:
            _put_back(cursor, values)
        else:
            people = tagging.take_some_back(job.pk, limit)
    job.settled_count += people
    ImportJob.objects.filter(pk=job.pk).update(settled_count=job.settled_count, heartbeat_at=clock.now())
    return int(people)


@transaction.atomic
def one(job: ImportJob, contact_id: int) -> int:
    """Put one person back as they were before an upload; return how many memberships that concerned (0 or 1)."""
    with staging.table("import_undo", "(id bigint, contact_id bigint)"), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO import_undo SELECT id, contact_id FROM compliance_listmembership "
            "WHERE import_job_id = %s AND contact_id = %s",
            [job.pk, contact_id],
        )
        people = int(cursor.rowcount)
        if people:
            _put_back(cursor, {"job": job.pk})
    return people


def _put_back(cursor: Any, values: dict[str, int]) -> None:
    cursor.execute("ANALYZE import_undo")
    cursor.execute(_CONTACTS, values)
    cursor.execute(_UNCOUNTED, values)
    cursor.execute(RESTORED.format(people="import_undo"), values)
    cursor.execute(_REMOVED, values)
    cursor.execute("CREATE TEMPORARY TABLE import_undone ON COMMIT DROP AS SELECT contact_id FROM import_undo")
    tagging.take_back(cursor, values["job"])
    cursor.execute(_NOBODY, values)
    cursor.execute(_UNLINKED)
    cursor.execute(_UNPROVEN)
    cursor.execute(_UNCHECKED)
    cursor.execute(_GONE)
    cursor.execute(_FORGOTTEN, values)
    cursor.execute("DROP TABLE import_undone")


def _finish(job: ImportJob) -> None:
    with transaction.atomic():
        target = ImportState.REFUSED if job.is_refused else ImportState.CANCELLED
        if not lifecycle.move(job, target, actor=None, finished_at=clock.now()):
            return
        lists.recount(job.contact_list)
        contact_fields.forget(job)
        tagging.forget(job)
        release(job.contact_list)
        transaction.on_commit(lambda: files.forget(job.stored_name))


def forget_before(now: datetime, limit: int = 50_000) -> int:
    """Delete what was kept for uploads that can no longer be taken back; return how many rows."""
    end = now - timedelta(days=policy.IMPORT_UNDO_D)
    tagging.settle_before(end, limit)
    kept = (ImportState.UNDOING, ImportState.HELD)  # our staff may still refuse it
    old = ImportBefore.objects.filter(job__finished_at__lt=end).exclude(job__state__in=kept).values("pk")[:limit]
    return ImportBefore.objects.filter(pk__in=old).delete()[0]
