"""The staff area: Django's AdminSite at /staff/ behind a second factor."""

from __future__ import annotations

from allauth.mfa.utils import is_mfa_enabled
from django.contrib.admin import AdminSite
from django.http import HttpRequest


class StaffSite(AdminSite):
    """Our AdminSite; queues and counts come from `each_context`."""

    site_header = "Staff"
    site_title = "Sendserver staff"
    index_title = "What waits"
    site_url = "/"

    def has_permission(self, request: HttpRequest) -> bool:
        """Let in active staff who have a second factor (reliability, section 4)."""
        return super().has_permission(request) and is_mfa_enabled(request.user)
