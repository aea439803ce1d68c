"""Why did I get this."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from campaigns import returning
from campaigns import why as logic
from campaigns.views.unsubscribe import page, unknown


@require_safe
def why(request: HttpRequest, token: str) -> HttpResponse:
    """Show who sent it, on what permission, and what one can do."""
    holder = returning.holder_of(token)
    if holder is None:
        return unknown(request, token)
    return page(request, "why.html", holder, why=logic.explain(holder))
