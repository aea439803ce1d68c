"""The segment that narrows a campaign's lists: live in a draft, frozen with what was approved.

A segment only takes people away: whoever is not on a chosen list is never brought in by one, and consent stays with the
membership. A deleted or broken segment lets nobody through and says so; it never means everybody.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from campaigns.models import Campaign
from compliance.errors import SegmentRefusedError
from compliance.gate import SegmentFacts
from compliance.segments import store
from compliance.segments.conditions import Conditions, from_json
from compliance.segments.vocabulary import vocabulary_of
from compliance.segments.where import Where, where_of
from sendserver.lib import chain

NOBODY: Final = "false"


def chosen(campaign: Campaign) -> dict[str, Any] | None:
    """Return the segment as it is kept with the approved content, else as it stands now; None without one.

    Keys as compliance.segments.store.frozen().
    """
    if campaign.snapshot is not None:
        kept: dict[str, Any] | None = campaign.snapshot.content.get("segment")
        return kept
    return store.frozen(campaign.segment) if campaign.segment is not None else None


def where(campaign: Campaign) -> Where | None:
    """Return the test that people of the chosen lists must pass; None where all of them are meant."""
    segment = chosen(campaign)
    if segment is None:
        return None
    conditions = _conditions(segment)
    if conditions is None or _is_deleted(campaign):
        return Where(NOBODY, {})
    return where_of(campaign.organization, conditions)


def facts(campaign: Campaign) -> SegmentFacts | None:
    """Return what the gate is told of the segment."""
    segment = chosen(campaign)
    if segment is None:
        return None
    return SegmentFacts(segment["name"], tuple(segment["words"]), _fault(campaign, segment), digest(segment))


def digest(segment: dict[str, Any] | None) -> str:
    """Return what stands for a segment's conditions on a page, so that a change in between is noticed; "" for none."""
    return hashlib.sha256(chain.canonical(segment["conditions"])).hexdigest()[:32] if segment else ""


def _fault(campaign: Campaign, segment: dict[str, Any]) -> str:
    if _is_deleted(campaign):
        return f"The segment “{segment['name']}” was deleted. Choose another, or everybody on the lists."
    conditions = _conditions(segment)
    if conditions is None:
        return f"The segment “{segment['name']}” cannot be read any more. Make it anew."
    words = vocabulary_of(campaign.organization, conditions.every())
    faults = words.faults(conditions)
    return f"The segment “{segment['name']}” asks for something that is not there. {faults[0]}" if faults else ""


def _is_deleted(campaign: Campaign) -> bool:
    """Tell whether a draft asks for a deleted segment; what was approved has its own copy."""
    return campaign.snapshot is None and campaign.segment is not None and campaign.segment.deleted_at is not None


def _conditions(segment: dict[str, Any]) -> Conditions | None:
    try:
        return from_json(segment["conditions"])
    except SegmentRefusedError:
        return None
