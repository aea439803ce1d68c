"""Views of the portal's first page."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts import allowance
from accounts.access import PortalRequest, Right, portal_view
from accounts.models import Organization, Standing
from accounts.policy import FIRST_ALLOWANCE
from accounts.verification import Step
from campaigns.models import Campaign
from compliance import policy
from compliance.models import ContactList
from sendserver.lib import clock
from sendserver.pages import overview
from sendserver.pages.context import steps_done
from sendserver.pages.needs import needs


@require_safe
@portal_view(Right.VIEW)
def home(request: PortalRequest) -> HttpResponse:
    """Show the overview, or the first steps while nothing was ever sent."""
    if not Campaign.objects.for_org(request.org).exclude(started_at=None).exists():
        return render(request, "pages/overview_empty.html", _first_steps(request.org))
    now = clock.now()
    used, today = overview.used_today(request.org, now)
    context = {
        "now": now,
        "running": overview.running(request.org, now),
        "needs": needs(request.org, now),
        "month": overview.month(request.org, now),
        "recent": overview.recent(request.org),
        "gauges": overview.gauges(request.org),
        "judged_days": policy.JUDGED_D,
        "used": used,
        "today": today,
        "next_step": allowance.next_step(request.org.daily_allowance),
    }
    return render(request, "pages/overview.html", context)


@require_safe
@portal_view(Right.VIEW)
def sending_now(request: PortalRequest) -> HttpResponse:
    """Return the part of the overview that is asked for every five seconds."""
    return render(request, "pages/overview_now.html", {"running": overview.running(request.org, clock.now())})


def _first_steps(organization: Organization) -> dict[str, object]:
    return {
        "steps": len(Step),
        "done": steps_done(organization),
        "verified": organization.standing != Standing.UNVERIFIED,
        "has_list": ContactList.objects.for_org(organization).exists(),
        "draft": Campaign.objects.for_org(organization).order_by("-updated_at").first(),
        "first_allowance": FIRST_ALLOWANCE,
        "today": allowance.today(organization),
    }
