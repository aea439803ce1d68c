"""What the lists of the staff area share: the clock of a promise, and queues that open with what waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, TextChoices
from django.http import HttpRequest
from django.utils.safestring import SafeString

from sendserver.lib import clock
from sendserver.lib.tags import tag
from sendserver.lib.words import duration

PRESSING = 2 * 3600  # seconds left from which a promise is drawn red
NEAR = 8 * 3600


def promise(until: datetime) -> SafeString:
    """Draw the time left until a promise ends."""
    left = (until - clock.now()).total_seconds()
    if left < 0:
        return tag(f"missed by {duration(-left)}", "bad", "clock")
    return tag(duration(left), "bad" if left < PRESSING else "warn" if left < NEAR else "", "clock")


def waiting_first(states: type[TextChoices], *waiting: str, hidden: tuple[str, ...] = ()) -> type[admin.ListFilter]:
    """Return a filter on `state` that shows `waiting` until another state is chosen; a search looks through all."""

    class StateFilter(admin.SimpleListFilter):
        title = "state"
        parameter_name = "is"

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            self.is_search = bool(request.GET.get("q"))
            others = [(key, label) for key, label in states.choices if key not in (*waiting, *hidden)]
            return others if self.is_search else [*others, ("all", "All")]

        def choices(self, changelist: Any) -> Iterator[Any]:
            rows = super().choices(changelist)
            yield {**next(rows), "display": "All" if self.is_search else "Waits for staff"}
            yield from rows

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = self.value()
            if value == "all" or (not value and self.is_search):
                return queryset
            return queryset.filter(state=value) if value else queryset.filter(state__in=waiting)

    return StateFilter
