"""The page that asks for the documents in their newest version, and shows what was accepted before."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import documents
from accounts.access import Right, has_right
from accounts.forms import AgreeForm
from accounts.models import Membership, TermsAcceptance, User

SHOWN = 50  # acceptances, newest first


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest) -> HttpResponse:
    """Show what is missing and take the yes; without anything missing, show what was accepted."""
    user, member = cast(User, request.user), _member(request)
    organization, owner = member.organization if member else None, has_right(member, Right.OWN)
    missing = documents.missing(user, organization, owner=owner)
    form = AgreeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and missing and form.is_valid():
        documents.accept_missing(user, organization, owner=owner)
        messages.success(request, "Thank you. It is written down with the version and the time.")
        return redirect(_target(request))
    context = {"form": form, "missing": missing, "owner": owner, "next": _target(request), "accepted": _accepted(user)}
    return render(request, "accounts/documents.html", context)


def _member(request: Any) -> Membership | None:
    return request.membership or None  # the middleware's lazy object: its truth, not its presence


def _accepted(user: User) -> list[TermsAcceptance]:
    mine = TermsAcceptance.objects.filter(user=user).select_related("organization")
    return list(mine.order_by("-accepted_at", "-pk")[:SHOWN])


def _target(request: HttpRequest) -> str:
    target = request.POST.get("next") or request.GET.get("next", "")
    return target if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}) else "/portal/"
