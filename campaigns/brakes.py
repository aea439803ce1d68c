"""Brakes: automatic or ordered stops of a campaign, an organization or everything.

A brake stops lanes within the stop poll (they read live brakes in SQL) and calls a person; it never changes a
standing and never moves a campaign. Bounce and complaint rates are judged in abuse, which calls `set_brake`.
"""

from __future__ import annotations

from typing import Final

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from accounts import audit
from accounts.models import Organization, User
from campaigns.models import Brake, Campaign
from compliance import policy
from sendserver.lib import clock

# True while a brake is on. Fill in with .format(campaign=..., organization=...): SQL expressions, never values.
LIVE_BRAKE_SQL: Final = """EXISTS (
  SELECT 1 FROM campaigns_brake brake
  WHERE brake.lifted_at IS NULL
    AND (brake.campaign_id = {campaign}
      OR (brake.campaign_id IS NULL AND (brake.organization_id = {organization} OR brake.organization_id IS NULL))))"""
_LOCK: Final = 7_316_303
BLOCKED_MIN: Final = 20  # refusals of one campaign by policy before their share is judged
BLOCKED_SHARE: Final = 0.05  # of what was tried


def set_brake(
    kind: str,
    reason: str,
    *,
    campaign: Campaign | None = None,
    organization: Organization | None = None,
    actor: User | None = None,
) -> Brake:
    """Set a brake and return it; the one of this kind that is on already is returned unchanged.

    Name a campaign, or an organization for all its campaigns, or neither for the whole platform. Audited.
    """
    owner = campaign.organization if campaign else organization
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, owner.pk if owner else 0])
        on = live(campaign=campaign, organization=organization).filter(kind=kind).first()
        return on or _set(kind, reason, campaign, owner, actor)


def _set(kind: str, reason: str, campaign: Campaign | None, owner: Organization | None, actor: User | None) -> Brake:
    brake = Brake.objects.create(
        kind=Brake.Kind(kind), reason=reason, campaign=campaign, organization=owner, set_by=actor, set_at=clock.now()
    )
    audit.record(
        "brake.set",
        actor=actor,
        organization=owner,
        subject=_subject(brake),
        reason=reason,
        detail={"kind": str(kind), "brake": brake.pk},
    )
    return brake


def lift(brake: Brake, *, actor: User | None, reason: str) -> bool:
    """Lift a brake, audited; tell whether it was still on. Who may lift which kind is the caller's question."""
    with transaction.atomic():
        lifted = Brake.objects.filter(pk=brake.pk, lifted_at=None).update(lifted_at=clock.now(), lifted_by=actor)
        if not lifted:
            return False
        audit.record(
            "brake.lifted",
            actor=actor,
            organization=brake.organization,
            subject=_subject(brake),
            reason=reason,
            detail={"kind": brake.kind, "brake": brake.pk},
        )
    brake.refresh_from_db()
    return True


def live(*, campaign: Campaign | None = None, organization: Organization | None = None) -> QuerySet[Brake]:
    """Return the brakes that were set on exactly this campaign, organization or, with neither, on everything."""
    if campaign is not None:
        scope = Q(campaign=campaign)
    elif organization is not None:
        scope = Q(campaign=None, organization=organization)
    else:
        scope = Q(campaign=None, organization=None)
    return Brake.objects.filter(scope, lifted_at=None)


def holding(campaign: Campaign) -> QuerySet[Brake]:
    """Return every brake that keeps this campaign from being sent, oldest first."""
    scope = Q(campaign=campaign) | Q(campaign=None, organization=campaign.organization)
    return Brake.objects.filter(scope | Q(campaign=None, organization=None), lifted_at=None).order_by("set_at")


def live_brake_sql(campaign: str, organization: str) -> str:
    """Return LIVE_BRAKE_SQL for two SQL expressions."""
    return LIVE_BRAKE_SQL.format(campaign=campaign, organization=organization)


def _subject(brake: Brake) -> str:
    if brake.campaign is not None:
        return f"campaign:{brake.campaign.uid}"
    return f"organization:{brake.organization.uid}" if brake.organization else "platform"


def judge_technical(campaign: Campaign, *, tried: int, render_failed: int, blocked: int) -> Brake | None:
    """Set the brake that the counts of a running campaign ask for: unwritable messages, refusals by policy."""
    if render_failed >= policy.RENDER_PAUSE_COUNT or _share(render_failed, tried, policy.RENDER_PAUSE_SHARE):
        reason = f"{render_failed} of {tried} messages could not be written for their recipient."
        return set_brake(Brake.Kind.RENDER, reason, campaign=campaign)
    if blocked >= BLOCKED_MIN and _share(blocked, tried, BLOCKED_SHARE):
        return set_brake(
            Brake.Kind.BLOCKED, f"Receivers refused {blocked} of {tried} messages by their policy.", campaign=campaign
        )
    return None


def _share(part: int, whole: int, limit: float) -> bool:
    """Tell whether the share is above `limit`; one failure among few messages says nothing yet."""
    return part >= 2 and whole > 0 and part / whole > limit
