"""Public pages: report, header check, thanks, status, look-up. No account, no session; GET changes nothing."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from abuse import cases, intake, matching, notices, references
from abuse import transparency as figures
from abuse.errors import TooManyReportsError
from abuse.finding import Found, describe
from abuse.forms import FindForm, NoteForm, ReportForm
from abuse.matching import Match
from abuse.models import Complaint, ComplaintSource
from abuse.status import status_page
from compliance import policy
from sendserver.lib.clientip import client_ip, prefix
from sendserver.lib.ratelimit import allow

HOUR = 3600  # seconds
NOT_FOUND = "We know no report with this reference and key. Check both, or use the private link you got."


@require_safe
@cache_control(max_age=600, public=True)
def transparency(request: HttpRequest) -> HttpResponse:
    """Publish what the desk did, from rows that a beat counted."""
    return render(request, "abuse/transparency.html", figures.page())


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def report(request: HttpRequest) -> HttpResponse:
    """Show the form, or take a report in. The link in a mail brings its token along as `t`."""
    if request.method != "POST":
        token = request.GET.get("t", "")[:64]
        form = ReportForm(initial={"token": token, "kind": Complaint.Kind.UNWANTED, "share": "no"})
        return _form_page(request, form, describe(matching.match_token(token)) if token else None)
    form = ReportForm(request.POST, request.FILES)
    if not form.is_valid():
        return _form_page(request, form, status=422)
    try:
        intake.check_limits(_network(request), form.cleaned_data["email"])
    except TooManyReportsError as error:
        form.add_error(None, str(error))
        return _form_page(request, form, status=429)
    complaint = _receive(request, form)
    query = urlencode({"r": complaint.reference, "k": references.key_of(complaint)})
    return redirect(f"{reverse('abuse_thanks')}?{query}")


def _receive(request: HttpRequest, form: ReportForm) -> Complaint:
    data = form.cleaned_data
    match = _match(data["token"], form.source())
    by_link = bool(data["token"]) and match.is_proven
    complaint = intake.receive(
        intake.Report(
            kind=data["kind"],
            source=ComplaintSource.LINK if by_link else ComplaintSource.FORM,
            match=match,
            text=data["text"],
            raw=form.source(),
            reporter_email=data["email"],
            share_identity=data["share"] == "yes",
            never_platform=data["never_platform"],
            network=_network(request),
        )
    )
    notices.acknowledge(complaint, match.delivery.address if match.delivery else "")
    return complaint


def _match(token: str, source: bytes) -> Match:
    """Return the stronger of both: a pasted source also tells whether the message was altered."""
    by_source = matching.match_source(source) if source.strip() else Match(Complaint.Grade.X)
    if by_source.is_proven or not token:
        return by_source
    by_token = matching.match_token(token)
    return by_token if by_token.is_proven else by_source


@require_POST
def inspect(request: HttpRequest) -> HttpResponse:
    """Say whether we sent the pasted message; stores nothing."""
    if not allow("abuse-inspect", _network(request), limit=policy.INSPECTIONS_PER_NETWORK, seconds=HOUR):
        return HttpResponse("Too many checks from your network. Try again in an hour.", status=429)
    raw = request.POST.get("raw", "")
    upload = request.FILES.get("eml")
    source = upload.read(matching.MAX_BYTES) if upload else raw.encode()[: matching.MAX_BYTES]
    found = describe(_match(request.POST.get("token", "")[:64], source)) if source.strip() else None
    if request.headers.get("HX-Request"):
        return render(request, "abuse/found.html", {"found": found})
    form = ReportForm(initial=dict(request.POST.items()))
    return _form_page(request, form, found)


@require_GET
@never_cache
def thanks(request: HttpRequest) -> HttpResponse:
    """Show the reference after a report."""
    complaint = references.find_report(request.GET.get("r", ""), request.GET.get("k", ""))
    if complaint is None:
        return redirect("abuse_find")
    context = {"complaint": complaint, "status_url": notices.status_url(complaint), "policy": policy}
    return render(request, "abuse/thanks.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def status(request: HttpRequest, reference: str) -> HttpResponse:
    """Show where a report stands, or take a note; wrong key and unknown reference give the same page."""
    key = request.GET.get("k", "")
    complaint = references.find_report(reference, key) if _may_look(request) else None
    if complaint is None:
        return _find_page(request, FindForm(initial={"reference": reference[:20]}), NOT_FOUND, status=404)
    if request.method == "POST":
        form = NoteForm(request.POST)
        if "withdraw" in request.POST:
            cases.withdraw(complaint)
        elif form.is_valid():
            cases.reporter_note(complaint, form.cleaned_data["text"])
        else:
            return render(request, "abuse/status.html", status_page(complaint, form), status=422)
        return redirect(notices.status_url(complaint))
    return render(request, "abuse/status.html", status_page(complaint, NoteForm()))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def find(request: HttpRequest) -> HttpResponse:
    """Look a report up by reference and key."""
    if request.method != "POST":
        return _find_page(request, FindForm())
    form = FindForm(request.POST)
    if not form.is_valid():
        return _find_page(request, form, status=422)
    data = form.cleaned_data
    complaint = references.find_report(data["reference"], data["key"]) if _may_look(request) else None
    if complaint is None:
        return _find_page(request, form, NOT_FOUND, status=404)
    return redirect(notices.status_url(complaint))


def _may_look(request: HttpRequest) -> bool:
    return allow("abuse-lookup", _network(request), limit=policy.LOOKUPS_PER_NETWORK, seconds=HOUR)


def _network(request: HttpRequest) -> str:
    return prefix(client_ip(request))


def _form_page(request: HttpRequest, form: ReportForm, found: Found | None = None, status: int = 200) -> HttpResponse:
    context = {"form": form, "found": found, "policy": policy}
    return render(request, "abuse/report.html", context, status=status)


def _find_page(request: HttpRequest, form: FindForm, problem: str = "", status: int = 200) -> HttpResponse:
    return render(request, "abuse/find.html", {"form": form, "problem": problem}, status=status)
