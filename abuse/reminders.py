"""Keep promises: late answers go back to staff, and an overdue case calls the person on duty once."""

from __future__ import annotations

from django.conf import settings
from django.core.cache import cache

from abuse import cases, notices
from abuse.models import Appeal, Case, CaseState
from accounts.notices import send_notice
from sendserver.lib import clock

REPEAT_SECONDS = 86_400


def run() -> int:
    """Reopen unanswered cases, remind of promises that have passed, and return how many were named."""
    cases.reopen_unanswered()
    now = clock.now()
    open_cases = Case.objects.exclude(state__in=(CaseState.DECIDED, CaseState.ASKED)).filter(promised_until__lte=now)
    late = {
        case.reference: f"Case {case.reference}, {case.organization}"
        for case in open_cases.select_related("organization")
    }
    appeals = Appeal.objects.filter(state=Appeal.State.OPEN, promised_until__lte=now).select_related("decision")
    late |= {
        appeal.decision.reference: f"Appeal against {appeal.decision.reference}, {appeal.organization}"
        for appeal in appeals.select_related("organization")
    }
    fresh = [line for reference, line in late.items() if cache.add(f"abuse:late:{reference}", 1, REPEAT_SECONDS)]
    if fresh:
        text = "These promises have passed:\n\n" + "\n".join(fresh) + f"\n\n{settings.BASE_URL}/staff/"
        subject = f"Late: {len(fresh)} on the abuse desk"
        send_notice([settings.ONCALL_EMAIL], subject=subject, template=notices.TEMPLATE, context={"text": text})
    return len(fresh)
