"""The appeals queue: read beside the decision, upheld or reversed by somebody else."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from abuse import appeals
from abuse.admin.base import DeskAdmin, actor_of, key_in
from abuse.admin.forms import ReasonForm
from abuse.errors import AbuseError
from abuse.models import Appeal, AppealFile
from accounts import audit
from sendserver.lib.cells import waiting_first


@admin.register(Appeal)
class AppealAdmin(DeskAdmin):
    """Appeals, the oldest promise first."""

    list_display = ("decision", "organization", "ground", "promised_until", "state", "decided_by")
    list_filter = (waiting_first(Appeal.State, Appeal.State.OPEN), "ground")
    search_fields = ("decision__reference", "organization__name")
    search_help_text = "Reference, organization"
    ordering = ("state", "promised_until")
    list_select_related = ("decision", "organization", "decided_by")
    list_intro = "Read by someone who did not decide."

    def get_urls(self) -> list[URLPattern]:
        """Add the decide form's address, and the files'."""
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/decide/", self.act(self.decide_view), name="abuse_appeal_decide"),
            path("<int:pk>/files/<int:file>/", view(require_safe(self.file_view)), name="abuse_appeal_file"),
        ]
        return own + super().get_urls()

    def file_view(self, request: HttpRequest, pk: int, file: int) -> HttpResponse:
        """Give a file of an appeal out, as a download; who looked is written down."""
        self.require_look(request)
        row = get_object_or_404(AppealFile.objects.select_related("appeal__organization"), pk=file, appeal=pk)
        appeal = row.appeal
        audit.record(
            "appeal.file_opened",
            actor=actor_of(request),
            organization=appeal.organization,
            subject=f"appeal:{appeal.uid}",
            detail={"file": row.pk},
        )
        return appeals.download(row)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one appeal beside the decision."""
        self.require_look(request)
        return self._page(request, self._appeal(key_in(object_id)), ReasonForm())

    def _appeal(self, pk: int) -> Appeal:
        rows = Appeal.objects.select_related("decision__case", "decision__actor", "organization", "made_by")
        return get_object_or_404(rows, pk=pk)

    def _page(self, request: HttpRequest, appeal: Appeal, form: ReasonForm, *, status: int = 200) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": appeal,
            "appeal": appeal,
            "title": f"Appeal against {appeal.decision.reference}",
            "form": form,
            "may_decide": appeals.may_decide(appeal, actor_of(request)),
            "statement": [
                (name.replace("_", " ").capitalize(), value) for name, value in appeal.decision.statement.items()
            ],
        }
        return TemplateResponse(request, "admin/abuse/appeal/change_form.html", context, status=status)

    def decide_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Uphold or reverse."""
        appeal = self._appeal(pk)
        form = ReasonForm(request.POST)
        if not form.is_valid():
            return self._page(request, appeal, form, status=422)
        try:
            appeals.decide(
                appeal, actor=actor_of(request), reverse="reverse" in request.POST, reason=form.cleaned_data["reason"]
            )
        except AbuseError as error:
            form.add_error(None, str(error))
            return self._page(request, self._appeal(pk), form, status=409)
        messages.success(request, f"{appeal.get_state_display()}. The letter is on its way.")
        return redirect("admin:abuse_appeal_changelist")
