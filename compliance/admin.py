"""Compliance in the staff area: uploads that wait for a look. Evidence is looked at, never edited."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST, require_safe

from accounts import audit
from compliance import answers, attestations, background, countries, saved_page, tasks
from compliance.errors import ImportRefusedError
from compliance.evidence import as_download as evidence_response
from compliance.imports import fixes
from compliance.imports.scan import counts_of
from compliance.imports.staff import decide_held
from compliance.models import Attestation, Contact, EvidenceFile, ImportJob, ImportState, Suppression
from compliance.provenance import proof
from compliance.views import poke
from sendserver.lib.addresses import masked
from sendserver.lib.cells import waiting_first
from sendserver.lib.readonly import ReadOnlyAdmin

SAMPLE = 25  # rows shown to staff


class DecideForm(forms.Form):
    """May the list be mailed?"""

    answer = forms.ChoiceField(
        label="Answer",
        widget=forms.RadioSelect,
        choices=[
            ("approve", "May be mailed | The list is open from now on"),
            ("refuse", "Not accepted | The people of this upload leave the list again"),
        ],
    )
    reason = forms.CharField(
        label="Reason", max_length=4000, widget=forms.Textarea({"rows": 4}), help_text="The customer reads it."
    )


@admin.register(ImportJob)
class ImportJobAdmin(ReadOnlyAdmin):
    """Uploads, those that wait first."""

    list_display = ("file_name", "organization", "contact_list", "state", "row_count", "created_at", "finished_at")
    list_filter = (waiting_first(ImportState, ImportState.HELD), "kind")
    search_fields = ("file_name", "organization__name", "uid")
    list_select_related = ("organization", "contact_list")
    ordering = ("finished_at", "pk")
    show_facets = admin.ShowFacets.ALWAYS
    list_title = "Risky uploads"
    list_intro = "Their people are mailed only after a look."
    search_help_text = "File, organization"
    change_form_template = "admin/compliance/importjob/change_form.html"
    fields: ClassVar = ["file_name"]

    def get_urls(self) -> list[URLPattern]:
        """Add the post of the decide panel."""
        decide = self.admin_site.admin_view(require_POST(self.decide))
        file = self.admin_site.admin_view(require_safe(self.evidence))
        page = self.admin_site.admin_view(require_safe(self.page_copy))
        return [
            path("<int:pk>/page/", page, name="compliance_importjob_page"),
            path("<int:pk>/decide/", decide, name="compliance_importjob_decide"),
            path("<int:pk>/evidence/<int:file>/", file, name="compliance_importjob_evidence"),
            *super().get_urls(),
        ]

    def evidence(self, request: HttpRequest, pk: int, file: int) -> HttpResponse:
        """Give one evidence file as a download; written down."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = get_object_or_404(self.get_queryset(request), pk=pk)
        row = get_object_or_404(EvidenceFile, pk=file, import_uid=job.uid)
        audit.record(
            "evidence.opened",
            actor=request.user,  # type: ignore[arg-type]
            organization=job.organization,
            subject=f"import:{job.uid}",
            detail={"sha256": bytes(row.sha256).hex()},
        )
        return evidence_response(row)

    def page_copy(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Give the copy of the sign-up page as a download; written down."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = get_object_or_404(self.get_queryset(request), pk=pk)
        row = saved_page.of(job)
        if row is None or row.sha256 is None:
            raise Http404
        audit.record(
            "evidence.opened",
            actor=request.user,  # type: ignore[arg-type]
            organization=job.organization,
            subject=f"import:{job.uid}",
            detail={"sha256": bytes(row.sha256).hex()},
        )
        return saved_page.as_download(row)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show an upload with what speaks for a look; opening it is written down, since rows of people stand in it."""
        job = self.get_object(request, object_id)
        if job is not None and request.method == "GET":
            audit.record(
                "import.opened",
                actor=request.user,  # type: ignore[arg-type]
                organization=job.organization,
                subject=f"import:{job.uid}",
            )
        extra = {**self._page(request, job, DecideForm()), **(extra_context or {})} if job else extra_context
        return super().change_view(request, object_id, form_url, extra)

    def _page(self, request: HttpRequest, job: ImportJob, form: DecideForm) -> dict[str, Any]:
        record = Attestation.objects.filter(pk=job.attestation_id).first() if job.attestation_id else None
        return {
            "job": job,
            "form": form,
            "counts": counts_of(job),
            "source": answers.source_line(job.answers),
            "span": answers.span(job.answers),
            "places": answers.country_words(job, counts_of(job).places),
            "groups": fixes.by_reason(job),
            "said_no": [(Suppression.Reason(reason).label, n) for reason, n in job.suppressed_reasons.items()],
            "record": record,
            "blocks": [{**one, "label": answers.short_source(one)} for one in answers.more_of(job.answers)],
            "details": job.answers.get("details", {}),
            "copy": saved_page.of(job),
            "background": background.rows(job.answers),
            "files": EvidenceFile.objects.filter(import_uid=job.uid).order_by("pk"),
            "person": attestations.person_of(record) if record else None,
            "sample": _sample(job),
            "proof": _answered(job) if job.proof_at else [],
            "is_held": job.state == ImportState.HELD,
            "may_decide": job.state == ImportState.HELD and self._may(request),
        }

    def _may(self, request: HttpRequest) -> bool:
        return request.user.has_perm("compliance.change_importjob")

    def decide(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Decide a held upload and go to the next one."""
        if not self._may(request):
            raise PermissionDenied
        rows: QuerySet[ImportJob] = self.get_queryset(request).select_related("organization", "contact_list")
        job = get_object_or_404(rows, pk=pk)
        form = DecideForm(request.POST)
        if form.is_valid():
            approve, reason = form.cleaned_data["answer"] == "approve", form.cleaned_data["reason"]
            try:
                done = decide_held(job, approve=approve, actor=request.user, reason=reason)  # type: ignore[arg-type]
            except ImportRefusedError as error:
                form.add_error(None, str(error))
            else:
                if job.state == ImportState.UNDOING:
                    poke(tasks.run_import, job.pk)
                text = "Decided. The letter is on its way." if done else "Somebody decided this upload first."
                messages.add_message(request, messages.SUCCESS if done else messages.WARNING, text)
                return HttpResponseRedirect(_next_url())
        context = {
            **self.admin_site.each_context(request),
            **self._page(request, job, form),
            "opts": self.opts,
            "original": job,
            "title": job.file_name,
        }
        return TemplateResponse(request, self.change_form_template, context)


def _answered(job: ImportJob) -> list[tuple[str, str]]:
    """Return (person, answer) of a sample of proof; whom a refusal took out has no address any more."""
    return [(masked(row.contact.address) if row.contact else "taken out", row.answer) for row in proof.sample(job)]


def _sample(job: ImportJob) -> list[dict[str, str]]:
    """Return some people of an upload, spread over it, addresses cut to their domain and first letter."""
    ids = list(job.memberships.order_by("pk").values_list("contact_id", flat=True)[:5000])
    picked = ids[:: max(1, len(ids) // SAMPLE)][:SAMPLE]
    rows = Contact.objects.filter(pk__in=picked).order_by("pk")
    return [{"address": f"{row.address[:1]}…@{row.domain}", "country": countries.name(row.country)} for row in rows]


def _next_url() -> str:
    """Return the next upload that waits, else the queue."""
    waiting = ImportJob.objects.filter(state=ImportState.HELD).order_by("finished_at", "pk").first()
    if waiting is None:
        return reverse("admin:compliance_importjob_changelist")
    return reverse("admin:compliance_importjob_change", args=[waiting.pk])
