"""The pages of the local world: the outbox, the people behind the addresses, names, relays. Only where these run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST, require_safe

from campaigns.models import Delivery, Event
from sendserver.lib import clock, dkim_check
from sendserver.lib.tokens import Purpose, open_token
from sendserver.lib.words import typed
from sendserver.local import mailstore, manners, names, outbox, publishing, recipients
from sendserver.local.mailstore import LogLine
from sendserver.local.outbox import Opened, Query

VIEWS = {"html": "As rendered", "text": "Text", "source": "Source", "events": "What came back"}
# A mail may bring its own styles and its own pictures as data:, and nothing else; it cannot run or ask for anything.
FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
_TOKEN = re.compile(r"/u/([a-z0-9]{28})")
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)


@dataclass(frozen=True)
class Shown:
    """One message as the page shows it."""

    line: LogLine
    attempt: int
    opened: Opened
    delivery: Delivery | None

    @property
    def events(self) -> list[Event]:
        """Return what the portal recorded for this delivery."""
        return list(Event.objects.filter(delivery_id=self.delivery.pk).order_by("at", "pk")) if self.delivery else []


def _query(request: HttpRequest) -> Query:
    page = request.GET.get("p", "1")
    relay = request.GET.get("relay", "")
    return Query(
        text=request.GET.get("q", "").strip()[:200],
        relay=relay if relay in mailstore.KEYS else "",
        page=min(max(int(page), 1), 100_000) if page.isascii() and page.isdigit() and len(page) < 7 else 1,
    )


def _shown(queue_id: str) -> Shown:
    """Return a message. Raises Http404 when it is not kept."""
    found = outbox.outbox_of(settings.VAR_DIR).find(queue_id)
    opened = outbox.open_message(settings.VAR_DIR, queue_id) if found else None
    if found is None or opened is None:
        raise Http404
    return Shown(found[0], found[1], opened, _delivery(opened))


def _delivery(opened: Opened) -> Delivery | None:
    match = _TOKEN.search(opened.header("List-Unsubscribe"))
    number = open_token(Purpose.DELIVERY, match[1]) if match else None
    return Delivery.objects.select_related("campaign").filter(pk=number).first() if number else None


def _list_context(request: HttpRequest, current: str) -> dict[str, object]:
    query = _query(request)
    listing = outbox.outbox_of(settings.VAR_DIR).listing(query)
    given = request.GET.copy()
    given.pop("p", None)
    asked = given.copy()
    asked.pop("as", None)  # the tabs name the view themselves
    return {
        "query": query,
        "listing": listing,
        "current": current,
        "given": given.urlencode(),
        "asked": asked.urlencode(),
        "relays": mailstore.KEYS,
    }


@require_safe
def outbox_page(request: HttpRequest, queue_id: str = "") -> HttpResponse:
    """Show the list and one message, the newest unless one is named."""
    context = _list_context(request, queue_id)
    rows = context["listing"].rows  # type: ignore[attr-defined]
    chosen = queue_id or (rows[0].line.id if rows else "")
    view = request.GET.get("as", "html")
    if chosen:
        context |= {"shown": _shown(chosen), "current": chosen, "signatures": []}
    if chosen and view == "source":
        context |= _source_context(context["shown"].opened)  # type: ignore[attr-defined]
    if chosen and view == "events":
        context["reactions"] = outbox.outbox_of(settings.VAR_DIR).reactions_to(chosen)
    return render(
        request,
        "local/outbox.html",
        {**context, "view": view if view in VIEWS else "html", "views": VIEWS, "here": "outbox"},
    )


def _source_context(opened: Opened) -> dict[str, object]:
    lines, body = opened.source()
    signatures = dkim_check.check(opened.raw, publishing.key_text)
    one_click = bool(signatures) and all("list-unsubscribe-post" in signature.signed for signature in signatures)
    return {
        "header_lines": lines,
        "body": body,
        "signatures": signatures,
        "all_hold": bool(signatures) and all(signature.holds for signature in signatures),
        "one_click_signed": one_click,
        "longest_line": f"Longest line {opened.longest_line}",
    }


@require_safe
def outbox_list(request: HttpRequest) -> HttpResponse:
    """Return the list alone; the page asks for it every three seconds."""
    return render(request, "local/_list.html", _list_context(request, request.GET.get("current", "")))


@require_safe
@xframe_options_sameorigin
def frame(request: HttpRequest, queue_id: str) -> HttpResponse:
    """Return the HTML part for the sealed frame: no script, no request, links open beside it."""
    html = _shown(queue_id).opened.html
    # Only the target is set; base-uri forbids the mail a base of its own.
    page = _HEAD.sub(lambda match: f'{match[0]}<base target="_blank">', html, count=1)
    if page == html:
        page = f'<!doctype html><base target="_blank">{html}'
    return HttpResponse(page, headers={"Content-Security-Policy": FRAME_POLICY, "Referrer-Policy": "no-referrer"})


@require_safe
def eml(request: HttpRequest, queue_id: str) -> HttpResponse:
    """Return the message as a file."""
    raw = _shown(queue_id).opened.raw
    disposition = f'attachment; filename="{queue_id}.eml"'
    return HttpResponse(raw, content_type="message/rfc822", headers={"Content-Disposition": disposition})


@require_POST
def empty(request: HttpRequest) -> HttpResponse:
    """Throw the kept messages away."""
    outbox.empty(settings.VAR_DIR, clock.now())
    return redirect("local_outbox")


@require_POST
def react(request: HttpRequest, queue_id: str) -> HttpResponse:
    """Let the reader of a message do something now."""
    shown = _shown(queue_id)
    act = request.POST.get("act", "")
    if act not in recipients.ACTS:
        raise Http404
    try:
        recipients.react(recipients.World.from_settings(), shown.line, act)
    except recipients.CannotReactError as error:
        messages.warning(request, f"That did not work: {error}.")
    return redirect(f"{request.path.removesuffix('react/')}?as=events")


@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """Tell how the people behind the addresses behave, and what they did last."""
    box = outbox.outbox_of(settings.VAR_DIR)
    box.refresh()
    latest = list(reversed(box.reactions.lines))[:30]
    return render(
        request,
        "local/people.html",
        {
            "manners": manners.TABLE,
            "ordinary": manners.ORDINARY,
            "latest": latest,
            "words": outbox.REACTIONS,
            "here": "people",
        },
    )


@require_safe
def relays(request: HttpRequest) -> HttpResponse:
    """Show both relays: what each took, and its last lines."""
    box = outbox.outbox_of(settings.VAR_DIR)
    box.refresh()
    cards = [
        {
            "config": config,
            "reader": reader,
            "last": list(reversed(reader.lines))[:12],
            "listens": recipients.listens(config),
        }
        for config, reader in zip(settings.RELAYS.values(), box.readers, strict=True)
    ]
    return render(request, "local/relays.html", {"cards": cards, "here": "relays"})


@require_safe
def names_page(request: HttpRequest) -> HttpResponse:
    """Show the names of this world and which domains still want records."""
    context = {"domains": publishing.domains(), "published": names.published(settings.VAR_DIR), "here": "names"}
    return render(request, "local/names.html", context)


@require_POST
def publish(request: HttpRequest) -> HttpResponse:
    """Publish the records that a domain wants, as its owner would at a registrar."""
    publishing.publish(typed(request.POST.get("domain", "")))
    return redirect("local_names")


@require_POST
def withdraw(request: HttpRequest) -> HttpResponse:
    """Take a domain's records away again, to see what the portal says then."""
    publishing.withdraw(typed(request.POST.get("domain", "")))
    return redirect("local_names")
