"""The people of a campaign: a group at a time, one by address, and everything that became of one message."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import PortalRequest, Right, get_object_for, portal_view
from campaigns import recipients
from campaigns.models import Campaign, CampaignState
from campaigns.recipients import GROUPS, Group
from compliance.models import Contact
from sendserver.lib import tokens

BEFORE_SENDING = (CampaignState.DRAFT, CampaignState.HELD, CampaignState.SCHEDULED)


@portal_view(Right.VIEW)
@require_http_methods(["GET", "POST"])
def people(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show a group of the campaign's people; POST looks for one address, which so stands in no address bar or log."""
    campaign = get_object_for(request, Campaign, uid)
    if campaign.state in BEFORE_SENDING:
        return redirect("campaign_progress", uid)
    words = request.POST.get("q", "").strip()[:254]
    if words:
        found = recipients.find(campaign, words)
        if found is not None:
            return redirect("campaign_person", uid, found.uid)
    group = _group(request)
    page = recipients.page(campaign, group, _before(request))
    counted = recipients.counts(campaign)
    context: dict[str, Any] = {
        "campaign": campaign,
        "group": group,
        "tabs": [(one, label, counted[one]) for one, label in GROUPS.items()],
        "rows": page.rows,
        "following": tokens.seal(tokens.Purpose.PAGE, page.following) if page.following else "",
        "is_first": not request.GET.get("from"),
        "more": max(0, counted[group] - len(page.rows)) if group is Group.WAITING else 0,
        "words": words,
    }
    return render(request, "campaigns/people.html", context)


@require_safe
@portal_view(Right.VIEW)
def person(request: PortalRequest, uid: UUID, contact: UUID) -> HttpResponse:
    """Show what became of one person's message."""
    campaign = get_object_for(request, Campaign, uid)
    found = get_object_for(request, Contact, contact)
    story = recipients.story(campaign, found)
    if story is None:
        return redirect("campaign_people", uid)
    return render(request, "campaigns/person.html", {"campaign": campaign, "person": found, "story": story})


def _group(request: HttpRequest) -> Group:
    asked = request.GET.get("show", "")
    return Group(asked) if asked in list(Group) else Group.ACCEPTED


def _before(request: HttpRequest) -> int | None:
    """Return where a page begins; whatever is no token of ours begins at the beginning."""
    return tokens.open_token(tokens.Purpose.PAGE, request.GET.get("from", ""))
