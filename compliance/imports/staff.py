"""What the staff decides about held uploads: let the list be mailed, or take the upload out again."""

from __future__ import annotations

from django.db import transaction

from accounts.models import User
from accounts.notices import send_notice
from accounts.people import members_to_notify
from compliance import lists
from compliance.errors import ImportRefusedError
from compliance.imports import lifecycle, tagging
from compliance.models import ContactList, ImportJob, ImportState, ListMembership
from sendserver.lib import clock


@transaction.atomic
def decide_held(job: ImportJob, *, approve: bool, actor: User, reason: str) -> bool:
    """Decide a held upload and tell its people by mail; False when somebody decided first.

    Refusing takes the people of this upload off the list. The statement stays on record either way.
    """
    if not reason.strip():
        raise ImportRefusedError("A decision needs a reason; the customer reads it.")
    if job.organization.memberships.filter(user=actor).exists():
        raise ImportRefusedError("You are in this organization’s team; somebody else has to decide.")
    if job.state != ImportState.HELD:
        return False
    target = ImportState.DONE if approve else ImportState.REFUSED
    now = clock.now()
    fields = {"decided_by": actor, "decided_at": now, "decision_reason": reason.strip()}
    if not lifecycle.move(job, target, actor=actor, reason=reason.strip(), **fields):
        return False
    if not approve:
        take_out(job)
    release(job.contact_list)
    transaction.on_commit(lambda: _tell(job, approve))
    return True


def take_out(job: ImportJob) -> None:
    """Remove whom this upload added; whom it only updated stays, without a statement, so not mailable."""
    mine = ListMembership.objects.filter(import_job=job)
    mine.filter(first_import=job).delete()
    mine.update(attestation=None)
    lists.recount(job.contact_list)
    tagging.take_all_back(job)


def release(contact_list: ContactList) -> None:
    """Let the list be mailed again unless another upload into it still waits.

    The list's row is locked as in `attestations.submit`, so that an upload being signed now is not overlooked.
    """
    ContactList.objects.select_for_update().get(pk=contact_list.pk)
    waiting = ImportJob.objects.filter(contact_list=contact_list).exclude(held_reasons=[])
    if not waiting.filter(state__in=[ImportState.QUEUED, ImportState.READING, ImportState.HELD]).exists():
        ContactList.objects.filter(pk=contact_list.pk).update(held_at=None, held_reason="")


def _tell(job: ImportJob, approve: bool) -> None:
    subject = f"{job.contact_list.name}: {'ready to be mailed' if approve else 'upload not accepted'}"
    send_notice(
        members_to_notify(job.organization, urgent=True),
        subject=subject,
        template="emails/import_decided.txt",
        context={"job": job, "approve": approve, "path": f"/portal/imports/{job.uid}/"},
    )
