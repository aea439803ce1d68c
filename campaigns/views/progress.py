"""A campaign on its way: two lanes, outcomes, log; pause, resume and stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts import standing
from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view
from accounts.models import AuditEntry, User
from campaigns import approve, brakes, breakdown, canary, control, course, stats
from campaigns.errors import CampaignError
from campaigns.models import Campaign, CampaignState
from campaigns.sending import aside
from campaigns.sending.poke import poke_after_commit
from compliance import policy
from compliance.tasks import count_people
from compliance.views import poke
from sendserver.lib import charts
from sendserver.lib.states import TransitionRefusedError

PAUSABLE = (CampaignState.PLANNING, CampaignState.SENDING)
STOPPABLE = (*PAUSABLE, CampaignState.PAUSED, CampaignState.SCHEDULED, CampaignState.HELD)
MOVES = {
    "held": ("Sent to our staff for a look", "warn"),
    "scheduled": ("Scheduled", "ok"),
    "planning": ("Confirmed", "ok"),
    "sending": ("Sending", "ok"),
    "paused": ("Paused", "warn"),
    "stopped": ("Stopped for good", "bad"),
    "sent": ("Done", "ok"),
    "draft": ("Back to draft", ""),
}
OTHERS = {
    "brake.set": ("Paused", "warn"),
    "brake.lifted": ("Pause lifted", "warn"),
    "canary.moved": ("The first people", ""),
    "delivery.settled": ("Doubt settled", ""),
    "delivery.resent": ("One message sent again", ""),
    "delivery.set_aside": ("One message set aside", "warn"),
    "delivery.tried_again": ("One message tried again", ""),
}  # anything else about a campaign, such as staff who look at it, is no move of it


@require_safe
@portal_view(Right.VIEW)
def progress(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show how far a campaign is; htmx asks again for the part that changes."""
    campaign = get_object_for(request, Campaign, uid)
    if campaign.state == CampaignState.DRAFT:
        back = redirect("campaign_review" if campaign.look_again else "campaign_edit", uid)
        if request.headers.get("HX-Request"):  # the page is about a campaign that runs; this one came back
            return HttpResponse(headers={"HX-Redirect": back["Location"]})
        return back
    context = _context(request, campaign)
    if request.headers.get("HX-Request") and request.headers.get("HX-Target") != "counts":
        response = render(request, "campaigns/_progress.html", context)
        if not context["is_live"] or request.GET.get("seen", campaign.state) != campaign.state:
            response["HX-Refresh"] = "true"  # the whole page has other words and buttons now
        return response
    return render(request, "campaigns/progress.html", {**context, **_details(campaign)})


def _details(campaign: Campaign) -> dict[str, Any]:
    """Return what all people are read for: shown with the page, not with each poll."""
    details = breakdown.known(campaign)
    if details.waits:
        poke(count_people, campaign.organization_id)
    names = {key: relay.name.partition(".")[0] for key, relay in settings.RELAYS.items()}
    lines = [
        charts.Series(names[key], counts, f"c{place}") for place, (key, counts) in enumerate(details.attempts, start=1)
    ]
    chart = charts.lines("Messages a minute by server", details.minutes, lines) if len(details.minutes) > 1 else ""
    states = course.receiver_states(campaign.organization_id)
    rows = [(one, states.get(one.name, ("Normal pace", "ok"))) for one in details.receivers]
    return {"minutes": chart, "receivers": rows, "details": details}


def _context(request: PortalRequest, campaign: Campaign) -> dict[str, Any]:
    figures = stats.progress(campaign)
    back = stats.reactions(campaign)
    first = canary.shown(campaign)
    behind = first.left if first else 0  # nobody knows yet whether they are mailed at all
    may_send = has_right(request.membership, Right.SEND)
    return {
        "campaign": campaign,
        "p": figures,
        "course": course.course(campaign, figures.planned - figures.done - behind),
        "behind_canary": behind,
        "back": back,
        "refused_total": figures.rejected + back.bounced,
        "is_live": campaign.state in PAUSABLE,
        "can_pause": may_send and campaign.state in PAUSABLE,
        "can_resume": may_send and control.can_resume(campaign),
        "can_stop": may_send and campaign.state in STOPPABLE,
        "can_take_back": may_send and campaign.state == CampaignState.SCHEDULED,
        "is_over": campaign.state in (CampaignState.SENT, CampaignState.STOPPED),
        "brakes": list(brakes.holding(campaign)),
        "standing_stops": not standing.may_send(campaign.organization),
        "canary": first,
        "set_aside": aside.waiting(campaign),
        "log": _log(campaign),
        "queue_place": _queue_place(campaign),
        "hold_reasons": approve.hold_reasons(campaign) if campaign.state == CampaignState.HELD else [],
        "bounce_limit": f"{100 * policy.HB_PAUSE:g}%",
        "complaint_limit": f"{100 * policy.L_PAUSE:.2f}%",
        "complaint_count": policy.C_BREAKER,
        "canary_hours": policy.CANARY_WAIT_H,
    }


def _log(campaign: Campaign) -> list[dict[str, Any]]:
    """Return the campaign's moves and brakes as a time line, newest first."""
    rows = list(
        AuditEntry.objects.filter(
            subject=f"campaign:{campaign.uid}",
            organization=campaign.organization,
            action__in=["campaign.moved", *OTHERS],
        ).order_by("-pk")[:30]
    )
    people = User.objects.filter(uid__in=[row.actor_uid for row in rows], is_staff=False)
    names = dict(people.values_list("uid", "name"))  # staff are not named to customers
    return [_log_line(row, names.get(row.actor_uid, "our staff") if row.actor_uid else "") for row in rows]


def _log_line(row: AuditEntry, name: str) -> dict[str, Any]:
    title, kind = OTHERS.get(row.action) or MOVES[row.detail["to"]]
    mark = {"ok": "check", "warn": "pause", "bad": "stop"}.get(kind, "undo")
    by = f"By {name}. " if name else ""
    return {"title": title, "text": f"{by}{row.reason}", "at": row.at, "kind": kind, "mark": mark}


def _queue_place(campaign: Campaign) -> int:
    """Return how many campaigns of all customers wait in front of this one; 0 once it is being sent."""
    if campaign.state != CampaignState.PLANNING:
        return 0
    waiting = Campaign.objects.filter(state=CampaignState.PLANNING, scheduled_at__lt=campaign.scheduled_at)
    return waiting.count()


def _act(request: PortalRequest, uid: UUID, act: Callable[..., Campaign]) -> HttpResponse:
    campaign = get_object_for(request, Campaign, uid)
    try:
        act(campaign, actor=request.user)
    except TransitionRefusedError:
        messages.info(request, "Nothing changed: the campaign had moved on already.")
    except CampaignError as error:
        messages.error(request, str(error))
    else:
        poke_after_commit(settings.RELAYS)
    return redirect("campaign_progress", uid)


@require_POST
@portal_view(Right.SEND)
def pause(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Pause; a campaign that has not started becomes a draft again."""
    campaign = get_object_for(request, Campaign, uid)
    if campaign.state == CampaignState.SCHEDULED:
        return _act(request, uid, approve.take_back)
    return _act(request, uid, control.pause)


@require_POST
@portal_view(Right.SEND)
def resume(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Go on."""
    return _act(request, uid, control.resume)


@require_POST
@portal_view(Right.SEND)
def stop(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Stop for good."""
    return _act(request, uid, control.stop)
