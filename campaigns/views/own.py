"""A person's own data: a copy by mail, and erasing it behind a link that is mailed too. GET shows, POST acts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from campaigns import erasure, own_data, returning
from campaigns.inbound.addresses import Links
from campaigns.views.unsubscribe import page, private, unknown


@csrf_exempt
@require_POST
def own_copy(request: HttpRequest, token: str) -> HttpResponse:
    """Mail a copy of what is stored to the address itself."""
    holder = returning.holder_of(token)
    if holder is None:
        return unknown(request, token)
    return page(request, "own_asked.html", holder, what="copy", is_mailed=own_data.mail_copy(holder))


@csrf_exempt
@require_POST
def own_erase_ask(request: HttpRequest, token: str) -> HttpResponse:
    """Mail the link that erases to the address itself."""
    holder = returning.holder_of(token)
    if holder is None:
        return unknown(request, token)
    return page(request, "own_asked.html", holder, what="erase", is_mailed=own_data.mail_erase_link(holder))


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def own_erase(request: HttpRequest, token: str) -> HttpResponse:
    """Show what erasing means; POST erases. Works once, and says so afterwards."""
    holder = own_data.holder_of_erase(token)
    if holder is None:
        return unknown(request, token)
    if request.method != "POST":
        return page(request, "own_erase.html", holder, stop_token=Links.of(holder.delivery.pk).token)
    name = holder.organization.name
    erasure.erase_holder(holder)
    return private(render(request, "campaigns/public/own_erased.html", {"sender": name}))
