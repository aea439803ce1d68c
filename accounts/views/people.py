"""A person's own pages: settings, own data, the audit log, the second factor."""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import audit, ownership, renaming, verification
from accounts.access import PortalRequest, Right, has_right, has_second_factor, portal_view, second_factor_url
from accounts.forms import SettingsForm
from accounts.models import AuditEntry, Membership, Organization, User

AUDIT_PAGE = 50
SUBJECT_PAGES = {"campaign": "campaign_progress", "import": "import_detail", "list": "list_detail"}
AFTER_ENROLMENT = "after_enrolment"  # session: where to go once a second factor is set up


@portal_view(Right.VIEW, before_terms=True)
@require_http_methods(["GET", "POST"])
def settings(request: PortalRequest) -> HttpResponse:
    """Show and take a person's settings; owners change the organization's name and zone here too."""
    owner = has_right(request.membership, Right.OWN)
    form = SettingsForm(request.POST or None, initial=_initial(request), owner=owner)
    if request.method == "POST" and form.is_valid():
        _save(request, form.cleaned_data, owner=owner)
        messages.success(request, "Saved.")
        return redirect("settings")
    return render(request, "accounts/settings.html", {"form": form, "owner": owner})


def _initial(request: PortalRequest) -> dict[str, Any]:
    return {
        "name": request.user.name,
        "time_zone": request.user.time_zone,
        "notify_urgent": request.membership.notify_urgent,
        "notify_digest": request.membership.notify_digest,
        "organization": request.org.wanted_name or request.org.name,
        "organization_zone": request.org.time_zone,
    }


def _save(request: PortalRequest, data: dict[str, Any], *, owner: bool) -> None:
    with transaction.atomic():
        User.objects.filter(pk=request.user.pk).update(name=data["name"], time_zone=data["time_zone"])
        notify = {name: data[name] for name in ("notify_urgent", "notify_digest")}
        Membership.objects.filter(pk=request.membership.pk).update(**notify)
        if owner:
            _save_organization(request, data["organization"], data["organization_zone"])


def _save_organization(request: PortalRequest, name: str, zone: str) -> None:
    """Take zone and name of the organization; a verified sender's new name goes to staff first."""
    organization = request.org
    if zone != organization.time_zone:
        Organization.objects.filter(pk=organization.pk).update(time_zone=zone)
        audit.record(
            "organization.zone_changed",
            actor=request.user,
            organization=organization,
            subject=f"organization:{organization.uid}",
            detail={"from": organization.time_zone, "to": zone},
        )
    before = organization.wanted_name
    if renaming.set_name(organization, name, actor=request.user) and organization.wanted_name != before:
        verification.look_again(organization, {"name"}, actor=request.user)
        messages.info(request, f"Staff read the new name first. Until then your messages say {organization.name}.")


@portal_view(Right.VIEW, before_terms=True)
@require_POST
def own_data(request: PortalRequest) -> HttpResponseBase:
    """Stream what we keep about the person and, for an owner, the organization, as a ZIP of JSON files."""
    if not did_recently_reauthenticate(request):
        return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': reverse('settings')})}")
    organization = request.org if has_right(request.membership, Right.OWN) else None
    subject = f"user:{request.user.uid}"
    audit.record("data.exported", actor=request.user, organization=request.org, subject=subject)
    response = StreamingHttpResponse(ownership.archive(request.user, organization), content_type="application/zip")
    response["Content-Disposition"] = 'attachment; filename="sendserver-data.zip"'
    return response


@portal_view(Right.TEAM)
@require_GET
def audit_log(request: PortalRequest) -> HttpResponse:
    """Show who did what in this organization, newest first."""
    rows = AuditEntry.objects.filter(organization=request.org).order_by("-pk")
    page = Paginator(rows, AUDIT_PAGE).get_page(request.GET.get("page"))
    names = _names([row.actor_uid for row in page])
    for row in page:
        row.who = names.get(row.actor_uid, "Staff" if row.actor_uid else "The system")  # type: ignore[attr-defined]
        row.about, row.page = _about(row.subject)  # type: ignore[attr-defined]
    return render(request, "accounts/audit.html", {"page_obj": page})


def _about(subject: str) -> tuple[str, str]:
    """Return a subject by its kind and the start of its id, and its page where it has one."""
    kind, _, uid = subject.partition(":")
    page = reverse(SUBJECT_PAGES[kind], args=[uid]) if kind in SUBJECT_PAGES and uid else ""
    return f"{kind.replace('_', ' ')} {uid[:8]}", page


def _names(uids: list[Any]) -> dict[Any, str]:
    """Return names of actors; staff are not named to customers."""
    rows = User.objects.filter(uid__in=[uid for uid in uids if uid], is_staff=False)
    return {user.uid: str(user) for user in rows}


@never_cache
@login_required
@require_GET
def second_factor(request: HttpRequest) -> HttpResponse:
    """Go to where the second factor is asked for, or offer to set one up; then on to `next`."""
    user: Any = request.user
    target = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        target = "/portal/"
    if has_second_factor(user):
        request.session.pop(AFTER_ENROLMENT, None)
        return redirect(f"{reverse('mfa_reauthenticate')}?{urlencode({'next': target})}")
    request.session[AFTER_ENROLMENT] = target
    return render(request, "accounts/second_factor.html", {"next": target})


@never_cache
def staff_door(request: HttpRequest) -> HttpResponse:
    """Stand where the staff area sends people it does not let in: sign in, set up a second factor, or go back.

    Answers every method with a redirect and changes nothing.
    """
    user = request.user
    target = reverse("admin:index")
    if not user.is_authenticated:
        return redirect(f"{reverse('account_login')}?{urlencode({'next': request.GET.get('next') or target})}")
    if not user.is_staff:
        messages.info(request, "The staff area is for our staff.")
        return redirect("portal_home")
    return redirect(target if has_second_factor(user) else second_factor_url(request, target))
