"""Which uploads have not shown themselves yet: their first mail goes to a sample, the rest waits (reliability 5.4).

New is an upload of a list or an organization without a proven one; risky is one that was held or asked for proof. An
upload is proven once a sample of it stayed clean. Sending and judging is done above, in campaigns.canary.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from compliance import policy
from compliance.models import ContactList, ImportJob, ImportState
from sendserver.lib import clock


@dataclass(frozen=True)
class Unproven:
    """Uploads that a sample has to speak for, and why, in words for the customer."""

    job_ids: tuple[int, ...]
    reason: str


def unproven(lists: Collection[ContactList]) -> Unproven | None:
    """Return which uploads of these lists a sample has to speak for; None when none has."""
    found: dict[int, str] = {}
    for contact_list in lists:
        jobs = ImportJob.objects.filter(contact_list=contact_list, state=ImportState.DONE)
        first = not jobs.exclude(canary_at=None).exists()
        for pk, reasons in jobs.filter(canary_at=None).values_list("pk", "held_reasons"):
            if reasons:
                found[pk] = "There were questions about this upload"
            elif first:
                found.setdefault(pk, "This list is new here")
    if not found:
        return None
    return Unproven(tuple(sorted(found)), sorted(found.values(), reverse=True)[0])


def mark_proven(job_ids: Collection[int]) -> None:
    """Note that a sample of these uploads stayed clean."""
    ImportJob.objects.filter(pk__in=job_ids, canary_at=None).update(canary_at=clock.now())


def sample_size(people: int) -> int:
    """Return how many of so many people are mailed first: all of a small number."""
    if people < policy.CANARY_FROM:
        return people
    return min(policy.CANARY_MAX, max(policy.CANARY_MIN, ceil(Fraction(str(policy.CANARY_SHARE)) * people)))
