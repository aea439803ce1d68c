"""One person: added, looked at, corrected, removed."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view
from accounts.models import AuditEntry
from compliance import consent, countries, list_exits, people, suppression, tags, tracking_consent
from compliance.consent import WORDS
from compliance.errors import PersonRefusedError
from compliance.forms import AddPersonForm, PersonForm, at_midnight
from compliance.models import Contact, ContactList, ListMembership
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey

HISTORY = 20


@portal_view(Right.LISTS)
@require_http_methods(["GET", "POST"])
def contact_add(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Add one person to a list."""
    found = get_object_for(request, ContactList, uid)
    form = AddPersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            membership = people.add_person(found, _person(form), _permission(form), actor=request.user)
        except PersonRefusedError as error:
            form.add_error(error.field or None, str(error))
        else:
            messages.success(request, f"{membership.contact.address} is on {found.name}.")
            return redirect("contact_detail", membership.contact.uid)
    return render(request, "compliance/contact_add.html", {"form": form, "list": found})


def _person(form: PersonForm) -> people.Person:
    data = form.cleaned_data
    return people.Person(data["address"], data["first_name"], data["last_name"], data["country"])


def _permission(form: AddPersonForm) -> people.Permission:
    data = form.cleaned_data
    consent_at, confirmed_at = at_midnight(data["consent_on"]), at_midnight(data["confirmed_on"])
    return people.Permission(data["basis"], consent_at, confirmed_at, data["source"])


@portal_view(Right.VIEW)
@require_http_methods(["GET", "POST"])
def contact_detail(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show a person with every list and what permits mailing them there; take a correction from those who may."""
    contact = get_object_for(request, Contact, uid)
    may_change = has_right(request.membership, Right.LISTS)
    if request.method == "POST" and not may_change:
        return HttpResponse(status=403)
    form = PersonForm(request.POST or None, initial=_initial(contact))
    if request.method == "POST" and form.is_valid():
        try:
            people.correct(contact, _person(form), actor=request.user)
        except PersonRefusedError as error:
            form.add_error(error.field or None, str(error))
        else:
            messages.success(request, "Saved.")
            return redirect("contact_detail", contact.uid)
    shown = {"tags": tags.of_contact(contact), "tag_names": tags.known_names(request.org) if may_change else []}
    context = {"contact": contact, "form": form, "may_change": may_change, **shown, **_facts(request, contact)}
    return render(request, "compliance/contact.html", context)


def _initial(contact: Contact) -> dict[str, Any]:
    return {name: getattr(contact, name) for name in ("address", "first_name", "last_name", "country")}


def _reason(row: ListMembership, left: list[ContactList], now: datetime) -> str:
    return consent.mailable_reason(consent.facts_of(row, has_left=row.contact_list in left), now=now)


def _facts(request: PortalRequest, contact: Contact) -> dict[str, Any]:
    stopped = suppression.find(request.org, AddressKey(contact.address_key))
    now = clock.now()
    left = list_exits.left_lists(request.org, AddressKey(contact.address_key))
    rows = contact.memberships.select_related("contact_list", "contact", "attestation").order_by("-pk")
    memberships = [{"row": row, "reason": WORDS.get(_reason(row, left, now), ("", ""))} for row in rows]
    subject = f"contact:{contact.uid}"
    return {
        "stopped": stopped,
        "memberships": memberships,
        "country": countries.name(contact.country),
        **tracking_consent.shown(contact),
        "history": AuditEntry.objects.filter(organization=request.org, subject=subject).order_by("-pk")[:HISTORY],
    }


@portal_view(Right.LISTS)
@require_POST
def contact_remove(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Remove a person: from one list when `list` names it, else from everything."""
    contact = get_object_for(request, Contact, uid)
    address = contact.address
    chosen = request.POST.get("list")
    if chosen:
        found = get_object_for(request, ContactList, _uid(chosen))
        people.remove_from_list(found, contact, actor=request.user)
        messages.success(request, f"{address} is no longer on {found.name}.")
        return redirect(reverse("contact_detail", args=[contact.uid]))
    people.remove(contact, actor=request.user)
    messages.success(request, f"{address} is removed. If they said stop, that stays on record as a fingerprint.")
    return redirect("lists")


def _uid(text: str) -> UUID | str:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
