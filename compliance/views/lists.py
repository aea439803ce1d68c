"""Lists: all of them, one of them, a new one."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view
from compliance import attestations, consent, countries, list_exits, lists, people, tags
from compliance.consent import WORDS
from compliance.forms import ListForm, SearchForm
from compliance.imports.lifecycle import OPEN
from compliance.models import Attestation, ContactList, ImportJob, ListMembership
from sendserver.lib import clock

PAGE = 50


@portal_view(Right.VIEW)
@require_GET
def all_lists(request: PortalRequest) -> HttpResponse:
    """Show the lists with how many of their people can be mailed, and uploads that were begun."""
    rows = list(lists.open_lists(request.org)[:200])
    counted = lists.recent_reason_counts(request.org, rows)
    counts = counted.counts
    for row in rows:
        row.people = sum(counts[row.pk].values())  # type: ignore[attr-defined]
        row.mailable = counts[row.pk].get("", 0)  # type: ignore[attr-defined]
    begun = ImportJob.objects.for_org(request.org).filter(state__in=OPEN).select_related("contact_list")
    context = {
        "lists": rows,
        "begun": begun.order_by("-created_at")[:5],
        "counted_at": datetime.fromtimestamp(counted.at, UTC) if counted.at < clock.now().timestamp() - 5 else None,
        "may_change": has_right(request.membership, Right.LISTS),
    }
    return render(request, "compliance/lists.html", context)


@portal_view(Right.LISTS)
@require_http_methods(["GET", "POST"])
def list_new(request: PortalRequest) -> HttpResponse:
    """Make an empty list."""
    form = ListForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = lists.create_list(request.org, actor=request.user, **form.cleaned_data)
        return redirect("list_detail", made.uid)
    return render(request, "compliance/list_new.html", {"form": form})


@portal_view(Right.VIEW)
@require_http_methods(["GET", "POST"])
def list_detail(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show a list: who can be mailed, why the rest cannot, its statements, its people (searched by POST)."""
    found = get_object_for(request, ContactList, uid)
    search = SearchForm(request.POST if request.method == "POST" else None)
    words = search.cleaned_data["q"] if search.is_bound and search.is_valid() else ""
    rows = lists.breakdown(found)
    counts: Counter[str] = Counter()
    for _, reason, number in rows:
        counts[reason] += number
    total = sum(counts.values())
    context = {
        "list": found,
        "search": search,
        "words": words,
        "total": total,
        "mailable": counts.get("", 0),
        "reasons": reason_rows(counts),
        "places": [(countries.name(code), n, ok) for code, n, ok in lists.country_counts(rows)[:8]],
        "records": records_of(found),
        "uploads": ImportJob.objects.filter(contact_list=found).exclude(state="cancelled").order_by("-created_at")[:5],
        "may_change": has_right(request.membership, Right.LISTS),
        "tag_names": tags.known_names(request.org),
        **_people(request, found, words),
    }
    return render(request, "compliance/list_detail.html", context)


def reason_rows(counts: dict[str, int]) -> list[tuple[str, int, str]]:
    """Return (label, people, meaning) of those who get nothing, most first."""
    rows = [(WORDS[reason][0], count, WORDS[reason][1]) for reason, count in counts.items() if reason in WORDS]
    return sorted(rows, key=lambda row: -row[1])


def records_of(contact_list: ContactList) -> list[dict[str, Any]]:
    """Return the list's statements with their signers, newest first."""
    rows = Attestation.objects.for_org(contact_list.organization).filter(list_uid=contact_list.uid)
    return [
        {"record": row, "person": attestations.person_of(row), "sha": bytes(row.file_sha256).hex()}
        for row in rows.order_by("-pk")[:5]
    ]


def _people(request: PortalRequest, contact_list: ContactList, words: str) -> dict[str, Any]:
    if words:
        contacts = list(people.find(request.org, words, contact_list=contact_list)[: people.FOUND_AT_MOST])
        return {"members": _members(contact_list, [row.pk for row in contacts]), "page": None}
    rows = ListMembership.objects.filter(contact_list=contact_list).order_by("-pk").values_list("contact_id", flat=True)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    return {"members": _members(contact_list, list(page.object_list)), "page": page}


def _members(contact_list: ContactList, contact_ids: list[int]) -> list[dict[str, Any]]:
    """Return the rows of the people table with the reason that keeps each from mail."""
    rows = ListMembership.objects.filter(contact_list=contact_list, contact_id__in=contact_ids)
    rows = rows.select_related("contact", "contact_list").order_by("-pk")
    stopped = people.stopped_ids(contact_list.organization, contact_ids)
    left = list_exits.left_ids(contact_list, contact_ids)
    tagged = tags.names_of(contact_list.organization, contact_ids)
    now = clock.now()
    return [
        {
            "contact": row.contact,
            "membership": row,
            "tags": tagged.get(row.contact_id, []),
            "country": countries.name(row.contact.country or row.country),
            "reason": WORDS.get(
                "suppressed"
                if row.contact_id in stopped
                else consent.mailable_reason(consent.facts_of(row, has_left=row.contact_id in left), now=now),
                ("",),
            )[0],
        }
        for row in rows
    ]


@portal_view(Right.LISTS)
@require_POST
def list_close(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Close a list."""
    found = get_object_for(request, ContactList, uid)
    if lists.close_list(found, actor=request.user):
        messages.success(request, f"{found.name} is closed. Nobody is mailed through it any more.")
    return redirect("lists")
