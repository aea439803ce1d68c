"""The start page: four queues with their oldest promise, both relays, and everything open with filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from django.core.paginator import Paginator
from django.http import HttpRequest

from accounts.models import Standing
from sendserver.staff import alarms, queues, relays
from sendserver.staff.queues import Waiting

PAGE: Final = 14
QUEUES: Final = (
    ("cases", "Cases", "admin:abuse_case_changelist"),
    ("verifications", "Verifications", "admin:accounts_verification_changelist"),
    ("uploads", "Risky uploads", "admin:compliance_importjob_changelist"),
    ("campaigns", "Held campaigns", "admin:campaigns_campaign_changelist"),
    ("appeals", "Appeals", "admin:abuse_appeal_changelist"),
)
PROMISES: Final = {"4h": ("Within 4 h", 4 * 3600), "day": ("Within a day", 86_400), "missed": ("Missed", 0)}


def page(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the start page."""
    rows = queues.everything()
    shown = _filtered(rows, request)
    query = request.GET.copy()
    query.pop("page", None)
    return {
        "queues": [_queue(key, label, name, rows) for key, label, name in QUEUES],
        "total": len(rows),
        "oldest": rows[0] if rows else None,
        "next_url": rows[0].url if rows else "",
        "page_obj": Paginator(shown, PAGE).get_page(request.GET.get("page")),
        "filters": _filters(rows, request),
        "q": request.GET.get("q", ""),
        **alarms.panel(request),
        **relays.panel(),
    }


def _queue(key: str, label: str, name: str, rows: list[Waiting]) -> dict[str, Any]:
    mine = [row for row in rows if row.queue == key]
    oldest = mine[0] if mine else None
    edge = f"edge-{oldest.colour}" if oldest and oldest.colour else "edge-line"
    return {"label": label, "url_name": name, "count": queues.counts()[key], "oldest": oldest, "edge": edge}


def _filtered(rows: list[Waiting], request: HttpRequest) -> list[Waiting]:
    for name, test in _tests(request).items():
        if request.GET.get(name):
            rows = [row for row in rows if test(row)]
    words = request.GET.get("q", "").strip().lower()
    return [row for row in rows if words in f"{row.reference} {row.organization.name} {row.title}".lower()]


def _tests(request: HttpRequest) -> dict[str, Callable[[Waiting], bool]]:
    get = request.GET.get
    seconds = PROMISES.get(get("promise", ""), ("", 10**12))[1]
    who = request.user if get("with") == "me" else None
    return {
        "kind": lambda row: row.queue == get("kind"),
        "promise": lambda row: row.seconds <= seconds,
        "with": lambda row: row.held_by == who,
        "standing": lambda row: row.organization.standing == get("standing"),
    }


def _filters(rows: list[Waiting], request: HttpRequest) -> list[dict[str, Any]]:
    kinds = Counter(row.queue for row in rows)
    standings = Counter(row.organization.standing for row in rows)
    held = {"nobody": sum(row.held_by is None for row in rows), "me": sum(row.held_by == request.user for row in rows)}
    late = {key: sum(row.seconds <= seconds for row in rows) for key, (_, seconds) in PROMISES.items()}
    return [
        _filter(request, "Kind", "kind", "All", [(key, label, kinds[key]) for key, label, _ in QUEUES], len(rows)),
        _filter(
            request,
            "Promise ends",
            "promise",
            "Any time",
            [(key, label, late[key]) for key, (label, _) in PROMISES.items()],
            len(rows),
        ),
        _filter(request, "With", "with", "Anyone", [(key, key.capitalize(), n) for key, n in held.items()], len(rows)),
        _filter(
            request,
            "Standing",
            "standing",
            "Any",
            [(value, value.capitalize(), standings[value]) for value in Standing.values if standings[value]],
            len(rows),
        ),
    ]


def _filter(  # noqa: PLR0913, PLR0917
    request: HttpRequest, title: str, name: str, everything: str, choices: list[tuple[str, str, int]], total: int
) -> dict[str, Any]:
    chosen = request.GET.get(name, "")
    rows = [("", everything, total), *choices]
    return {
        "title": title,
        "choices": [
            {"label": label, "count": number, "current": key == chosen, "url": _url(request, name, key)}
            for key, label, number in rows
        ],
    }


def _url(request: HttpRequest, name: str, key: str) -> str:
    query = request.GET.copy()
    query.pop("page", None)
    query[name] = key
    return f"?{query.urlencode()}"
