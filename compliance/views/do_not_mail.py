"""The do-not-mail list: counted, looked up by a full address, added to. Nobody on it is listed."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, HttpResponseForbidden, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts import audit
from accounts.access import PortalRequest, Right, has_right, portal_view
from compliance import brought_along, list_counts, suppression, suppression_export, tasks
from compliance.errors import ExportRefusedError, FileRefusedError, LiftRefusedError
from compliance.forms import FindAddressForm
from compliance.models import Suppression
from compliance.source_forms import OptoutsForm
from compliance.views import poke
from sendserver.lib.addresses import Address, BadAddress, parse
from sendserver.lib.ratelimit import allow

LOOKUPS_A_MINUTE = 60  # by person: enough for any phone call, too few to test a list


@portal_view(Right.VIEW)
@require_http_methods(["GET", "POST"])
def do_not_mail(request: PortalRequest) -> HttpResponse:
    """Show the counts; look up, add, or take back an own entry for one address."""
    form = FindAddressForm(request.POST or None)
    may_change = has_right(request.membership, Right.LISTS)
    may_export = has_right(request.membership, Right.OWN)
    context: dict[str, object] = {"may_change": may_change, "may_export": may_export, "form": form}
    context["bring"] = OptoutsForm()
    if request.method == "POST":
        if request.POST.get("action") in ("add", "lift") and not may_change:
            return HttpResponseForbidden()
        answer = _act(request, form)
        if isinstance(answer, HttpResponse):
            return answer
        context |= answer
    context["figures"] = figures = list_counts.of_do_not_mail(request.org)
    context["counts"] = sorted(figures.reasons.items(), key=lambda row: (-row[1], row[0]))
    if figures.waits:
        poke(tasks.count_people, request.org.pk)
    return render(request, "compliance/do_not_mail.html", context)


def _act(request: PortalRequest, form: FindAddressForm) -> HttpResponse | dict[str, object]:
    if not form.is_valid():
        return {}
    if not allow("do-not-mail", str(request.user.uid), limit=LOOKUPS_A_MINUTE, seconds=60):
        form.add_error(None, "That is a lot of look-ups. Wait a minute and try again.")
        return {}
    address = parse(form.cleaned_data["address"])
    if isinstance(address, BadAddress):
        form.add_error("address", "Enter a whole address like name@example.com")
        return {}
    action = request.POST.get("action")
    if action == "add":
        return _add(request, address)
    if action == "lift":
        return _lift(request, address, form)
    rows = suppression.find(request.org, address.key)
    own = any(row.reason == Suppression.Reason.OWNER and row.organization_id for row in rows)
    return {"looked_up": address.original, "rows": rows, "own": own}


def _add(request: PortalRequest, address: Address) -> HttpResponse:
    suppression.suppress(address.key, organization=request.org, reason=Suppression.Reason.OWNER, source="portal")
    audit.record(
        "suppression.added", actor=request.user, organization=request.org, subject=f"organization:{request.org.uid}"
    )
    messages.success(request, f"{address.original} is on the do-not-mail list from now on.")
    return redirect("do_not_mail")


def _lift(request: PortalRequest, address: Address, form: FindAddressForm) -> HttpResponse | dict[str, object]:
    """Take back what the sender itself added; everything else belongs to the person who said stop."""
    try:
        for row in suppression.find(request.org, address.key):
            if row.reason == Suppression.Reason.OWNER and row.organization_id == request.org.pk:
                suppression.lift(row, reason="Taken back by the sender who added it", actor=request.user)
    except LiftRefusedError as error:
        form.add_error(None, str(error))
        return {}
    messages.success(request, f"Your own entry for {address.original} is taken back.")
    return redirect("do_not_mail")


@portal_view(Right.LISTS)
@require_POST
def do_not_mail_bring(request: PortalRequest) -> HttpResponse:
    """Take a file of people who said no at a previous tool."""
    form = OptoutsForm(request.POST, request.FILES)
    if not form.is_valid():
        messages.error(request, "Choose a file with the addresses first.")
        return redirect("do_not_mail")
    try:
        found = brought_along.bring(request.org, form.cleaned_data["optouts_file"].chunks(), actor=request.user)
    except FileRefusedError as error:
        messages.error(request, str(error))
        return redirect("do_not_mail")
    wrong = f" {found.wrong:,} rows had none." if found.wrong else ""
    messages.success(request, f"{found.taken:,} addresses of the file are on the do-not-mail list.{wrong}")
    return redirect("do_not_mail")


@portal_view(Right.OWN)
@require_POST
def do_not_mail_export(request: PortalRequest) -> HttpResponse | StreamingHttpResponse:
    """Give an owner the fingerprints of the own entries as a file, with a reason that is kept."""
    reason = request.POST.get("needed_for", "").replace("\x00", "")[:500]
    try:
        lines = suppression_export.export(request.org, actor=request.user, reason=reason)
    except ExportRefusedError as error:
        messages.error(request, str(error))
        return redirect("do_not_mail")
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="do-not-mail.csv"'
    response["Cache-Control"] = "no-store"
    return response
