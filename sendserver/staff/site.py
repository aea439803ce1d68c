"""The staff area: Django's AdminSite at /staff/ behind a second factor."""

from __future__ import annotations

from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse

from sendserver.staff import nav


class StaffSite(AdminSite):
    """Our AdminSite: queues and counts come from `each_context`."""

    site_header = "Staff"
    site_title = "Sendserver staff"
    index_title = "What waits"
    site_url = "/"

    def has_permission(self, request: HttpRequest) -> bool:
        """Let in active staff who have a second factor."""
        return super().has_permission(request) and is_mfa_enabled(request.user)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what every staff page shows: the queues with their counts."""
        return {**super().each_context(request), "staff_nav": nav.groups(request)}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show what waits."""
        return super().index(request, extra_context)
