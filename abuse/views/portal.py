"""The customer's side: where it stands, complaints to answer, appeals. Never shows who complained."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from abuse import appeals, cases, references
from abuse.customer import case_page, standing_page
from abuse.errors import AbuseError
from abuse.forms import AnswerForm, AppealForm
from abuse.models import Appeal, AppealFile, Case, Decision
from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view


@portal_view(Right.VIEW, before_terms=True)
@require_GET
def standing(request: PortalRequest) -> HttpResponse:
    """Show standing, limits, figures, decisions and what can be done."""
    return _standing(request, AppealForm())


def _standing(request: PortalRequest, form: AppealForm, status: int = 200) -> HttpResponse:
    context = standing_page(request.org)
    may_act = has_right(request.membership, Right.SEND)
    return render(request, "abuse/standing.html", {**context, "form": form, "may_act": may_act}, status=status)


@portal_view(Right.SEND, before_terms=True)
@require_POST
def appeal(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Take an appeal in."""
    decision = get_object_for(request, Decision, uid)
    form = AppealForm(request.POST, request.FILES)
    if not form.is_valid():
        return _standing(request, form, status=422)
    data = form.cleaned_data
    try:
        made = appeals.make(
            decision, user=request.user, ground=data["ground"], text=data["text"], files=data["attached"]
        )
    except AbuseError as error:
        form.add_error(None, str(error))
        return _standing(request, form, status=409)
    messages.success(
        request,
        f"We have your appeal. Someone who did not decide reads it, at the latest on {made.promised_until:%d %B %Y}.",
    )
    return redirect("standing")


@portal_view(Right.SEND, before_terms=True)
@require_GET
def appeal_file(request: PortalRequest, uid: UUID, pk: int) -> HttpResponse:
    """Give a file of an own appeal back."""
    made = get_object_for(request, Appeal, uid)
    return appeals.download(get_object_or_404(AppealFile, pk=pk, appeal=made))


@portal_view(Right.VIEW)
@require_http_methods(["GET", "HEAD", "POST"])
def case(request: PortalRequest, reference: str) -> HttpResponse:
    """Show a complaint to answer, or take the answer in."""
    found = _case(request, reference)
    if request.method != "POST":
        return _case_page(request, found, AnswerForm())
    if not has_right(request.membership, Right.SEND):
        raise PermissionDenied
    form = AnswerForm(request.POST)
    if not form.is_valid():
        return _case_page(request, found, form, status=422)
    try:
        cases.answer(found, request.user, form.cleaned_data["text"])
    except AbuseError as error:
        form.add_error(None, str(error))
        return _case_page(request, found, form, status=409)
    messages.success(request, "We have your answer. A person reads it.")
    return redirect("abuse_case", found.reference)


def _case(request: PortalRequest, reference: str) -> Case:
    clean = references.clean(reference)
    if not clean:
        raise Http404
    return get_object_or_404(Case.objects.for_org(request.org), reference=clean)


def _case_page(request: PortalRequest, found: Case, form: AnswerForm, status: int = 200) -> HttpResponse:
    may_act = has_right(request.membership, Right.SEND)
    return render(request, "abuse/case.html", {**case_page(found), "form": form, "may_act": may_act}, status=status)
