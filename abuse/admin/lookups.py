"""Stock lists without a queue: organizations and the audit log."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from abuse.admin.base import DeskAdmin
from accounts.models import AuditEntry, Organization, User
from sendserver.lib.tags import standing_tag


@admin.register(Organization)
class OrganizationAdmin(DeskAdmin):
    """All tenants; standing and allowance are moved by decisions only."""

    list_display = ("name", "standing_word", "a_day", "created_at")
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
        "a_day",
        "time_zone",
        "created_at",
        "closed_at",
    )
    readonly_fields = fields

    @admin.display(description="standing", ordering="standing")
    def standing_word(self, organization: Organization) -> str:
        """Draw the standing."""
        return standing_tag(organization.standing)

    @admin.display(description="daily allowance", ordering="daily_allowance")
    def a_day(self, organization: Organization) -> str:
        """Write the allowance as the customer reads it."""
        return f"{organization.daily_allowance:,} a day" if organization.daily_allowance else "none"


@admin.register(AuditEntry)
class AuditAdmin(DeskAdmin):
    """Who did what, when and why; the table itself refuses changes."""

    list_display = ("at", "action", "about", "organization", "who", "reason")
    list_filter = ("action",)
    show_facets = admin.ShowFacets.NEVER  # counting the whole log on every look is not worth it
    search_fields = ("action", "subject", "reason", "organization__name")
    search_help_text = "Act, subject, reason, organization"
    ordering = ("-id",)
    list_select_related = ("organization",)
    list_title = "Audit log"
    list_intro = "Append-only and hash-chained."
    fields = ("at", "action", "subject", "organization", "who", "actor_uid", "reason", "detail")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """Return entries with the name behind each actor, who is known by id only."""
        actor = User.objects.filter(uid=OuterRef("actor_uid"))
        return super().get_queryset(request).annotate(actor_name=Subquery(actor.values("name")[:1]))

    @admin.display(description="about", ordering="subject")
    def about(self, entry: AuditEntry) -> SafeString:
        """Name the subject by its kind and the start of its id; the whole id stands on the entry's page."""
        kind, _, uid = entry.subject.partition(":")
        return format_html("{} <code>{}</code>", kind.replace("_", " "), uid[:8])

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> str:
        """Name who acted."""
        if entry.actor_uid is None:
            return "the system"
        return getattr(entry, "actor_name", "") or str(entry.actor_uid)[:8]
