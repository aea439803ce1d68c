"""What all our staff pages share: evidence is shown, never edited, added or deleted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that staff may look at; what changes them are decisions, which have their own forms."""

    actions_on_top = True
    show_facets = admin.ShowFacets.ALWAYS
    list_per_page = 50
    list_title = ""  # when the plural Django makes is not a word
    list_intro = ""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: rows come from the product."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: state fields are never edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: evidence stays."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let every member of staff look."""
        return bool(request.user.is_active and request.user.is_staff)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Let every member of staff find the list."""
        return self.has_view_permission(request)
