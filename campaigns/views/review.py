"""Check and send: the message, who gets it and who does not, when, and the approval."""

from __future__ import annotations

import csv
import uuid
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view
from campaigns import audience, headcount, narrowing
from campaigns.approve import OrderRefusedError, approve
from campaigns.compose import StaleDraftError
from campaigns.forms import ApproveForm
from campaigns.models import Campaign, CampaignState
from campaigns.proposals import propose
from campaigns.sending.poke import poke_planner
from compliance import gate, policy, tasks
from compliance.countries import NAMES, STRICT
from compliance.views import poke
from sendserver.lib import clock

FORMULA = ("=", "+", "-", "@", "\t", "\r")


@portal_view(Right.VIEW)
def review(request: PortalRequest, uid: UUID) -> HttpResponseBase:
    """Show what will happen, or take the order."""
    campaign = get_object_for(request, Campaign, uid)
    if request.method == "POST":
        return send(request, uid)
    if campaign.state != CampaignState.DRAFT:
        return redirect("campaign_progress", uid)
    if request.GET.get("as") == "csv":
        return _left_out_file(campaign)
    return _page(request, campaign)


@portal_view(Right.SEND)
def send(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Take the order; a second press of the same button leads to the same page and sends nothing twice."""
    campaign = get_object_for(request, Campaign, uid)
    form = ApproveForm(request.POST, zone=request.org.time_zone)
    if not form.is_valid():
        return _page(request, campaign, form, status=422)
    try:
        done = approve(campaign, form.order(), actor=request.user)
    except OrderRefusedError as error:
        form.add_error(error.field, error.text)
        return _page(request, campaign, form, status=422)
    except StaleDraftError as error:
        messages.warning(request, str(error))
        return redirect("campaign_review" if campaign.state == CampaignState.DRAFT else "campaign_progress", uid)
    if not done.accepted:
        return _page(request, campaign, form, status=422)
    transaction.on_commit(poke_planner)
    return redirect("campaign_progress", uid)


def _form(request: PortalRequest, campaign: Campaign, people: gate.AudienceFacts) -> ApproveForm:
    initial = {
        "key": uuid.uuid4(),
        "version": campaign.version,
        "segment": narrowing.digest(narrowing.chosen(campaign)),
        "counted": headcount.mark(people),
        "when": "now",
    }
    return ApproveForm(initial=initial, zone=request.org.time_zone)


def _page(
    request: PortalRequest, campaign: Campaign, form: ApproveForm | None = None, *, status: int = 200
) -> HttpResponse:
    proposal = propose(campaign, for_page=True)
    answer = gate.judge(proposal)
    people = proposal.audience
    if people.waits:
        poke(tasks.count_people, campaign.organization_id)
    form = form or _form(request, campaign, people)
    passed = [check for check in answer.checks if check.ok]
    context = {
        "campaign": campaign,
        "form": form.for_page(),
        "proposal": proposal,
        "audience": people,
        "ready": headcount.is_recent(people),
        "answer": answer,
        "blocked": answer.decision == gate.BLOCK,
        "held": answer.decision == gate.HOLD,
        "passed": passed[:6],
        "more_passed": passed[6:],
        "open_checks": answer.open_checks,
        "left_out": people.total - people.mailable,
        "countries": _countries(proposal),
        "all_reasons": _joined([(label, count) for _, label, count in people.left_out]),
        "list_names": ", ".join(one.name for one in proposal.lists),
        "must_type": people.mailable > policy.TYPED_COUNT_ABOVE,
        "typed_above": policy.TYPED_COUNT_ABOVE,
        "used": proposal.sender.allowance - proposal.sender.allowance_left,
        "may_send": has_right(request.membership, Right.SEND),
        "now": clock.now(),
        "answers": _answers(proposal),
        "fingerprint": " ".join(proposal.content_sha256.hex()[at : at + 4] for at in range(0, 16, 4)),
        "bounce_limit": 100 * policy.HB_PAUSE,
        "today": timezone.localdate(),
    }
    return render(request, "campaigns/review.html", context, status=status)


def _answers(proposal: gate.Proposal) -> list[tuple[str, str, str]]:
    """Return the rows of "check answers": name, value, whether it can be changed in the editor."""
    hosts = sorted({link.url.split("/")[2] for link in proposal.links if link.url.startswith(("http://", "https://"))})
    links = f"{len(proposal.links)}, to {', '.join(hosts)}. Counted per link, not per person" if hosts else "none"
    who = ", ".join(part for part in (proposal.identity.legal_name, proposal.identity.postal_line) if part)
    return [
        *([("Only those in", _segment(proposal.segment), "edit")] if proposal.segment else []),
        ("From", f"{proposal.from_.display_name} <{proposal.from_.address}>", "edit"),
        ("Subject", proposal.subject, "edit"),
        ("Preview line", proposal.preheader or "none", "edit"),
        ("Replies go to", proposal.from_.reply_to or proposal.from_.address, "edit"),
        ("Links", links, "edit"),
        ("Sender shown", who, ""),
        ("Way out", "One step, in the text and in the header", ""),
    ]


def _segment(segment: gate.SegmentFacts) -> str:
    return f"{segment.name}: {'; '.join(segment.lines)}"


def _countries(proposal: gate.Proposal) -> list[dict[str, Any]]:
    reasons: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for country, words, left in proposal.audience.left_by_country:
        reasons[country].append((words, left))
    return [
        {
            "name": NAMES.get(country, country) if country else "Unknown",
            "law": law(country),
            "total": got + left,
            "got": got,
            "left": left,
            "why": _joined(reasons.get(country, [])),
        }
        for country, got, left in proposal.audience.by_country
    ]


def law(country: str) -> str:
    """Return in few words what the law of a country asks for (rules 1.11 with decision 9.1)."""
    if not country:
        return "As Germany"
    if country in STRICT:
        return "Sign-up confirmed by link"
    if country == "FR":
        return f"Consent, contact within {policy.FR_LAST_CONTACT_MONTHS} months"
    return "Consent"


def _joined(reasons: list[tuple[str, int]]) -> str:
    return ", ".join(f"{count:,} {label[:1].lower()}{label[1:]}" for label, count in reasons)


class _Echo:
    def write(self, value: str) -> str:
        return value


def _left_out_file(campaign: Campaign) -> StreamingHttpResponse:
    """Return who is left out as CSV; a cell that a spreadsheet would run begins with an apostrophe."""
    writer = csv.writer(_Echo())

    def rows() -> Iterator[str]:
        yield writer.writerow(["address", "country", "reason"])
        only = narrowing.where(campaign)
        for one in audience.left_out(campaign.organization_id, list(campaign.lists.all()), only):
            yield writer.writerow([_safe(one.address), one.country, one.words])

    response = StreamingHttpResponse(rows(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="left-out-{campaign.uid}.csv"'
    return response


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell
