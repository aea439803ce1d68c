"""Why did I get this."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from campaigns import returning
from campaigns import why as logic
from campaigns.views.unsubscribe import private


@require_safe
def why(request: HttpRequest, token: str) -> HttpResponse:
    """Show who sent it, on what permission, and what one can do."""
    holder = returning.holder_of(token)
    if holder is None:
        is_test = returning.is_test_token(token)
        page = render(request, "campaigns/public/unknown.html", {"is_test": is_test}, status=200 if is_test else 404)
        return private(page)
    return private(render(request, "campaigns/public/why.html", {"holder": holder, "why": logic.explain(holder)}))
