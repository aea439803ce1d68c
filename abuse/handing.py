"""A case handed from the person who holds it to a named colleague.

The colleague holds it as if they had taken it: for CLAIM_LOCK_MIN minutes, after which it is free for all again, so a
case given to somebody who is away is not lost.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse

from abuse import cases, moderation, notices
from abuse.errors import CaseTakenError, DecisionRefusedError
from abuse.models import Case, CaseEntry, CaseState
from accounts import audit
from accounts.models import User
from accounts.notices import send_notice
from sendserver.lib import clock

COLLEAGUES_SHOWN = 200


def colleagues(case: Case, actor: User) -> list[User]:
    """Return who can take a case over: active staff who may decide, of another house than the organization, not you."""
    members = case.organization.memberships.values("user")
    rows = _deciders().exclude(pk=actor.pk).exclude(pk__in=members).order_by("name", "pk")
    return list(rows[:COLLEAGUES_SHOWN])


def _deciders() -> QuerySet[User]:
    """Return staff who hold the right of moderation.may_moderate, by themselves, by group or as administrators."""
    app, _, codename = moderation.DECIDE.partition(".")
    right = Permission.objects.filter(codename=codename, content_type__app_label=app)
    holds = Q(is_superuser=True) | Q(user_permissions__in=right) | Q(groups__permissions__in=right)
    return User.objects.filter(holds, is_staff=True, is_active=True).distinct()


def hand_to(case: Case, actor: User, colleague: User | None, note: str = "") -> None:
    """Give the case to a colleague, who is told by mail; only its holder can.

    Raises CaseTakenError for anybody else and DecisionRefusedError for somebody who cannot take it.
    """
    if colleague is None or colleague.pk not in {one.pk for one in colleagues(case, actor)}:
        raise DecisionRefusedError("Choose a colleague who may decide this case.")
    holder = cases.holder(case)
    if holder is None or holder.pk != actor.pk:
        raise CaseTakenError("Only the person who holds the case can hand it over.")
    at = clock.now()
    with transaction.atomic():
        held = Case.objects.filter(pk=case.pk, claimed_by=actor).exclude(state=CaseState.DECIDED)
        if not held.update(claimed_by=colleague, claimed_at=at):
            raise CaseTakenError("Only the person who holds the case can hand it over.")
        said = f" {note.strip()}" if note.strip() else ""
        words = f"Handed to {colleague.get_full_name()}.{said}"
        cases.add_entry(case, CaseEntry.Kind.CLAIMED, words, actor=actor)
        audit.record(
            "case.handed",
            actor=actor,
            organization=case.organization,
            subject=f"case:{case.reference}",
            reason=note.strip(),
            detail={"to": str(colleague.uid)},
        )
        _tell(case, actor, colleague, said)
    case.claimed_by, case.claimed_at = colleague, at


def _tell(case: Case, actor: User, colleague: User, said: str) -> None:
    link = f"{settings.BASE_URL}{reverse('admin:abuse_case_change', args=[case.pk])}"
    text = f"{actor.get_full_name()} handed you case {case.reference}, {case.organization}.{said}\n\n{link}"
    send_notice([colleague], subject=f"Yours now: {case.reference}", template=notices.TEMPLATE, context={"text": text})
