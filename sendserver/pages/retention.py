"""Retention over all floors: which rules there are, the nightly run, and the staff's page."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from abuse import retention as reports
from campaigns import retention as sending
from compliance import retention
from compliance.models import RetentionRun
from compliance.retention import Result

RULES: Final = (*retention.RULES, *sending.RULES, *reports.RULES)
SHOWN: Final = 14  # nights


def run(*, dry: bool) -> list[Result]:
    """Apply all rules, or with `dry` count what they would do."""
    return retention.run(RULES, dry=dry)


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show what is kept how long, and what the last nights deleted."""
    runs = list(RetentionRun.objects.order_by("-pk")[:SHOWN])
    last = {one["code"]: one for one in runs[0].results} if runs else {}
    rows = [(rule, last.get(rule.code)) for rule in RULES]
    nights = [
        (one, sum(each["rows"] for each in one.results), sum(each["rest"] for each in one.results)) for one in runs
    ]
    extra = {"title": "Retention", "rows": rows, "nights": nights}
    return TemplateResponse(request, "admin/staff_retention.html", {**context, **extra})
