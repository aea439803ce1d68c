"""Records to look up: every report with what was found, every decision. Read-only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from abuse import intake
from abuse.admin.base import DeskAdmin
from abuse.customer import statement_rows
from abuse.models import Complaint, Decision


class CaseFilter(admin.SimpleListFilter):
    """With or without a case: what could not be matched is looked at here."""

    title = "case"
    parameter_name = "case_is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("none", "Without a case"), ("some", "In a case")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter."""
        return queryset.filter(case__isnull=self.value() == "none") if self.value() else queryset


@admin.register(Complaint)
class ComplaintAdmin(DeskAdmin):
    """Reports as they came in."""

    list_display = ("what", "source", "grade", "organization", "case", "received_at")
    list_filter = (CaseFilter, "grade", "kind", "source")
    search_fields = ("reference", "organization__name", "case__reference")
    search_help_text = "Reference, organization"
    ordering = ("-pk",)
    list_select_related = ("organization", "case")
    list_title = "Reports"
    list_intro = "What people and mailbox providers told us, the newest first."
    fields = (
        "reference", "kind", "source", "grade", "organization", "case", "received_at", "stopped_at", "withdrawn_at",
        "reporter_name", "reporter_email", "share_identity", "never_platform", "network", "text", "signs", "pasted",
    )  # fmt: skip
    readonly_fields = ("signs", "pasted")

    @admin.display(description="what", ordering="kind")
    def what(self, complaint: Complaint) -> SafeString:
        """Name the report by what is wrong, with its reference."""
        return format_html(
            "{}<br><span class='muted small fw-4 text-nowrap'>{}</span>",
            complaint.get_kind_display(),
            complaint.reference,
        )

    @admin.display(description="signs found")
    def signs(self, complaint: Complaint) -> str:
        """List what the matcher found."""
        found = "; ".join(f"{where}: {what}" for where, what in complaint.found.get("signs", []))
        return f"{found}; the text is not what was sent" if complaint.found.get("altered") else found or "none"

    @admin.display(description="pasted source")
    def pasted(self, complaint: Complaint) -> SafeString:
        """Show the source as text."""
        return format_html('<pre class="s-source" tabindex="0">{}</pre>', intake.source_of(complaint) or "none")


@admin.register(Decision)
class DecisionAdmin(DeskAdmin):
    """Decisions with their statements."""

    list_display = ("reference", "kind", "organization", "rule", "actor", "at")
    list_filter = ("kind",)
    search_fields = ("reference", "organization__name", "case__reference")
    search_help_text = "Reference, organization"
    ordering = ("-pk",)
    list_select_related = ("organization", "actor")
    list_intro = "Append-only and hash-chained."
    fields = (
        "reference", "kind", "organization", "case", "by", "confirms", "rule", "reason", "customer_must", "said",
        "reporter_letter", "at",
    )  # fmt: skip
    readonly_fields = ("by", "said")

    @admin.display(description="actor")
    def by(self, decision: Decision) -> str:
        """Name who decided, without a link: moderators may not open colleagues' accounts."""
        return decision.actor.get_full_name()

    @admin.display(description="statement of reasons")
    def said(self, decision: Decision) -> SafeString:
        """Show the statement as the customer reads it."""
        return render_to_string("components/answers.html", {"rows": statement_rows(decision), "classes": ""})
