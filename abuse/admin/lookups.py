"""Stock lists without a queue: organizations and the audit log."""

from __future__ import annotations

from django.contrib import admin

from abuse.admin.base import ReadOnlyAdmin
from accounts.models import AuditEntry, Organization
from sendserver.lib.tags import standing_tag


@admin.register(Organization)
class OrganizationAdmin(ReadOnlyAdmin):
    """All tenants; standing and allowance are moved by decisions only."""

    list_display = ("name", "standing_word", "daily_allowance", "created_at")
    list_filter = ("standing",)
    search_fields = ("name", "domains__name", "profile__legal_name", "memberships__user__email")
    change_form_template = "admin/abuse/organization.html"
    search_help_text = "Name, legal name, domain, member"
    ordering = ("name",)
    fields = (
        "name",
        "uid",
        "standing_word",
        "standing_since",
        "daily_allowance",
        "time_zone",
        "created_at",
        "closed_at",
    )
    readonly_fields = fields

    @admin.display(description="standing", ordering="standing")
    def standing_word(self, organization: Organization) -> str:
        """Draw the standing."""
        return standing_tag(organization.standing)


@admin.register(AuditEntry)
class AuditAdmin(ReadOnlyAdmin):
    """Who did what, when and why; the table itself refuses changes."""

    list_display = ("at", "action", "subject", "organization", "actor_uid", "reason")
    list_filter = ("action",)
    show_facets = admin.ShowFacets.NEVER  # counting the whole log on every look is not worth it
    search_fields = ("action", "subject", "reason", "organization__name")
    search_help_text = "Act, subject, reason, organization"
    ordering = ("-id",)
    list_select_related = ("organization",)
    show_full_result_count = False
    list_title = "Audit log"
    list_intro = "Append-only and hash-chained."
    fields = ("at", "action", "subject", "organization", "actor_uid", "reason", "detail")
    readonly_fields = fields
