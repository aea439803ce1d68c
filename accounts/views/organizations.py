"""Organizations of a person: new, switch, the address that names one, close."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import Resolver404, resolve
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import documents, organizations, policy
from accounts.access import PortalRequest, Right, portal_view
from accounts.forms import CloseForm, OrganizationForm
from accounts.middleware import SESSION_KEY
from accounts.models import Membership, User
from sendserver.lib import ratelimit


@login_required
@require_http_methods(["GET", "POST"])
def org_new(request: HttpRequest) -> HttpResponse:
    """Found an organization and work in it from now on."""
    form = OrganizationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = cast(User, request.user)
        limit, seconds = policy.ORGANIZATIONS_PER_PERSON
        if not ratelimit.allow("org-new", str(user.uid), limit=limit, seconds=seconds):
            form.add_error(None, "You made several organizations today. Try again tomorrow.")
            return render(request, "accounts/org_new.html", {"form": form})
        with transaction.atomic():
            organization = organizations.found(form.cleaned_data["name"], user, time_zone=user.time_zone)
            documents.accept(user, organization)
        request.session[SESSION_KEY] = str(organization.uid)
        return redirect("verify")
    return render(request, "accounts/org_new.html", {"form": form})


@login_required
@require_POST
def org_switch(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Work in another organization, on the same page where that page exists there too."""
    _choose(request, uid)
    return redirect(_same_page(request.headers.get("Referer", "")))


@login_required
@require_GET
def org_page(request: HttpRequest, uid: UUID, path: str) -> HttpResponse:
    """Open a portal page in the organization that the address names."""
    _choose(request, uid)
    return redirect(f"/portal/{path}")


def _choose(request: HttpRequest, uid: UUID) -> None:
    """Keep the choice in the session; somebody else's organization is not found."""
    mine = Membership.objects.filter(user=cast(Any, request.user), organization__closed_at=None)
    get_object_or_404(mine, organization__uid=uid)
    request.session[SESSION_KEY] = str(uid)


def _same_page(referer: str) -> str:
    """Return the page's path when it names no object of the other organization, else the overview."""
    try:
        parts = urlsplit(referer)
    except ValueError:
        return "/portal/"
    own = f"{parts.scheme}://{parts.netloc}" == settings.BASE_URL
    if not own or not parts.path.startswith("/portal/"):
        return "/portal/"
    try:
        match = resolve(parts.path)
    except Resolver404:
        return "/portal/"
    return "/portal/" if match.kwargs or match.args else parts.path


@portal_view(Right.OWN, before_terms=True)
@require_http_methods(["GET", "POST"])
def org_close(request: PortalRequest) -> HttpResponse:
    """Close the organization after its name was typed."""
    form = CloseForm(request.POST or None, name=request.org.name)
    if request.method == "POST" and form.is_valid():
        organizations.close(request.org, actor=request.user, reason="closed by its owner")
        request.session.pop(SESSION_KEY, None)
        messages.success(request, f"{request.org.name} is closed. Unsubscribe links keep working.")
        return redirect("portal_home")
    return render(request, "accounts/org_close.html", {"form": form})
