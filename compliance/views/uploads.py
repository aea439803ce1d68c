"""Upload in five steps: file, columns, consent, check, result. Each step can be left and come back to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import PortalRequest, Right, fresh_second_factor_at, get_object_for, portal_view, second_factor_url
from compliance import answers, attestations, background, contact_fields, policy, saved_page, tasks
from compliance.attestations import Signer
from compliance.errors import FileRefusedError, SignatureRefusedError, TagRefusedError
from compliance.forms import ConsentForm, UploadForm
from compliance.imports import abandoned, columns, dates, files, holds, kinds, lifecycle, reading, receive, scan, undo
from compliance.imports.columns import Plan
from compliance.models import ImportJob, ImportState
from compliance.tags import known_names, split
from compliance.views import poke
from sendserver.lib import tags
from sendserver.lib.clientip import client_ip
from sendserver.lib.uploads import found_no_room, was_too_large

NO_FILE = "The file is not there any more. Upload it again."
SHOWN_ROWS = 5
BESIDE = ("more", "details", "evidence", "optouts")  # answers of the page beside the questions


@portal_view(Right.LISTS)
@require_http_methods(["GET", "POST"])
def upload_file(request: PortalRequest) -> HttpResponse:
    """Step 1: take the file."""
    posted = request.method == "POST"
    form = UploadForm(
        request.POST if posted else None,
        request.FILES if posted else None,
        organization=request.org,
        initial={"contact_list": request.GET.get("list", "new")},
    )
    if posted and was_too_large(request):
        form.add_error("file", str(files.too_large()))
    elif posted and found_no_room(request):
        form.add_error("file", str(files.no_room()))
    elif posted and form.is_valid():
        file = cast(UploadedFile, form.cleaned_data["file"])
        try:
            job = receive.start(
                request.org,
                request.user,
                file.chunks(),
                file_name=file.name or "",
                contact_list=form.chosen,
                list_name=form.cleaned_data["list_name"],
            )
        except FileRefusedError as error:
            form.add_error("file", str(error))
        else:
            return _after_file(request, job)
    return render(request, "compliance/upload_file.html", {"form": form, "limit": files.limit()})


def _after_file(request: PortalRequest, job: ImportJob) -> HttpResponse:
    """Ask for the columns, unless the file says them itself."""
    if not receive.choose_if_certain(job, actor=request.user):
        return redirect("upload_columns", job.uid)
    poke(tasks.scan_import, job.pk)
    messages.success(request, "We know every column of this file by its name. You can change them before you submit.")
    return redirect("upload_consent", job.uid)


def _open_job(request: PortalRequest, uid: UUID) -> ImportJob | HttpResponse:
    """Return an upload that can still be changed, or the page where it stands now."""
    job = get_object_for(request, ImportJob, uid)
    if job.state in lifecycle.OPEN:
        return job
    if job.state == ImportState.CANCELLED:
        messages.info(request, "This upload was cancelled.")
        return redirect("lists")
    return redirect("upload_result", job.uid)


@portal_view(Right.LISTS)
@require_http_methods(["GET", "POST"])
def upload_columns(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Step 2: say which column is what; `again` reads the file with another encoding or delimiter."""
    job = _open_job(request, uid)
    if isinstance(job, HttpResponse):
        return job
    try:
        first = receive.reread(job, _dialect(request, job))
    except FileRefusedError as error:
        messages.error(request, str(error))
        first = []
    except FileNotFoundError:
        messages.error(request, NO_FILE)
        return redirect("upload_file")
    if not first:
        return redirect("upload_columns" if request.method == "POST" else "upload_file", *_args(request, job))
    plan = receive.proposal(job, first)
    wrong: list[str] = []
    if request.method == "POST" and "again" not in request.POST:
        plan, wrong = _chosen(request, job, plan)
        wrong += columns.complaints(plan) + contact_fields.contradictions(request.org, plan)
        if not wrong and receive.choose(job, plan, actor=request.user):
            if not job.scan:
                poke(tasks.scan_import, job.pk)
            return redirect("upload_consent", job.uid)
    return render(request, "compliance/upload_columns.html", _columns_context(job, plan, first, wrong))


def _args(request: PortalRequest, job: ImportJob) -> tuple[UUID, ...]:
    return (job.uid,) if request.method == "POST" else ()


def _dialect(request: PortalRequest, job: ImportJob) -> reading.Dialect:
    """Return the dialect asked for; only the ones we know, since a name from outside picks a decoder."""
    encoding, delimiter = request.POST.get("encoding", ""), request.POST.get("delimiter", "")
    delimiter = {"tab": "\t"}.get(delimiter, delimiter)
    known = encoding in reading.ENCODINGS and delimiter in reading.DELIMITERS and job.kind == "csv"
    return reading.Dialect(encoding, delimiter) if known else reading.Dialect(job.encoding, job.delimiter)


def _chosen(request: PortalRequest, job: ImportJob, before: Plan) -> tuple[Plan, list[str]]:
    """Return the plan as posted, and what is wrong with the tags typed."""
    targets = {index: request.POST.get(f"column-{index}", "") for index in range(len(job.header))}
    known = {index: target for index, target in targets.items() if target in columns.TARGETS and target}
    order = request.POST.get("date_order", "")
    order = order if order in dates.ORDERS else before.date_order
    given: list[str] = []
    wrong: list[str] = []
    try:
        given = split(request.POST.get("tags", ""))
    except TagRefusedError as error:
        wrong = [f"Tags for everybody: {str(error)[:1].lower()}{str(error)[1:-1]}"]
    return Plan(known, list(job.header), order, before.head, tuple(given)), wrong


def _columns_context(job: ImportJob, plan: Plan, first: list[reading.Row], wrong: list[str]) -> dict[str, Any]:
    rows = first[plan.head :]
    telling = [row for row in rows if not all(cell.isascii() for cell in row.cells)]
    sample = (telling + rows)[:SHOWN_ROWS]
    shown = [
        {
            "index": index,
            "name": name,
            "target": plan.targets.get(index, ""),
            "values": [row.cells[index] if index < len(row.cells) else "" for row in sample],
        }
        for index, name in enumerate(job.header)
    ]
    return {
        "job": job,
        "columns": shown,
        "targets": list(columns.TARGETS.items()),
        "sample": [(row.line, row.cells[: len(job.header)], row.problem) for row in sample],
        "telling": len(telling),
        "encodings": list(reading.ENCODINGS.items()),
        "delimiters": [(",", "Comma"), (";", "Semicolon"), ("tab", "Tab"), ("|", "Pipe")],
        "delimiter": "tab" if job.delimiter == "\t" else job.delimiter,
        "orders": list(dates.ORDERS.items()),
        "plan": plan,
        "tags": ", ".join(plan.tags),
        "known_tags": known_names(job.organization),
        "wrong": wrong,
    }


@portal_view(Right.LISTS)
@require_http_methods(["GET", "POST"])
def upload_consent(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Step 3: how these people signed up."""
    job = _open_job(request, uid)
    if isinstance(job, HttpResponse):
        return job
    if not job.columns:
        return redirect("upload_columns", job.uid)
    posted = request.method == "POST"
    form = ConsentForm(
        request.POST if posted else None,
        initial=ConsentForm.initial_from(job.answers, job.declared_country),
        sender=attestations.legal_name(request.org),
        days=policy.PROOF_DEADLINE_BD,
        signer=request.user,
    )
    if saved_page.is_on():
        form.fields["page_url"].help_text = "We save a copy of this page today as part of the record."
    stopped = posted and form.stops()
    valid = posted and form.is_valid() and not stopped
    if posted:
        _keep(request, job, form, valid=bool(valid))
        if "later" in request.POST:
            messages.success(request, "Saved. You find this upload under Lists.")
            return redirect("lists")
    if valid:
        return redirect(_next_step(request, job), job.uid)
    context = {"job": job, "form": form, "stopped": stopped, "counts": scan.counts_of(job), "seen": _seen(job)}
    return render(request, "compliance/upload_consent.html", context)


def _next_step(request: PortalRequest, job: ImportJob) -> str:
    """Return the next page: what is missing beside the questions comes first."""
    job.refresh_from_db()
    if saved_page.wanted(job):
        poke(tasks.save_page, job.pk)
    open_points = answers.missing(job)
    if not open_points:
        return "upload_check"
    messages.info(request, f"{open_points[0]}.")
    return "upload_sources"


def _keep(request: PortalRequest, job: ImportJob, form: ConsentForm, *, valid: bool) -> None:
    """Keep the answers, also of a draft; only a complete set can be signed."""
    country = form.cleaned_data.get("country", "") if hasattr(form, "cleaned_data") else ""
    target = ImportState.ANSWERED if valid else ImportState.MAPPED
    beside = {name: job.answers[name] for name in BESIDE if name in job.answers}
    kept = {**form.kept(), **beside}
    lifecycle.move(job, target, actor=request.user, answers=kept, declared_country=country)


def _seen(job: ImportJob) -> list[tuple[str, str]]:
    """Return what the first reading counted, as the page's short list."""
    counts = scan.counts_of(job)
    return [
        ("Rows", f"{counts.rows:,}"),
        ("With a sign-up date", f"{counts.dated:,}"),
        (f"Older than {policy.IDLE_SKIP_MONTHS // 12} years", f"{counts.older_than_idle:,}"),
        ("Already on your lists", f"{counts.on_list + counts.on_other_lists:,}"),
        ("Said no before", f"{sum(counts.said_no.values()):,}, will be skipped"),
        ("With a problem", f"{counts.rejected:,}"),
    ]


@portal_view(Right.LISTS)
@require_GET
def upload_seen(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Answer the part of a page that waits for the counting: `part` is seen or fate."""
    job = get_object_for(request, ImportJob, uid)
    part = "fate" if request.GET.get("part") == "fate" else "seen"
    if job.state == ImportState.FAILED:
        response = HttpResponse(status=204)
        response["HX-Redirect"] = reverse("upload_result", args=[job.uid])
        return response
    context = {"job": job, "counts": scan.counts_of(job), "seen": _seen(job)}
    return render(request, f"compliance/_{part}.html", context)


@portal_view(Right.LISTS)
@require_http_methods(["GET", "POST"])
def upload_check(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Step 4: every answer, the statement in full; submitting signs it with a fresh second factor."""
    job = _open_job(request, uid)
    if isinstance(job, HttpResponse):
        return job
    if job.state != ImportState.ANSWERED:
        return redirect("upload_consent" if job.columns else "upload_columns", job.uid)
    factor = fresh_second_factor_at(request)
    here = reverse("upload_check", args=[job.uid])
    if request.method == "POST":
        if factor is None:
            return redirect(second_factor_url(request, here))
        try:
            attestations.submit(job, _signer(request, factor), shown=request.POST.get("shown", ""))
        except SignatureRefusedError as error:
            messages.error(request, str(error))
            return redirect("upload_check", job.uid)
        poke(tasks.run_import, job.pk)
        return redirect("upload_result", job.uid)
    return render(request, "compliance/upload_check.html", _check_context(request, job, factor))


def _signer(request: PortalRequest, factor: tuple[str, float]) -> Signer:
    return Signer(
        user=request.user,
        role=request.membership.get_role_display(),
        factor=factor[0],
        factor_at=datetime.fromtimestamp(factor[1], UTC),
        ip=client_ip(request),
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
    )


def _check_context(request: PortalRequest, job: ImportJob, factor: tuple[str, float] | None) -> dict[str, Any]:
    counts = scan.counts_of(job)
    reasons = holds.reasons(holds.facts_of(job, answers.claim_of(job))) if counts.done else []
    return {
        "job": job,
        "counts": counts,
        "file_rows": _file_rows(job),
        "answer_rows": _answer_rows(job, counts),
        "statement": attestations.statement(job, request.membership.get_role_display()),
        "shown": attestations.fingerprint(job, request.membership.get_role_display()),
        "wording": attestations.wording_for(job),
        "fingerprint": bytes(job.file_sha256).hex(),
        "factor": factor,
        "factor_name": {"totp": "authenticator app", "webauthn": "passkey"}.get(factor[0], "") if factor else "",
        "factor_at": datetime.fromtimestamp(factor[1], UTC) if factor else None,
        "reasons": reasons,
        "refusal": holds.refusal(counts) if counts.done else "",
        "check_hours": policy.LIST_CHECK_H,
        "undo_days": policy.IMPORT_UNDO_D,
        "second_factor": second_factor_url(request, reverse("upload_check", args=[job.uid])),
    }


def _copy_words(job: ImportJob) -> str:
    if saved_page.wanted(job):
        return "A copy is being saved."
    return saved_page.words(saved_page.of(job))


def _file_rows(job: ImportJob) -> list[tuple[str, str, str]]:
    plan = columns.plan_of(job)
    named = [
        columns.TARGETS[target] for target in plan.targets.values() if target not in (*kinds.LABELS, columns.IGNORE)
    ]
    kept = sum(target in kinds.LABELS for target in plan.targets.values())
    left = len(job.header) - len(named) - kept
    words = ", ".join([*named[:1], *(name.lower() for name in named[1:])])
    words += f". {kept} more kept for messages" if kept else ""
    words += f". {left} not imported" if left else ""
    there = reverse("upload_columns", args=[job.uid])
    fresh = " (new)" if not job.contact_list.people_count else ""
    return [
        ("File", f"{job.file_name}, {job.row_count:,} rows", reverse("upload_file")),
        ("List", f"{job.contact_list.name}{fresh}", ""),
        ("Columns", words, there),
        *([("Tags", f"{', '.join(plan.tags)}: to everybody in the file", there)] if plan.tags else []),
    ]


def _answer_rows(job: ImportJob, counts: scan.Counts) -> list[tuple[str, str, str]]:
    kept = job.answers
    there = reverse("upload_consent", args=[job.uid])
    beside = reverse("upload_sources", args=[job.uid])
    more = [f"“{one['value']}”: {answers.short_source(one)}" for one in answers.more_of(kept)]
    confirmed = f"{counts.confirmed:,} of {counts.good:,} rows have a date" if counts.confirmed else "No"
    return [
        ("Source", answers.short_source(kept), there),
        *([("Further sources", "; ".join(more), beside)] if more else []),
        *([("Evidence", f"{len(kept['evidence'])} files", beside)] if kept.get("evidence") else []),
        ("Dates", answers.span(kept), there),
        ("Page", f"{kept.get('page_url') or 'None'}. {_copy_words(job)}".strip(), there),
        ("Words they saw", f"“{kept.get('wording', '')}”", there),
        ("Last mail from you", kept.get("last_mailed") or "Never", there),
        ("Countries", answers.country_words(job, counts.places), there),
        ("Confirmed by link", f"{confirmed}. Needed for Germany, Austria and unknown countries", there),
        *((label, text, there) for label, text in background.rows(kept)),
        ("Bought, rented, third-party, harvested", format_html("No, eight times ({})", tags.rule("2.1")), there),
    ]


@portal_view(Right.LISTS)
@require_GET
def upload_result(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Step 5: how far the reading is, then the result."""
    job = get_object_for(request, ImportJob, uid)
    if job.state in lifecycle.OPEN:
        return redirect("upload_check", job.uid)
    if job.state not in lifecycle.BUSY:
        if request.headers.get("HX-Request"):
            response = HttpResponse(status=204)
            response["HX-Redirect"] = reverse("import_detail", args=[job.uid])
            return response
        return redirect("import_detail", job.uid)
    part = "compliance/_progress.html" if request.headers.get("HX-Request") else "compliance/upload_progress.html"
    return render(request, part, {"job": job, "may_undo": undo.may_undo(job)})


@portal_view(Right.LISTS)
@require_POST
def upload_cancel(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Give an upload up before it is signed."""
    job = _open_job(request, uid)
    if isinstance(job, HttpResponse):
        return job
    if abandoned.cancel(job, actor=request.user):
        messages.success(request, "The upload is cancelled and its file deleted.")
    return redirect("lists")
