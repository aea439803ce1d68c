"""Rows of the staff area that are evidence: looked at, never added, edited or deleted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that staff may look at; what changes them are decisions, which have their own posts."""

    show_full_result_count = False
    list_title = ""  # when the plural Django makes is not a word
    list_intro = ""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: rows come from the product."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: state is moved by a decision, never edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: evidence stays."""
        return False

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the history under the same title as the list."""
        return super().history_view(request, object_id, {"list_title": self.list_title, **(extra_context or {})})
