"""A list that waited for a look is open again once nothing else holds it."""

from __future__ import annotations

from compliance.models import ContactList, ImportJob, ImportState

WAITS = (ImportState.QUEUED, ImportState.READING, ImportState.HELD)


def release(contact_list: ContactList) -> None:
    """Let the list be mailed again unless another upload into it still waits, or is being taken back.

    The list's row is locked as in `attestations.submit`, so that an upload being signed now is not overlooked.
    """
    ContactList.objects.select_for_update().get(pk=contact_list.pk)
    uploads = ImportJob.objects.filter(contact_list=contact_list)
    waiting = uploads.exclude(held_reasons=[]).filter(state__in=WAITS)
    if not waiting.exists() and not uploads.filter(state=ImportState.UNDOING).exists():
        ContactList.objects.filter(pk=contact_list.pk).update(held_at=None, held_reason="")
