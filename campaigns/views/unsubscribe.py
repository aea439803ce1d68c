"""Unsubscribing, undoing it, preferences, lost links: no account, no cookie, no question (rules UNSUB-*).

GET shows, POST acts: link scanners follow GETs (RFC 8058 section 1). The token is the permission, so these views are
exempt from the CSRF token, which would need a cookie that a mail program does not have.
"""

from __future__ import annotations

from typing import Final

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from campaigns import returning
from campaigns.returning import Holder
from sendserver.lib import ratelimit
from sendserver.lib.clientip import client_ip, prefix

LOST_AN_HOUR: Final = 10  # from one network
LOST_A_DAY: Final = 3  # to one address
_FORM_MAX: Final = 2000


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Show one page with one button; POST unsubscribes, from the page or by RFC 8058 one-click."""
    holder = returning.holder_of(token)
    if holder is None:
        return _unknown(request, token)
    if request.method != "POST":
        return _page(request, "unsubscribe.html", holder)
    if not _from_page(request):
        returning.stop(holder, source="one_click")
        return HttpResponse("You are unsubscribed.\n", content_type="text/plain; charset=utf-8")
    returning.stop(holder, source="page")
    return _page(request, "unsubscribed.html", holder, can_undo=True)


@csrf_exempt
@require_POST
def undo(request: HttpRequest, token: str) -> HttpResponse:
    """Take back an unsubscribe of this page within ten minutes."""
    holder = returning.holder_of(token)
    if holder is None:
        return _unknown(request, token)
    return _page(request, "undone.html", holder, was_undone=returning.take_back(holder))


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """Let the person choose among this sender's lists, pause, stop it, or stop every sender."""
    holder = returning.holder_of(token)
    if holder is None:
        return _unknown(request, token)
    done = _choose(request, holder) if request.method == "POST" else ""
    lists = returning.lists_of(holder)
    return _page(request, "preferences.html", holder, lists=lists, pauses=returning.PAUSES, done=done)


def _choose(request: HttpRequest, holder: Holder) -> str:
    """Do what was chosen and return the sentence that says so."""
    act = request.POST.get("act", "")
    if act == "never":
        returning.stop(holder, source="preferences", platform=True)
        return "No sender can reach this address through us any more."
    if act in {f"pause-{days}" for days in returning.PAUSES}:
        days = int(act.removeprefix("pause-"))
        returning.pause(holder, days)
        return f"{holder.organization.name} cannot send to this address for {days} days."
    if act == "lists":
        left = returning.keep_lists(holder, set(request.POST.getlist("list")))
        return f"Saved. You left {left} {'list' if left == 1 else 'lists'}." if left else "Saved. Nothing changed."
    return ""


@require_http_methods(["GET", "HEAD", "POST"])
def lost_link(request: HttpRequest) -> HttpResponse:
    """Mail lost links to the address itself; the answer is the same whether we know it or not."""
    sent = False
    if request.method == "POST":
        address = request.POST.get("address", "")[:254].strip()
        sent = True
        network = prefix(client_ip(request))
        if ratelimit.allow("lost_link", network, limit=LOST_AN_HOUR, seconds=3600) and ratelimit.allow(
            "lost_link_to", address.lower(), limit=LOST_A_DAY, seconds=86_400
        ):
            returning.mail_lost_links(address)
    return render(request, "campaigns/public/lost_link.html", {"sent": sent})


def _from_page(request: HttpRequest) -> bool:
    """Tell our page's button from a mail program's POST, whatever that one sends (RFC 8058 section 3.2)."""
    if request.content_type != "application/x-www-form-urlencoded":
        return False
    try:
        return b"from=page" in request.body[:_FORM_MAX]
    except (RawPostDataException, RequestDataTooBig, OSError):
        return False


def _page(request: HttpRequest, template: str, holder: Holder, **more: object) -> HttpResponse:
    response = render(request, f"campaigns/public/{template}", {"holder": holder, **more})
    return private(response)


def _unknown(request: HttpRequest, token: str) -> HttpResponse:
    """Answer for a test message, or for a token that is not ours, altered, or of another purpose."""
    is_test = returning.is_test_token(token)
    response = render(request, "campaigns/public/unknown.html", {"is_test": is_test}, status=200 if is_test else 404)
    return private(response)


def private(response: HttpResponse) -> HttpResponse:
    """Keep the page out of caches, search engines and other sites' referrer logs: its address is the key."""
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response
