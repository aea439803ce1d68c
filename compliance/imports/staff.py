"""What the staff decides about held uploads: let the list be mailed, or take the upload out again."""

from __future__ import annotations

from django.db import transaction

from accounts.models import User
from accounts.notices import send_notice
from accounts.people import members_to_notify
from compliance.errors import ImportRefusedError
from compliance.imports import lifecycle, undo
from compliance.imports.open_again import release
from compliance.models import ImportJob, ImportState
from sendserver.lib import clock


def decide_held(job: ImportJob, *, approve: bool, actor: User, reason: str) -> bool:
    """Decide a held upload and tell its people by mail; False when somebody decided first.

    Refusing takes the people of this upload off the list and restores whom it only updated, as the customer's own undo
    does; a long one is still UNDOING afterwards, and whoever calls pokes the worker. The statement stays on record.
    """
    if not reason.strip():
        raise ImportRefusedError("A decision needs a reason; the customer reads it.")
    if job.organization.memberships.filter(user=actor).exists():
        raise ImportRefusedError("You are in this organization’s team; somebody else has to decide.")
    if job.state != ImportState.HELD or not _decide(job, approve=approve, actor=actor, reason=reason.strip()):
        return False
    if not approve:
        undo.go_on(job, seconds=undo.AT_ONCE)
    return True


@transaction.atomic
def _decide(job: ImportJob, *, approve: bool, actor: User, reason: str) -> bool:
    decided = {"decided_by": actor, "decided_at": clock.now(), "decision_reason": reason}
    if approve:
        moved = lifecycle.move(job, ImportState.DONE, actor=actor, reason=reason, **decided)
        if moved:
            release(job.contact_list)
    else:
        moved = undo.begin(job, actor=actor, reason=reason, is_refused=True, **decided)
    if moved:
        transaction.on_commit(lambda: _tell(job, approve))
    return moved


def _tell(job: ImportJob, approve: bool) -> None:
    subject = f"{job.contact_list.name}: {'ready to be mailed' if approve else 'upload not accepted'}"
    send_notice(
        members_to_notify(job.organization, urgent=True),
        subject=subject,
        template="emails/import_decided.txt",
        context={"job": job, "approve": approve, "path": f"/portal/imports/{job.uid}/"},
    )
