"""Segments saved, changed, deleted, and as a campaign freezes them."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.models import Organization, User
from compliance import policy
from compliance.errors import SegmentRefusedError
from compliance.models import Segment
from compliance.segments.conditions import Conditions, from_json
from compliance.segments.vocabulary import check, vocabulary_of
from sendserver.lib import clock


def all_of(organization: Organization) -> QuerySet[Segment]:
    """Return an organization's segments, by name."""
    return Segment.objects.for_org(organization).filter(deleted_at=None).order_by("name", "pk")


def save(
    organization: Organization, name: str, conditions: Conditions, *, actor: User, segment: Segment | None = None
) -> Segment:
    """Save a new segment, or a change of `segment`, audited; SegmentRefusedError says what is wrong.

    The conditions go through their own JSON, so that nothing else is ever stored.
    """
    sound = from_json(conditions.to_json())
    check(organization, sound)
    with transaction.atomic():
        if segment is None and all_of(organization).count() >= policy.SEGMENTS_MAX:
            raise SegmentRefusedError(f"There is room for {policy.SEGMENTS_MAX} segments. Delete one first.")
        made = segment or Segment(organization=organization, created_by=actor)
        made.name, made.conditions = name, sound.to_json()
        try:
            with transaction.atomic():
                made.save()
        except IntegrityError as error:
            raise SegmentRefusedError(f"There is a segment “{name}” already.") from error
        action = "segment.changed" if segment else "segment.created"
        audit.record(action, actor=actor, organization=organization, subject=f"segment:{made.uid}")
    return made


@transaction.atomic
def delete(segment: Segment, *, actor: User) -> bool:
    """Delete a segment; tell whether it was there. Drafts that ask for it say so and wait; campaigns kept a copy."""
    if not Segment.objects.filter(pk=segment.pk, deleted_at=None).update(deleted_at=clock.now()):
        return False
    organization = segment.organization
    audit.record("segment.deleted", actor=actor, organization=organization, subject=f"segment:{segment.uid}")
    return True


def frozen(segment: Segment) -> dict[str, Any]:
    """Return a segment as a campaign keeps it: name, conditions, and the conditions as people read them now."""
    conditions = from_json(segment.conditions)
    words = vocabulary_of(segment.organization, conditions.every())
    return {
        "uid": str(segment.uid),
        "name": segment.name,
        "conditions": conditions.to_json(),
        "words": words.lines(conditions),
    }
