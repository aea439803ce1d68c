"""The editor: saves by itself, shows checks and a preview, works as a plain form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST, require_safe

from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view
from campaigns import audience, compose, narrowing, sealed
from campaigns.content import merge
from campaigns.content.compile import compile_message
from campaigns.errors import CampaignError, ContentError, RenderError
from campaigns.forms import DraftForm
from campaigns.models import Campaign, CampaignState
from campaigns.proposals import draft_urls, example_values, propose
from campaigns.sending.trial import send_trial
from compliance import gate, policy, tasks
from compliance.models import Contact
from compliance.views import poke
from sendserver.lib import ratelimit

PICKER_SIZE = 12
MODES = (("html", "Desktop"), ("phone", "Phone"), ("text", "Text"))


@portal_view(Right.VIEW)
def edit(request: PortalRequest, uid: UUID) -> HttpResponseBase:
    """Show the draft, or save it; who may only look sees it too."""
    campaign = get_object_for(request, Campaign, uid)
    if campaign.state != CampaignState.DRAFT:
        return redirect("campaign_progress", campaign.uid)
    if request.method == "POST":
        return save(request, uid)
    return _page(request, campaign, DraftForm.of(campaign))


@portal_view(Right.WRITE)
def save(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Save what was typed; answers htmx with the saved line and the new version."""
    campaign = get_object_for(request, Campaign, uid)
    form = DraftForm(_with_fix(request), organization=request.org, segment=campaign.segment)
    if not form.is_valid():
        return _not_saved(request, campaign, form)
    try:
        compose.save_draft(campaign, form.changes(), version=form.cleaned_data["version"])
    except compose.StaleDraftError as error:
        form.add_error(None, str(error))
        return _not_saved(request, campaign, form)
    campaign.refresh_from_db()
    if request.headers.get("HX-Request"):
        response = render(request, "campaigns/_saved.html", {"campaign": campaign, "oob": True})
        response["HX-Trigger"] = "draft-saved"
        return response
    if "review" in request.POST:
        return redirect("campaign_review", uid)
    messages.success(request, "Saved.")
    return redirect("campaign_edit", uid)


def _with_fix(request: PortalRequest) -> Any:
    """Return the typed values; the button "Use “there”" gives a field its words to use instead."""
    data = request.POST.copy()
    field = audience.field_name(data.get("fix", ""))
    if field:
        words = "there" if field == "first_name" else "you"
        bare = re.compile(r"\{\{-?\s*" + field + r"\s*-?\}\}")
        for name in ("subject", "body", "preheader"):
            data[name] = bare.sub(f'{{{{ {field} | default: "{words}" }}}}', data.get(name, ""))
    return data


def _not_saved(request: PortalRequest, campaign: Campaign, form: DraftForm) -> HttpResponse:
    if request.headers.get("HX-Request"):
        errors = [text for texts in form.errors.values() for text in texts]
        return render(request, "campaigns/_saved.html", {"campaign": campaign, "errors": errors})
    return _page(request, campaign, form, status=422)


def _page(request: PortalRequest, campaign: Campaign, form: DraftForm, *, status: int = 200) -> HttpResponse:
    mode = request.GET.get("as", "html")
    people = audience.samples(
        campaign.organization_id, list(campaign.lists.all()), PICKER_SIZE, narrowing.where(campaign)
    )
    context = {
        "campaign": campaign,
        "form": form.for_page(),
        "people": people,
        "chosen": request.GET.get("contact", ""),
        "mode": mode if mode in dict(MODES) else "html",
        "modes": MODES,
        "pictures": _wants_pictures(request),
        "fields": sorted(audience.available_fields(list(campaign.lists.all()))),
        "may_write": has_right(request.membership, Right.WRITE),
        **_checks(campaign),
        **_head(campaign, _values(request, campaign, people)),
    }
    return render(request, "campaigns/edit.html", context, status=status)


def _checks(campaign: Campaign) -> dict[str, Any]:
    proposal = propose(campaign, for_page=True)
    if proposal.audience.waits:
        poke(tasks.count_people, campaign.organization_id)
    answer = gate.judge(proposal)
    passed = [check for check in answer.checks if check.ok]
    counts = answer.counts()
    counting = sum(1 for check in answer.checks if check.evidence.get("counting"))
    return {
        "answer": answer,
        "counting": counting,
        "to_fix": counts[gate.BLOCK] - counting,
        "to_hold": counts[gate.HOLD],
        "advice": counts[gate.WARN],
        "passed": passed[:4],
        "more_passed": passed[4:],
        "audience": proposal.audience,
        "left_out": proposal.audience.total - proposal.audience.mailable,
    }


@require_safe
@portal_view(Right.VIEW)
def checks(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show the checks panel, judged on the saved draft."""
    campaign = get_object_for(request, Campaign, uid)
    context = {"campaign": campaign, "oob": True, "may_write": has_right(request.membership, Right.WRITE)}
    values = _values(request, campaign)
    return render(request, "campaigns/_checks.html", {**context, **_checks(campaign), **_head(campaign, values)})


@require_safe
@portal_view(Right.VIEW)
def preview(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show the message as one contact would get it, fenced in: no scripts, no forms, nothing asked of the web.

    `?pictures=web`, which the button in the editor adds, shows its pictures; they come from their keepers.
    """
    campaign = get_object_for(request, Campaign, uid)
    values = _values(request, campaign)
    try:
        message = compile_message(compose.content_of(campaign)[0])
        text = message.text(values) if request.GET.get("as") == "text" else message.html(values)
    except ContentError as error:
        text = _notice(request, *error.problems)
    except RenderError as error:
        text = _notice(request, f"{error.field}: {error.reason}. Add words to use instead.")
    if request.GET.get("as") == "text":
        return sealed.plain(text)
    return sealed.respond(text, pictures=_wants_pictures(request))


def _wants_pictures(request: PortalRequest) -> bool:
    return request.GET.get("pictures") == sealed.ASKED


def _notice(request: PortalRequest, *problems: str) -> str:
    return str(render_to_string("campaigns/preview_problem.html", {"problems": problems}, request))


def _values(request: PortalRequest, campaign: Campaign, known: Sequence[Contact] | None = None) -> dict[str, str]:
    """Return the merge values of the chosen contact, of the first one (of the `known` samples), or made-up ones."""
    chosen = request.GET.get("contact", "")
    if chosen:
        try:
            person = Contact.objects.for_org(request.org).filter(uid=UUID(chosen)).first()
        except ValueError as error:
            raise Http404 from error
        if person is None:
            raise Http404
        return {**audience.values_of(person), **draft_urls()}
    first = known
    if first is None:
        first = audience.samples(campaign.organization_id, list(campaign.lists.all()), 1, narrowing.where(campaign))
    return {**(audience.values_of(first[0]) if first else example_values(campaign)), **draft_urls()}


def _head(campaign: Campaign, values: dict[str, str]) -> dict[str, str]:
    """Return subject and preview line as the chosen contact would see them."""
    shown: dict[str, str] = {}
    fields = audience.available_fields(list(campaign.lists.all()))
    for name in ("subject", "preheader"):
        source = getattr(campaign, name)
        try:
            program = merge.rename(merge.parse(source, frozenset(fields)), fields)
            shown[f"shown_{name}"] = merge.render(program, values)
        except (ContentError, RenderError):
            shown[f"shown_{name}"] = source
    return shown


@require_POST
@portal_view(Right.WRITE)
def test(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Send the draft to the person's own confirmed address; allowed before verification."""
    campaign = get_object_for(request, Campaign, uid)
    limit = policy.TEST_SENDS_PER_H
    if not ratelimit.allow("test-send", str(request.user.uid), limit=limit, seconds=3600):
        messages.error(request, f"That was the {limit}th test within an hour. Wait a little.")
        return redirect("campaign_edit", uid)
    try:
        send_trial(campaign, request.user)
    except ContentError as error:
        messages.error(request, f"Not sent. {error.problems[0]}")
    except RenderError as error:
        messages.error(request, f"Not sent. {error.field}: {error.reason}.")
    except CampaignError as error:
        messages.error(request, f"Not sent. {error}")
    else:
        messages.success(request, f"A test is on its way to {request.user.email}.")
    return redirect("campaign_edit", uid)


def _own_values(request: PortalRequest, campaign: Campaign) -> dict[str, str]:
    """Return made-up values with the person's own name in them."""
    first, _, last = request.user.name.partition(" ")
    own = {"first_name": first or "there", "last_name": last, "email": request.user.email}
    return {**example_values(campaign), **own}
