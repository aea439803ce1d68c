"""The result of an upload: what became of each row, and rows mended in place."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view
from compliance import answers, attestations, list_counts, policy, tasks
from compliance.errors import ImportRefusedError
from compliance.imports import export, fixes, lifecycle, undo, words
from compliance.imports.holds import only_asks
from compliance.models import Attestation, ImportJob, ImportRow, ImportState, Suppression
from compliance.provenance import proof
from compliance.views import poke
from compliance.views.lists import reason_rows

ROWS = 25
SHOW_ALL = 500
_SKIPPED = {
    "unsubscribe": "unsubscribed from you earlier. They stay unsubscribed",
    "complaint": "complained about your mail earlier",
    "hard_bounce": "bounced before, so the mailbox no longer exists",
    "soft_bounce": "bounced again and again",
    "objection": "asked us to stop",
    "staff": "stand on our staff's list",
    "owner": "stand on your own do-not-mail list",
}


@portal_view(Right.VIEW)
@require_GET
def import_detail(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show what became of an upload."""
    job = get_object_for(request, ImportJob, uid)
    if job.state in (*lifecycle.OPEN, *lifecycle.BUSY):
        return redirect("upload_result", job.uid)
    may = has_right(request.membership, Right.LISTS)
    context = {
        "job": job,
        "mine": _mine(job),
        "record": _record(job),
        "skipped": _skipped(job),
        "may_change": may and job.state in fixes.MENDABLE,
        "may_undo": may and undo.may_undo(job),
        "wants_proof": may and proof.is_wanted(job),
        "only_asks": only_asks(job.held_reasons),
        "undo_days": policy.IMPORT_UNDO_D,
        "check_hours": policy.LIST_CHECK_H,
        **_problems(request, job),
    }
    return render(request, "compliance/import_detail.html", context)


def _mine(job: ImportJob) -> dict[str, Any]:
    """Return how many of this upload's people can be mailed (`waits`: once the staff has looked), why others cannot."""
    figures = list_counts.of_import(job)
    if figures.waits:
        poke(tasks.count_people, job.organization_id)
    counts = figures.reasons
    waiting = counts.pop("list_held", 0)
    return {
        "figures": figures,
        "total": sum(counts.values()) + waiting,
        "mailable": counts[""] + waiting,
        "reasons": reason_rows(counts),
        "waits": bool(waiting),
    }


def _record(job: ImportJob) -> dict[str, Any] | None:
    record = Attestation.objects.filter(pk=job.attestation_id).first() if job.attestation_id else None
    if record is None:
        return None
    return {
        "row": record,
        "person": attestations.person_of(record),
        "sha": bytes(record.file_sha256).hex(),
        "source": answers.short_source(job.answers),
        "span": answers.span(job.answers),
    }


def _skipped(job: ImportJob) -> list[str]:
    found = [
        f"{count:,} {_SKIPPED.get(reason, str(Suppression.Reason(reason).label).lower())}."
        for reason, count in sorted(job.suppressed_reasons.items(), key=lambda item: -item[1])
        if count
    ]
    if job.duplicate_count:
        found.append(f"{job.duplicate_count:,} appear twice in the file; we kept the newest.")
    return found


def _problems(request: PortalRequest, job: ImportJob) -> dict[str, Any]:
    rows = ImportRow.objects.filter(job=job).order_by("line")
    if not request.GET.get("settled"):
        rows = rows.filter(state=ImportRow.State.OPEN)
    page = Paginator(rows, SHOW_ALL if request.GET.get("all") else ROWS).get_page(request.GET.get("page"))
    still_open = ImportRow.objects.filter(job=job, state=ImportRow.State.OPEN)
    return {
        "page": page,
        "rows": [_row(job, row) for row in page.object_list],
        "open_count": still_open.count(),
        "suggestions": still_open.exclude(suggestion="").count(),
        "settled": ImportRow.objects.filter(job=job).exclude(state=ImportRow.State.OPEN).count(),
        "groups": fixes.by_reason(job),
    }


def _row(job: ImportJob, row: ImportRow) -> dict[str, Any]:
    """Return a row as the table shows it; a wrong date stands beside the meaning, since the row is named by address."""
    cell, meaning = fixes.cell_of(job, row), words.meaning(row.reason)
    dated = cell != row.value and bool(cell)
    return {
        "row": row,
        "label": words.label(row.reason),
        "meaning": f"{cell[:40]}. {meaning}" if dated else meaning,
        "mendable": row.reason not in fixes.WHOLE_ROW and row.reason != "role",
        "value": row.suggestion or cell,
    }


@portal_view(Right.LISTS)
@require_POST
def import_row(request: PortalRequest, uid: UUID, line: int) -> HttpResponse:
    """Settle one row: `use` a value, `leave` it out, or `undo` what was done."""
    job = get_object_for(request, ImportJob, uid)
    row = get_object_or_404(ImportRow, job=job, line=line)
    error = ""
    try:
        _settle(request, job, row)
    except ImportRefusedError as refusal:
        error = str(refusal)
    if request.headers.get("HX-Request"):
        row.refresh_from_db()
        shown = {**_row(job, row), "error": error, "typed": request.POST.get("value", "")}
        return render(request, "compliance/_row.html", {"job": job, "item": shown, "may_change": True})
    if error:
        messages.error(request, f"Row {row.line}: {error}")
    return redirect("import_detail", job.uid)


def _settle(request: PortalRequest, job: ImportJob, row: ImportRow) -> None:
    action = request.POST.get("action")
    if action == "undo":
        fixes.reopen(job, row, actor=request.user)
    elif action == "leave":
        fixes.leave_out(job, row, actor=request.user)
    else:
        fixes.use(job, row, request.POST.get("value", "")[:320].replace("\x00", ""), actor=request.user)


@portal_view(Right.LISTS)
@require_POST
def import_undo(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Take a whole upload back, or stop one that is being read and take back what it did."""
    job = get_object_for(request, ImportJob, uid)
    try:
        undo.undo(job, actor=request.user)
    except ImportRefusedError as error:
        messages.error(request, str(error))
    if job.state == ImportState.CANCELLED:
        messages.success(request, "The upload is taken back. Everybody is as they were before it.")
    elif job.state == ImportState.UNDOING:
        poke(tasks.run_import, job.pk)
    return redirect("import_detail", job.uid)


@portal_view(Right.LISTS)
@require_POST
def import_rows(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Settle every open row: use all suggestions, or leave all out."""
    job = get_object_for(request, ImportJob, uid)
    try:
        if request.POST.get("action") == "leave":
            count = fixes.leave_out_all(job, actor=request.user)
            messages.success(request, f"{count:,} rows left out.")
        else:
            done, left = fixes.use_all_suggestions(job, actor=request.user)
            messages.success(request, f"{done:,} rows added." + (f" {left:,} still need a look." if left else ""))
    except ImportRefusedError as error:
        messages.error(request, str(error))
    return redirect("import_detail", job.uid)


@portal_view(Right.VIEW)
@require_GET
def import_rows_csv(request: PortalRequest, uid: UUID) -> HttpResponseBase:
    """Stream the rows that were not taken, safe for a spreadsheet."""
    job = get_object_for(request, ImportJob, uid)
    response = StreamingHttpResponse(export.csv_lines(export.problem_rows(job)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="rows-{job.uid}.csv"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


@portal_view(Right.VIEW)
@require_GET
def import_statement(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Give the signed statement as plain text."""
    job = get_object_for(request, ImportJob, uid)
    record = get_object_or_404(Attestation, pk=job.attestation_id, organization=request.org)
    person = attestations.person_of(record)
    text = render(request, "compliance/statement.txt", {"record": record, "person": person, "job": job}).content
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="statement-{record.uid}.txt"'
    return response
