"""Further sources of an upload, details of its form, evidence; one post a change, no script needed."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import PortalRequest, Right, get_object_for, portal_view
from compliance import answers, background, brought_along, evidence, policy, saved_page, tasks
from compliance.errors import FileRefusedError, ImportRefusedError
from compliance.imports import columns, lifecycle
from compliance.models import EvidenceFile, ImportJob, ImportState
from compliance.source_forms import DetailsForm, EvidenceForm, OptoutsForm, SourceForm
from compliance.views import poke


@portal_view(Right.LISTS)
@require_http_methods(["GET", "POST"])
def upload_sources(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show and change what belongs to an upload beside its main source; `act` says what a post does."""
    job = get_object_for(request, ImportJob, uid)
    if job.state not in (ImportState.MAPPED, ImportState.ANSWERED):
        return redirect("upload_check", job.uid)
    act = request.POST.get("act", "")
    forms = {
        "optouts": OptoutsForm(request.POST if act == "optouts" else None, request.FILES if act == "optouts" else None),
        "source": SourceForm(request.POST if act == "source" else None),
        "details": DetailsForm(request.POST if act == "details" else None, initial=job.answers.get("details", {})),
        "evidence": EvidenceForm(
            request.POST if act == "evidence" else None, request.FILES if act == "evidence" else None
        ),
    }
    if request.method == "POST" and _act(request, job, forms):
        return redirect("upload_sources", job.uid)
    return render(request, "compliance/upload_sources.html", _context(job, forms))


def _context(job: ImportJob, forms: dict[str, Any]) -> dict[str, Any]:
    return {
        "job": job,
        "forms": forms,
        "blocks": [{**one, "label": answers.short_source(one)} for one in answers.more_of(job.answers)],
        "has_column": columns.plan_of(job).index("source") is not None,
        "files": EvidenceFile.objects.filter(import_uid=job.uid).order_by("pk"),
        "most_mb": policy.EVIDENCE_MB,
        "copy": saved_page.of(job),
        "copy_words": saved_page.words(saved_page.of(job)),
        "brought": job.answers.get("optouts", []),
        "wants_optouts": background.is_moving(job.answers),
    }


def _act(request: PortalRequest, job: ImportJob, forms: dict[str, Any]) -> bool:
    """Do what was posted; tell whether the page may be shown anew."""
    act = request.POST.get("act", "")
    form = forms.get(act)
    try:
        if act == "evidence" and form is not None and form.is_valid():
            file = cast(UploadedFile, form.cleaned_data["file"])
            evidence.add(job, file.chunks(), name=file.name or "", actor=request.user)
        elif act == "optouts" and form is not None and form.is_valid():
            _bring(request, job, cast(UploadedFile, form.cleaned_data["optouts_file"]))
        elif act == "drop":
            _drop(job, request.POST)
        elif form is None or not form.is_valid():
            return False
        elif act == "source":
            answers.add_source(job.answers, form.cleaned_data)
        else:
            job.answers["details"] = form.cleaned_data
    except (FileRefusedError, ImportRefusedError) as error:
        if form is not None:
            form.add_error(None, str(error))
        return form is None
    job.answers["evidence"] = evidence.signed_of(job)
    lifecycle.move(job, job.state, actor=request.user, answers=job.answers)
    messages.success(request, "Saved.")
    return True


def _bring(request: PortalRequest, job: ImportJob, file: UploadedFile) -> None:
    """Put the file's people on the do-not-mail list, and count the upload anew: some of its rows fall out now."""
    found = brought_along.bring(request.org, file.chunks(), actor=request.user)
    job.answers["optouts"] = [*job.answers.get("optouts", []), found.to_json()]
    lifecycle.move(job, job.state, actor=request.user, scan={}, heartbeat_at=None)
    poke(tasks.scan_import, job.pk)


def _drop(job: ImportJob, posted: Any) -> None:
    """Take one further source or one file away."""
    value, pk = posted.get("value", ""), posted.get("file", "")
    job.answers["more"] = [one for one in answers.more_of(job.answers) if one["value"] != value]
    row = EvidenceFile.objects.filter(import_uid=job.uid, pk=pk).first() if pk.isdigit() and len(pk) < 19 else None
    if row is not None:
        evidence.remove(row)


@portal_view(Right.LISTS)
@require_GET
def import_page_copy(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Give the copy of the sign-up page, as a download."""
    row = saved_page.of(get_object_for(request, ImportJob, uid))
    if row is None or row.sha256 is None:
        raise Http404
    return saved_page.as_download(row)


@portal_view(Right.LISTS)
@require_GET
def import_evidence(request: PortalRequest, uid: UUID, pk: int) -> HttpResponse:
    """Give one evidence file back, as a download that no browser opens by itself."""
    job = get_object_for(request, ImportJob, uid)
    row = get_object_or_404(EvidenceFile, pk=pk, import_uid=job.uid, organization=request.org)
    return evidence.as_download(row)
