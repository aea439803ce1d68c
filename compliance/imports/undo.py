"""An upload taken back as a whole, while nobody of it was mailed. The statement stays on record."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from accounts.models import User
from compliance import policy
from compliance.errors import ImportRefusedError
from compliance.imports import lifecycle, staff
from compliance.models import ImportJob, ImportState, ListMembership
from sendserver.lib import clock


def may_undo(job: ImportJob) -> bool:
    """Tell whether an upload can still be taken back."""
    if job.state not in (ImportState.DONE, ImportState.HELD) or job.finished_at is None:
        return False
    return clock.now() - job.finished_at < timedelta(days=policy.IMPORT_UNDO_D) and not was_mailed(job)


def was_mailed(job: ImportJob) -> bool:
    """Tell whether anybody of this upload got mail since it was read."""
    since = Q(last_contact_at__gte=job.finished_at)
    return ListMembership.objects.filter(since, import_job=job).exists()


@transaction.atomic
def undo(job: ImportJob, *, actor: User) -> bool:
    """Take the people of an upload off the list again; ImportRefusedError when it is too late."""
    if not may_undo(job):
        raise ImportRefusedError(
            f"An upload can be taken back for {policy.IMPORT_UNDO_D} days, as long as nothing was sent to it."
        )
    reason = "Taken back by the customer; the statement is withdrawn"
    if not lifecycle.move(job, ImportState.CANCELLED, actor=actor, reason=reason):
        return False
    staff.take_out(job)
    staff.release(job.contact_list)
    return True
