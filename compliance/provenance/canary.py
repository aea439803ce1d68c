"""Which uploads have not shown themselves yet: their first mail goes to a sample, the rest waits (reliability 5.4).

New is an upload into a list without proven ones of CANARY_FROM people together; risky is one that was held or asked
for proof. An upload is proven once a sample of it stayed clean, or all of it where it was small. Sending and judging
is done above, in campaigns.canary.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from django.db.models import F, QuerySet, Sum

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
        first = _proven_people(jobs) < policy.CANARY_FROM
        for pk, reasons in jobs.filter(canary_at=None).values_list("pk", "held_reasons"):
            if reasons:
                found[pk] = "There were questions about this upload"
            elif first:
                found.setdefault(pk, "This list is new here")
    if not found:
        return None
    return Unproven(tuple(sorted(found)), sorted(found.values(), reverse=True)[0])


def _proven_people(jobs: QuerySet[ImportJob]) -> int:
    """Return how many people proven uploads brought: a clean list of ten does not speak for one of ten thousand."""
    proven = jobs.exclude(canary_at=None)
    return proven.aggregate(people=Sum(F("added_count") + F("updated_count")))["people"] or 0


def mark_proven(job_ids: Collection[int]) -> None:
    """Note that a sample of these uploads stayed clean."""
    ImportJob.objects.filter(pk__in=job_ids, canary_at=None).update(canary_at=clock.now())


def sample_size(people: int, pooled: int = 0) -> int:
    """Return how many of so many people are mailed first: all of a small number.

    `pooled` people of other small uploads went at once of late; together they count as one list.
    """
    if people + pooled < policy.CANARY_FROM:
        return people
    least = min(policy.CANARY_MIN, ceil(Fraction(policy.CANARY_MIN, policy.CANARY_FROM) * people))
    return min(policy.CANARY_MAX, max(least, _share(policy.CANARY_SHARE, people)))


def steps(people: int, size: int) -> list[int]:
    """Return how many of the rest have gone after each part: 5, 25 and 100 % of all people, the sample included.

    A part that would be smaller than a sample is left out: it tells nothing that the sample did not. Pure.
    """
    ends: list[int] = []
    for share in (policy.CANARY_STEP_1, policy.CANARY_STEP_2):
        end = _share(share, people) - size
        if end - (ends[-1] if ends else 0) >= policy.CANARY_MIN:
            ends.append(end)
    return [*ends, people - size]


def _share(share: float, people: int) -> int:
    return ceil(Fraction(str(share)) * people)
