"""Sign-up forms: the page that shows and changes a list's form, and the public pages of request and confirmation.

The request's page looks at no session, so a POST from a customer's own site is welcome and needs no CSRF token: it can
do nothing that a visitor could not do on our page.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts.access import PortalRequest, Right, get_object_for, portal_view
from compliance import policy, signups, tracking_consent
from compliance.errors import PersonRefusedError
from compliance.models import ContactList, SignupForm
from sendserver.lib.clientip import client_ip, prefix


class SettingsForm(forms.ModelForm):
    """What visitors read, and whether the form is open."""

    class Meta:
        model = SignupForm
        fields = ("title", "wording", "asks_names", "asks_tracking", "is_open")
        labels = {
            "title": "Name of what they get",
            "wording": "What they agree to",
            "asks_names": "Ask for first and last name too; nobody has to give them",
            "asks_tracking": "Ask, by an empty box of its own, whether opens and clicks may be counted",
            "is_open": "Open for sign-ups",
        }
        help_texts = {"wording": "Who writes, about what, how often. Kept with each sign-up."}
        widgets = {"wording": forms.Textarea({"rows": 3})}


@portal_view(Right.LISTS)
@require_http_methods(["GET", "HEAD", "POST"])
def signup_form(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show and change the form of a list."""
    contact_list = get_object_for(request, ContactList, uid)
    found = signups.form_of(contact_list)
    made = found or SignupForm(organization=request.org, contact_list=contact_list, title=contact_list.name)
    form = SettingsForm(request.POST if request.method == "POST" else None, instance=made)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "The form is saved.")
        return redirect("signup_form", contact_list.uid)
    url = settings.BASE_URL + reverse("signup", args=[found.uid]) if found else ""
    context = {
        "list": contact_list,
        "form": form,
        "url": url,
        "asked": found.signups.count() if found else 0,
        "confirmed": found.signups.exclude(confirmed_at=None).count() if found else 0,
    }
    return render(request, "compliance/signup_form.html", context, status=422 if form.errors else 200)


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def signup(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Show the form, or take a request in. Without solved work or the slower path's word the page asks again."""
    form = get_object_or_404(SignupForm.objects.select_related("contact_list", "organization"), uid=uid)
    if not signups.takes_signups(form):
        return render(request, "compliance/signup_closed.html", {"form": form}, status=410)
    address = request.POST.get("email", "")[:320].replace("\x00", "")
    ready = request.POST.get("nonce") or request.POST.get("slow")
    if request.method != "POST" or not ready:
        return _page(request, form, address)
    task = request.POST.get("task", "")[:300] if request.POST.get("nonce") else ""
    first, last = (_name(request, name) for name in ("first_name", "last_name"))
    nonce = request.POST.get("nonce", "")[:32]
    may_count = request.POST.get("tracking") == "yes"
    asked = signups.Asked(address, prefix(client_ip(request)), task, nonce, first, last, may_count)
    try:
        signups.ask(form, asked)
    except PersonRefusedError as error:
        return _page(request, form, address, str(error), 422)
    except signups.TooManySignupsError as error:
        return _page(request, form, address, str(error), 429)
    return render(request, "compliance/signup_sent.html", {"form": form, "days": policy.SIGNUP_CONFIRM_D})


def _name(request: HttpRequest, field: str) -> str:
    """Return a typed name as one line of printable characters, cut: it stands in messages."""
    typed = request.POST.get(field, "")[:400]
    return "".join(char for char in typed if char.isprintable()).strip()[:120]


def _page(request: HttpRequest, form: SignupForm, address: str, error: str = "", status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "address": address,
        "error": error,
        "task": signups.challenge(form),
        "bits": policy.SIGNUP_WORK_BITS,
        "first_name": _name(request, "first_name"),
        "last_name": _name(request, "last_name"),
        "tracking": request.POST.get("tracking") == "yes",
        "tracking_words": tracking_consent.words(form.organization.name) if form.asks_tracking else "",
    }
    return render(request, "compliance/signup.html", context, status=status)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def signup_confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Show a button, and confirm when it is pressed: link scanners follow links, they press nothing."""
    row = signups.pending(token)
    if row is None:
        return render(request, "compliance/signup_over.html", status=404)
    if request.method == "POST":
        leave_out = request.POST.get("counting") == "no"
        signups.confirm(row, network=prefix(client_ip(request)), without_counting=leave_out)
    counting = tracking_consent.plain(row.tracking_wording)
    return render(request, "compliance/signup_confirm.html", {"row": row, "form": row.form, "counting": counting})
