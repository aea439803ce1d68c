"""Filters of the case queue: open by default, by promise, by who holds it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from abuse.models import CaseState
from sendserver.lib import clock


class OpenFilter(admin.SimpleListFilter):
    """Open cases unless something else is asked for."""

    title = "state"
    parameter_name = "is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices beside "open"."""
        return [
            ("confirm", "Needs a second person"),
            ("asked", "Waits for the sender"),
            ("decided", "Decided"),
            ("all", "All"),
        ]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Call the default what it is."""
        rows = super().choices(changelist)
        yield {**next(rows), "display": "Open"}
        yield from rows

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter."""
        value = self.value()
        if value == "all":
            return queryset
        return queryset.filter(state=value) if value else queryset.exclude(state=CaseState.DECIDED)


class PromiseFilter(admin.SimpleListFilter):
    """When the promise ends."""

    title = "promise ends"
    parameter_name = "promise"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("4h", "Within 4 h"), ("day", "Within a day"), ("missed", "Missed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter."""
        now = clock.now()
        ends = {"4h": now + timedelta(hours=4), "day": now + timedelta(days=1), "missed": now}.get(self.value() or "")
        return queryset.filter(promised_until__lte=ends) if ends else queryset


class HolderFilter(admin.SimpleListFilter):
    """Who holds it."""

    title = "with"
    parameter_name = "with"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        self.person = request.user
        return [("nobody", "Nobody"), ("me", "Me")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter."""
        if self.value() == "me":
            return queryset.filter(claimed_by=request.user)
        return queryset.filter(claimed_by=None) if self.value() == "nobody" else queryset
