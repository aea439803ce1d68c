"""Lists: all of them, one of them, a new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view
from compliance import attestations, consent, countries, list_counts, list_exits, lists, people, tags, tasks
from compliance.consent import WORDS
from compliance.forms import ListForm, SearchForm
from compliance.imports.lifecycle import OPEN
from compliance.models import Attestation, Contact, ContactList, ImportJob, ListMembership
from compliance.views import poke
from sendserver.lib import clock

PAGE = 50


@portal_view(Right.VIEW)
@require_GET
def all_lists(request: PortalRequest) -> HttpResponse:
    """Show the lists with how many of their people can be mailed, and uploads that were begun."""
    rows = list(lists.open_lists(request.org)[:200])
    figures = list_counts.of_lists(request.org, rows)
    waits = any(one.waits for one in figures.values())
    if waits:
        poke(tasks.count_people, request.org.pk)
    for row in rows:
        row.figures = figures[row.pk]  # type: ignore[attr-defined]
    begun = ImportJob.objects.for_org(request.org).filter(state__in=OPEN).select_related("contact_list")
    context = {
        "lists": rows,
        "begun": begun.order_by("-created_at")[:5],
        "waits": waits,
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
    figures = list_counts.of_lists(request.org, [found])[found.pk]
    if figures.waits:
        poke(tasks.count_people, request.org.pk)
    context = {
        "list": found,
        "search": search,
        "words": words,
        "figures": figures,
        "total": figures.total if figures.is_known else found.people_count,
        "mailable": figures.mailable,
        "reasons": reason_rows(figures.reasons),
        "places": [(countries.name(code), n, ok) for code, n, ok in lists.country_counts(figures.rows or ())[:8]],
        "records": records_of(found),
        "uploads": ImportJob.objects.filter(contact_list=found).exclude(state="cancelled").order_by("-created_at")[:5],
        "may_change": has_right(request.membership, Right.LISTS),
        "tag_names": tags.known_names(request.org),
        **_people(request, found, words),
    }
    return render(request, "compliance/list_detail.html", context)


def reason_rows(counts: Mapping[str, int]) -> list[tuple[str, int, str]]:
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
    ids, page = _walk(contact_list, request)
    return {"members": _members(contact_list, ids), "page": page}


def _walk(contact_list: ContactList, request: PortalRequest) -> tuple[list[int], dict[str, str]]:
    """Return the people of one page, newest contacts first, and who ends the pages beside it.

    Along the index and from a person on (`after`, `before`): no page of a long list reads or counts what others show.
    """
    rows = ListMembership.objects.filter(contact_list=contact_list).order_by("-contact_id")
    after, before = _place(request, "after"), _place(request, "before")
    if before is not None:
        rows = rows.filter(contact_id__gt=before).order_by("contact_id")
    elif after is not None:
        rows = rows.filter(contact_id__lt=after)
    found = list(rows.values_list("contact_id", flat=True)[: PAGE + 1])
    shown, more = found[:PAGE], len(found) > PAGE
    if before is not None:
        shown.reverse()
    newer = more if before is not None else after is not None
    older = before is not None or more
    ends = {}
    if shown and newer:
        ends["before"] = shown[0]
    if shown and older:
        ends["after"] = shown[-1]
    uids = dict(Contact.objects.filter(pk__in=ends.values()).values_list("pk", "uid"))
    return shown, {name: str(uids[pk]) for name, pk in ends.items() if pk in uids}


def _place(request: PortalRequest, name: str) -> int | None:
    """Return the key of the person whom an address names, None where it names none of ours."""
    try:
        uid = UUID(request.GET.get(name, ""))
    except ValueError:
        return None
    return Contact.objects.for_org(request.org).filter(uid=uid).values_list("pk", flat=True).first()


def _members(contact_list: ContactList, contact_ids: list[int]) -> list[dict[str, Any]]:
    """Return the rows of the people table with the reason that keeps each from mail."""
    rows = ListMembership.objects.filter(contact_list=contact_list, contact_id__in=contact_ids)
    rows = rows.select_related("contact", "contact_list").order_by("-contact_id")
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
