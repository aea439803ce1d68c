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

from campaigns import choosing, lost_links, returning
from campaigns.returning import Holder
from sendserver.lib.clientip import client_ip, prefix

ADDRESS_MAX: Final = 254  # octets, RFC 5321 section 4.5.3.1.3
_FORM_MAX: Final = 2000


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Show one page with one button; POST unsubscribes, from the page or by RFC 8058 one-click."""
    holder = returning.holder_of(token)
    if holder is None:
        return unknown(request, token)
    if request.method != "POST":
        return page(request, "unsubscribe.html", holder)
    if not _from_page(request):
        returning.stop(holder, source="one_click")
        return HttpResponse("You are unsubscribed.\n", content_type="text/plain; charset=utf-8")
    returning.stop(holder, source="page")
    return page(request, "unsubscribed.html", holder)


@csrf_exempt
@require_POST
def undo(request: HttpRequest, token: str) -> HttpResponse:
    """Take back an unsubscribe of this page within ten minutes."""
    holder = returning.holder_of(token)
    if holder is None:
        return unknown(request, token)
    return page(request, "undone.html", holder, was_undone=returning.take_back(holder))


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """Let the person choose among this sender's lists, pause, stop it, or stop every sender."""
    holder = returning.holder_of(token)
    if holder is None:
        return unknown(request, token)
    done = _choose(request, holder) if request.method == "POST" else ""
    topics = choosing.topics_of(holder)
    counts = any(row.tracking_consent_at for row in holder.contacts)
    return page(request, "preferences.html", holder, topics=topics, pauses=choosing.PAUSES, counts=counts, done=done)


def _choose(request: HttpRequest, holder: Holder) -> str:
    """Do what was chosen and return the sentence that says so; "" for what is no choice of ours."""
    act = request.POST.get("act", "")
    name = holder.organization.name
    if act == "never":
        returning.stop(holder, source="preferences", platform=True)
        return "No sender can reach this address through us any more."
    if act in {f"pause-{days}" for days in choosing.PAUSES}:
        days = int(act.removeprefix("pause-"))
        choosing.pause(holder, days)
        return f"{name} cannot send to this address for {days} days. After that everything is as before."
    if act == "resume":
        return "The break has ended." if choosing.end_pause(holder) else "There was no break."
    if act == "tracking-off":
        choosing.withdraw_tracking(holder)
        return f"{name} no longer counts what you open and click, in mail you already have as well."
    return _keep(request, holder) if act == "lists" else ""


def _keep(request: HttpRequest, holder: Holder) -> str:
    left, back = choosing.keep(holder, set(request.POST.getlist("list")))
    parts = [
        f"{verb} {count} {'list' if count == 1 else 'lists'}"
        for verb, count in (("left", left), ("are back on", back))
        if count
    ]
    return f"Saved. You {' and '.join(parts)}." if parts else "Saved. Nothing changed."


@require_http_methods(["GET", "HEAD", "POST"])
def lost_link(request: HttpRequest) -> HttpResponse:
    """Have lost links mailed to the address itself; answer and time are the same whether we know it or not."""
    is_sent = request.method == "POST"
    if is_sent:
        lost_links.ask(request.POST.get("address", "")[:ADDRESS_MAX].strip(), prefix(client_ip(request)))
    return render(request, "campaigns/public/lost_link.html", {"sent": is_sent})


def _from_page(request: HttpRequest) -> bool:
    """Tell our page's button from a mail program's POST, whatever that one sends (RFC 8058 section 3.2)."""
    if request.content_type != "application/x-www-form-urlencoded":
        return False
    try:
        return b"from=page" in request.body[:_FORM_MAX]
    except (RawPostDataException, RequestDataTooBig, OSError):
        return False


def page(request: HttpRequest, template: str, holder: Holder, **more: object) -> HttpResponse:
    """Return one of the person's own pages, kept out of caches."""
    response = render(request, f"campaigns/public/{template}", {"holder": holder, **more})
    return private(response)


def unknown(request: HttpRequest, token: str) -> HttpResponse:
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
