"""Who would get a campaign, as its pages may know it: short lists counted at once, long ones by a worker.

The worker's figures are two: everybody by country, reason and basis, which the text does not change; and how many lack
a value that the text needs. What may rest on them, and for how long, is decision 0042.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from accounts.models import Organization
from campaigns import audience, narrowing
from campaigns.models import Campaign
from compliance import counting, lists, policy
from compliance.counting import Kept, Question
from compliance.gate import AudienceFacts
from compliance.models import ContactList
from compliance.segments.conditions import from_json
from compliance.segments.where import Where, where_of
from sendserver.lib import chain, clock


def known(campaign: Campaign, chosen: Sequence[ContactList], needed: Collection[str]) -> AudienceFacts:
    """Return who would get a campaign, without counting more than a page may; asks the worker for what is old."""
    only = narrowing.where(campaign)
    if (only and only.sql == narrowing.NOBODY) or lists.few(chosen) is not None:
        return audience.count(campaign.organization_id, chosen, needed, only)
    segment = narrowing.chosen(campaign)
    keys = tuple(sorted(one.pk for one in chosen))
    asked = {"lists": list(keys), "segment": segment["conditions"] if segment else None}
    questions = [Question("audience", asked, keys)]
    if needed:
        questions.append(Question("blanks", {**asked, "needed": sorted(needed)}, keys))
    return _facts(*counting.look(campaign.organization, questions))


def _facts(people: Kept, blanks: Kept | None = None) -> AudienceFacts:
    kept = [people, blanks] if blanks else [people]
    waits, failed = any(one.waits for one in kept), any(one.failed for one in kept)
    if people.answer is None:
        return AudienceFacts(is_counted=False, are_values_counted=False, waits=waits, failed=failed)
    without = [(name, n) for name, n in blanks.answer["missing"]] if blanks and blanks.answer else []
    return replace(
        audience.facts([(country, reason, basis, n) for country, reason, basis, n in people.answer["groups"]], without),
        are_values_counted=blanks is None or blanks.answer is not None,
        counted_at=min(one.at for one in kept if one.at),
        has_changed=any(one.changed for one in kept),
        waits=waits,
        failed=failed,
    )


@counting.answers("audience")
def _count_people(organization: Organization, asked: counting.Answer) -> counting.Answer:
    return {"groups": audience.groups(organization.pk, _lists(organization, asked), _only(organization, asked))}


@counting.answers("blanks")
def _count_blanks(organization: Organization, asked: counting.Answer) -> counting.Answer:
    chosen, only = _lists(organization, asked), _only(organization, asked)
    return {"missing": audience.missing(organization.pk, chosen, asked["needed"], only)}


def _lists(organization: Organization, asked: dict[str, Any]) -> list[ContactList]:
    return list(ContactList.objects.for_org(organization).filter(pk__in=asked["lists"]).order_by("pk"))


def _only(organization: Organization, asked: dict[str, Any]) -> Where | None:
    return where_of(organization, from_json(asked["segment"])) if asked["segment"] else None


def is_recent(facts: AudienceFacts) -> bool:
    """Tell whether a campaign may be approved on figures: complete, of the lists as they are, and young enough."""
    if not (facts.is_counted and facts.are_values_counted) or facts.has_changed:
        return False
    age = timedelta(minutes=policy.FIGURES_AGE_MIN)
    return facts.counted_at is None or clock.now() - facts.counted_at <= age


def mark(facts: AudienceFacts) -> str:
    """Return what stands for figures on a page, so that others in between are noticed; "" for those of this moment."""
    if facts.counted_at is None:
        return ""
    shown = {
        "total": facts.total,
        "mailable": facts.mailable,
        "left": facts.left_by_country,
        "places": facts.by_country,
        "without": facts.without_express,
        "missing": facts.missing_values,
    }
    return hashlib.sha256(chain.canonical(shown)).hexdigest()[:32]
