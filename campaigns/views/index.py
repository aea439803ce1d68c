"""The list of campaigns, a new one, and a copy."""

from __future__ import annotations

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view
from campaigns import compose
from campaigns.forms import NewForm
from campaigns.models import Campaign, CampaignState
from compliance.models import ContactList

PER_PAGE = 25
PAGES = {
    CampaignState.DRAFT: "campaign_edit",
    CampaignState.SENT: "campaign_report",
    CampaignState.STOPPED: "campaign_report",
}


@require_safe
@portal_view(Right.VIEW)
def index(request: PortalRequest) -> HttpResponse:
    """Show the organization's campaigns, newest first."""
    rows = Campaign.objects.for_org(request.org).order_by("-created_at", "-pk").prefetch_related("lists")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    for row in page:
        row.page_name = PAGES.get(CampaignState(row.state), "campaign_progress")  # type: ignore[attr-defined]
    may_write = has_right(request.membership, Right.WRITE)
    return render(request, "campaigns/index.html", {"page_obj": page, "may_write": may_write})


@portal_view(Right.WRITE)
def new(request: PortalRequest) -> HttpResponse:
    """Ask for a name and make a draft that is not blank."""
    form = NewForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        draft = compose.new_draft(request.org, name=form.cleaned_data["name"], actor=request.user)
        if request.POST.get("list"):
            draft.lists.set([get_object_for(request, ContactList, request.POST["list"])])
        return redirect("campaign_edit", draft.uid)
    return render(request, "campaigns/new.html", {"form": form}, status=422 if form.errors else 200)


@require_POST
@portal_view(Right.WRITE)
def copy(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Make a draft with the same words."""
    draft = compose.copy(get_object_for(request, Campaign, uid), actor=request.user)
    return redirect("campaign_edit", draft.uid)
