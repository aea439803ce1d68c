"""Segments: all of them, one of them with its conditions, its count while it is written."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view
from compliance import policy, tasks
from compliance.errors import SegmentRefusedError
from compliance.models import Segment
from compliance.segments import counts, store
from compliance.segments.conditions import Conditions, from_json
from compliance.segments.draft import Draft
from compliance.segments.subjects import NOT_COUNTED
from compliance.segments.vocabulary import check, vocabulary_of
from compliance.views import poke

PAGE = 20
BUDGET = 0.05  # seconds that the page of all segments spends on counting


@portal_view(Right.VIEW)
@require_GET
def all_segments(request: PortalRequest) -> HttpResponse:
    """Show the segments with what is known of their counts."""
    page = Paginator(store.all_of(request.org), PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": _rows(request, list(page.object_list)),
        "may_change": has_right(request.membership, Right.WRITE),
    }
    return render(request, "compliance/segments.html", context)


def _rows(request: PortalRequest, segments: list[Segment]) -> list[dict[str, Any]]:
    """Return the rows of the table; counts within BUDGET, the others as they are kept, or asked for."""
    conditions = [from_json(row.conditions) for row in segments]
    words = vocabulary_of(request.org, [one for some in conditions for one in some.every()])
    kept, waits = counts.kept_counts(request.org, conditions), False
    ends = time.monotonic() + (0 if counts.is_long(request.org) else BUDGET)
    rows = []
    for segment, some in zip(segments, conditions, strict=True):
        count = kept.get(some.digest)
        if count is None and time.monotonic() < ends:
            count = counts.counted(request.org, some, quick=max(0.01, ends - time.monotonic()))
        elif count is None:
            count = counts.Count(waits=counts.ask(request.org, some))
        waits = waits or count.waits
        rows.append({"segment": segment, "lines": words.lines(some), "count": count, "faults": words.faults(some)})
    if waits:
        poke(tasks.count_people, request.org.pk)
    return rows


@portal_view(Right.WRITE)
@require_http_methods(["GET", "POST"])
def segment_new(request: PortalRequest) -> HttpResponse:
    """Write a new segment."""
    return _write(request, None)


@portal_view(Right.VIEW)
@require_http_methods(["GET", "POST"])
def segment_detail(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show a segment; change it."""
    segment = get_object_for(request, Segment, uid, deleted_at=None)
    if request.method == "POST" and not has_right(request.membership, Right.WRITE):
        return HttpResponse(status=403)
    return _write(request, segment)


def _write(request: PortalRequest, segment: Segment | None) -> HttpResponse:
    draft = Draft.posted(request.org, request.POST) if request.method == "POST" else Draft.of(request.org, segment)
    if request.method == "POST" and not draft.moved and draft.is_sound():
        try:
            saved = store.save(request.org, draft.name, draft.conditions(), actor=request.user, segment=segment)
        except SegmentRefusedError as error:
            draft.refuse(error)
        else:
            messages.success(request, f"The segment “{saved.name}” is saved.")
            return redirect("segment_detail", saved.uid)
    context = {
        "segment": segment,
        "draft": draft,
        "menu": draft.menu(),
        "tag_names": draft.tag_names(),
        "count": _count(request, draft),
        "not_counted": NOT_COUNTED,
        "most": policy.SEGMENT_CONDITIONS,
        "may_change": has_right(request.membership, Right.WRITE),
    }
    response = render(request, "compliance/segment.html", context)
    if request.headers.get("HX-Request") and not draft.takes_changed(request.POST):
        # Another comparison with the same input: what is being typed into it must not be swapped away.
        response["HX-Reswap"] = "none"
    return response


def _count(request: PortalRequest, draft: Draft) -> counts.Count | None:
    """Return how many people a draft picks, None while its conditions cannot be asked."""
    try:
        found: Conditions = from_json(draft.conditions().to_json())
        check(request.org, found)
    except SegmentRefusedError:
        return None
    count = counts.counted(request.org, found)
    if count.waits:
        poke(tasks.count_people, request.org.pk)
    return count


@portal_view(Right.VIEW)
@require_POST
def segment_count(request: PortalRequest) -> HttpResponse:
    """Answer the part of the page that says how many people the conditions pick as they stand."""
    draft = Draft.posted(request.org, request.POST)
    return render(request, "compliance/_segment_count.html", {"count": _count(request, draft), "draft": draft})


@portal_view(Right.WRITE)
@require_POST
def segment_delete(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Delete a segment."""
    segment = get_object_for(request, Segment, uid, deleted_at=None)
    if store.delete(segment, actor=request.user):
        messages.success(
            request, f"The segment “{segment.name}” is deleted. What was approved with it goes as approved."
        )
    return redirect("segments")
