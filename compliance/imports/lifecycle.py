"""The life of an upload: one table, one function that moves it, one audit row a move (architecture rule 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from accounts import audit
from accounts.models import User
from compliance.models import ImportJob, ImportState
from sendserver.lib import states

S = ImportState
TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    S.UPLOADED: frozenset({S.MAPPED, S.FAILED, S.CANCELLED}),
    S.MAPPED: frozenset({S.MAPPED, S.ANSWERED, S.FAILED, S.CANCELLED}),
    S.ANSWERED: frozenset({S.MAPPED, S.ANSWERED, S.QUEUED, S.FAILED, S.CANCELLED}),
    S.QUEUED: frozenset({S.READING, S.FAILED, S.UNDOING}),
    S.READING: frozenset({S.HELD, S.DONE, S.FAILED, S.UNDOING}),
    S.HELD: frozenset({S.DONE, S.UNDOING}),
    S.DONE: frozenset({S.UNDOING}),  # compliance.imports.undo
    S.UNDOING: frozenset({S.CANCELLED, S.REFUSED}),  # the latter by our staff: is_refused
    S.FAILED: frozenset(),
    S.REFUSED: frozenset(),
    S.CANCELLED: frozenset(),
}
BUSY: Final = (S.QUEUED, S.READING, S.UNDOING)  # a worker is at it
OPEN: Final = (S.UPLOADED, S.MAPPED, S.ANSWERED)  # the customer is still at it


def move(job: ImportJob, target: str, *, actor: User | None, reason: str = "", **fields: Any) -> bool:
    """Move an upload to `target`, writing `fields` with it; tell whether this call moved it.

    Raises states.TransitionRefusedError when the table has no such arrow. False means that somebody else moved the
    job first: one conditional UPDATE decides.
    """
    source = job.state
    states.require(TRANSITIONS, source, target)
    with transaction.atomic():
        if not ImportJob.objects.filter(pk=job.pk, state=source).update(state=target, **fields):
            return False
        audit.record(
            f"import.{target}",
            actor=actor,
            organization=job.organization,
            subject=f"import:{job.uid}",
            reason=reason,
            detail={"from": source},
        )
    job.state = target
    for name, value in fields.items():
        setattr(job, name, value)
    return True
