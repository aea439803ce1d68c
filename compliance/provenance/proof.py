"""The sample of proof: 25 people of a doubtful upload, for each of whom the customer says how they signed up.

Which people is drawn by their keyed hash and the upload, so nobody can choose them, and asking twice draws the same.
Complete answers open a list that waits for nothing else; the answers stay with the upload and staff read them. Whether
an answer is true is not judged here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db import transaction

from accounts import audit
from accounts.models import User
from compliance import policy
from compliance.errors import ImportRefusedError
from compliance.imports import lifecycle
from compliance.imports.holds import only_asks
from compliance.imports.open_again import release
from compliance.models import Contact, ImportJob, ImportState, ProofRow
from sendserver.lib import clock

SHORTEST: Final = 12  # characters of an answer
LONGEST: Final = 500
_DRAW: Final = """
SELECT c.* FROM compliance_listmembership m JOIN compliance_contact c ON c.id = m.contact_id
WHERE m.import_job_id = %s ORDER BY sha256(c.address_hash || convert_to(%s, 'UTF8')), c.id LIMIT %s
"""


def is_wanted(job: ImportJob) -> bool:
    """Tell whether a sample of proof would help this upload now."""
    return job.state == ImportState.HELD and job.proof_at is None


def sample(job: ImportJob) -> list[ProofRow]:
    """Return the people who are asked for, drawn at the first call; empty when proof is not wanted and never was."""
    if is_wanted(job) and not ProofRow.objects.filter(job=job).exists():
        drawn = Contact.objects.raw(_DRAW, [job.pk, str(job.uid), policy.PROOF_ROWS])
        rows = [ProofRow(job=job, contact=contact, place=place) for place, contact in enumerate(drawn, start=1)]
        ProofRow.objects.bulk_create(rows, ignore_conflicts=True)
    return list(ProofRow.objects.filter(job=job).select_related("contact").order_by("place"))


@transaction.atomic
def answer(job: ImportJob, texts: Mapping[int, str], *, actor: User) -> int:
    """Keep answers (place -> text) and return how many people are still without one; 0 completes the sample.

    A list that waited for the proof alone is open from then on. ImportRefusedError when no proof is wanted any more.
    """
    ImportJob.objects.select_for_update().get(pk=job.pk)
    job.refresh_from_db()
    if not is_wanted(job):
        raise ImportRefusedError("This upload waits for no proof any more.")
    now = clock.now()
    for row in sample(job):
        text = texts.get(row.place, "").replace("\x00", "").strip()[:LONGEST]
        if text and text != row.answer:
            ProofRow.objects.filter(pk=row.pk).update(answer=text, answered_at=now)
    left = sum(len(row.answer) < SHORTEST for row in sample(job))
    if not left:
        _complete(job, actor)
    return left


def _complete(job: ImportJob, actor: User) -> None:
    ImportJob.objects.filter(pk=job.pk).update(proof_at=clock.now())
    job.refresh_from_db()
    audit.record(
        "import.proof",
        actor=actor,
        organization=job.organization,
        subject=f"import:{job.uid}",
        detail={"rows": ProofRow.objects.filter(job=job).count()},
    )
    if only_asks(job.held_reasons):
        lifecycle.move(job, ImportState.DONE, actor=actor, reason="The sample of proof is complete")
        release(job.contact_list)
