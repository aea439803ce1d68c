"""Counted links: the address carries campaign and number, the target stands in our table (rules TRK-LINK)."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_safe

from campaigns import tracking
from campaigns.views.unsubscribe import private
from sendserver.lib import clock


@require_safe
def click(request: HttpRequest, token: str, number: int) -> HttpResponse:
    """Count and redirect; 404 for whatever is not ours. Nothing about the visitor is kept.

    Whoever clicks a link of a sender that staff have stopped reads where it leads, and goes on only by hand.
    """
    link = tracking.find(token, number)
    if link is None or not link.url.startswith(("https://", "http://")):
        raise Http404
    if tracking.is_stopped(link):
        return private(render(request, "campaigns/public/stopped_link.html", {"target": link.url}))
    automated = tracking.looks_automated(request.method or "", request.headers)
    tracking.count(link, clock.now(), automated=automated)
    response = HttpResponseRedirect(link.url)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response
