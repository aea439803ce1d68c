"""The way to a first allowance: the task list and its forms."""

from __future__ import annotations

from dataclasses import dataclass

from allauth.account.models import EmailAddress
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import allowance, audit, policy, verification
from accounts.access import PortalRequest, Right, has_right, portal_view
from accounts.errors import AccountsError
from accounts.forms import BusinessForm, PracticeForm
from accounts.models import SendingDomain, Standing, Verification, VerificationState
from accounts.verification import Step
from accounts.views.domains import records_of


@dataclass(frozen=True)
class Task:
    """One line of the task list; `state` is done, now, open or wait."""

    number: int
    step: Step
    state: str


def tasks_of(gaps: list[Step], state: str | None) -> list[Task]:
    """Return the five tasks; the first open one is `now`, the review waits for the others."""
    tasks = []
    for number, step in enumerate(Step, start=1):
        if step is Step.REVIEW:
            status = _review_state(gaps, state)
        elif step not in gaps:
            status = "done"
        else:
            status = "now" if step is gaps[0] else "open"
        tasks.append(Task(number, step, status))
    return tasks


def _review_state(gaps: list[Step], state: str | None) -> str:
    if state in (VerificationState.APPROVED, VerificationState.SUBMITTED, VerificationState.QUESTIONS):
        return {"approved": "done", "submitted": "now", "questions": "questions"}[str(state)]
    if state == VerificationState.REFUSED:
        return "refused"
    return "wait" if gaps else "open"


@portal_view(Right.VIEW)
@require_GET
def verify(request: PortalRequest) -> HttpResponse:
    """Show the tasks, what staff said, and what works before approval."""
    review = verification.latest(request.org)
    gaps = verification.missing(request.org)
    tasks = tasks_of(gaps, review.state if review else None)
    domain = SendingDomain.objects.for_org(request.org).filter(removed_at=None).order_by("pk").first()
    context = {
        "review": review,
        "tasks": tasks,
        "done": sum(task.state == "done" for task in tasks),
        "domain": domain,
        "records": records_of(domain) if domain and Step.DOMAIN in gaps else [],
        "profile": verification.profile_of(request.org),
        "practice": verification.practice_of(request.org),
        "email": EmailAddress.objects.filter(user=request.user, verified=True, primary=True).first(),
        "may_own": has_right(request.membership, Right.OWN),
        "may_domains": has_right(request.membership, Right.DOMAINS),
        "next_allowance": _next_allowance(request, review),
        "first_allowance": policy.FIRST_ALLOWANCE,
        "review_days": policy.REVIEW_BUSINESS_DAYS,
        "check_minutes": policy.DOMAIN_CHECK_MINUTES,
    }
    return render(request, "accounts/verify.html", context)


def _next_allowance(request: PortalRequest, review: Verification | None) -> int | None:
    """Return the step an owner can ask for now, or None."""
    decided = review is not None and review.state in (VerificationState.APPROVED, VerificationState.REFUSED)
    if not decided or request.org.standing != Standing.GOOD or not has_right(request.membership, Right.OWN):
        return None
    wanted = allowance.next_step(request.org.daily_allowance)
    return wanted if wanted in policy.ALLOWANCE_CHOICES and wanted > request.org.daily_allowance else None


@portal_view(Right.OWN)
@require_http_methods(["GET", "POST"])
def verify_business(request: PortalRequest) -> HttpResponse:
    """Take the business profile."""
    profile = verification.profile_of(request.org)
    before = {name: getattr(profile, name, "") for name in sorted(verification.IDENTITY)}
    form = BusinessForm(request.POST or None, instance=profile)
    if request.method == "POST" and form.is_valid():
        form.instance.organization = request.org
        form.save()
        identity = {
            name: {"from": before[name], "to": getattr(form.instance, name)}
            for name in form.changed_data
            if profile is not None and name in verification.IDENTITY
        }
        _after(request, "profile.saved", form.changed_data, identity)
        if profile is not None and verification.look_again(request.org, form.changed_data, actor=request.user):
            messages.info(request, "Staff read changes of who you are once more. You can go on sending meanwhile.")
        return redirect("verify")
    return render(request, "accounts/verify_business.html", {"form": form})


@portal_view(Right.OWN)
@require_http_methods(["GET", "POST"])
def verify_practice(request: PortalRequest) -> HttpResponse:
    """Take the description of how addresses are collected."""
    practice = verification.practice_of(request.org)
    form = PracticeForm(request.POST or None, instance=practice)
    if request.method == "POST" and form.is_valid():
        form.instance.organization = request.org
        form.save()
        _after(request, "practice.saved", form.changed_data)
        return redirect("verify")
    return render(request, "accounts/verify_practice.html", {"form": form})


def _after(
    request: PortalRequest, action: str, changed: list[str], identity: dict[str, dict[str, str]] | None = None
) -> None:
    """Write down who changed which answers, who the sender was and is, and hand complete papers on."""
    subject, detail = (
        f"organization:{request.org.uid}",
        {"changed": changed, **({"identity": identity} if identity else {})},
    )
    audit.record(action, actor=request.user, organization=request.org, subject=subject, detail=detail)
    verification.advance(request.org)


@portal_view(Right.OWN)
@require_POST
def verify_submit(request: PortalRequest) -> HttpResponse:
    """Hand the papers to staff: after a question, after a refusal, or the first time by hand."""
    review = verification.latest(request.org)
    if review is None or review.state in (VerificationState.APPROVED, VerificationState.SUBMITTED):
        return redirect("verify")
    try:
        verification.submit(request.org, actor=request.user)
        messages.success(request, "Sent. A member of staff reads it next.")
    except AccountsError as error:
        messages.error(request, str(error))
    return redirect("verify")


@portal_view(Right.OWN)
@require_POST
def verify_more(request: PortalRequest) -> HttpResponse:
    """Ask staff for the next step of the allowance."""
    if request.org.standing != Standing.GOOD or verification.open_review(request.org) is not None:
        messages.error(request, "A request waits already, or your standing is not good at the moment.")
        return redirect("verify")
    wanted = allowance.next_step(request.org.daily_allowance)
    try:
        verification.ask_for_more(request.org, wanted, actor=request.user)
        messages.success(request, f"Sent. Staff read your request for {wanted:,} a day.")
    except AccountsError as error:
        messages.error(request, str(error))
    return redirect("verify")
