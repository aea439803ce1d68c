"""The two relays as staff see them: pace, what waits, faults; pause and resume with a reason; doubts and brakes."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse

from abuse.measures import OURS
from abuse.moderation import may_moderate
from accounts import audit
from accounts.models import User
from campaigns import brakes
from campaigns.errors import CampaignError
from campaigns.models import (
    Brake,
    Chunk,
    Delivery,
    Outcome,
    RelayLog,
    RelayState,
    Retry,
    SetAside,
    SystemMail,
    Tally,
)
from campaigns.sending import aside, poke, relay_log, resolve
from campaigns.sending import relays as sending
from sendserver.lib import clock
from sendserver.lib.addresses import masked
from sendserver.lib.words import typed

LAST: Final = 5000  # newest answers that pace and refusals are counted from
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SHOWN: Final = 100
WORDS: Final = {"relay.paused": "paused", "relay.drained": "being drained", "relay.resumed": "in use again"}


def panel() -> dict[str, Any]:
    """Return what the relay panel shows; counts come from the newest answers, so the page stays cheap."""
    now = clock.now()
    newest = list(Outcome.objects.order_by("-pk").values_list("relay", "state", "at", "code")[:LAST])
    pace = Counter(relay for relay, state, at, _ in newest if state == "accepted" and at > now - MINUTE)
    slow = Counter(relay for relay, _, at, code in newest if at > now - HOUR and code and 400 <= code < 500)
    states = {row.key: row for row in RelayState.objects.select_related("paused_by")}
    return {
        "relays": [
            _relay(key, number, states.get(key), pace, slow) for number, key in enumerate(sending.KEYS, start=1)
        ],
        "doubts": doubts().count(),
        "brakes_on": Brake.objects.filter(lifted_at=None).count(),
    }


def _relay(key: str, number: int, row: RelayState | None, pace: Counter[str], slow: Counter[str]) -> dict[str, Any]:
    own_mail = SystemMail.objects.filter(relay=key, state__in=(SystemMail.State.QUEUED, SystemMail.State.SENDING))
    open_chunks = Chunk.objects.filter(relay=key).exclude(state=Chunk.State.DONE)
    waiting = open_chunks.aggregate(n=Sum(F("last_seq") - F("first_seq") + 1))["n"] or 0
    return {
        "key": key,
        "number": number,
        "name": settings.RELAYS[key].name,
        "row": row,
        "status": _status(row, pace[key]),
        "facts": [
            ("Pace", f"{pace[key]:,} a minute"),
            ("Waiting", f"{waiting:,}"),
            ("To try again", f"{Retry.objects.filter(relay=key).count():,}"),
            ("4xx, 1 h", f"{slow[key]:,}"),
            ("Our own mail", f"{own_mail.count():,} waiting"),
            ("Last good", f"{row.last_ok_at:%H:%M:%S}" if row and row.last_ok_at else "not yet"),
            ("Its log", _log_words(key)),
            ("Self-test", _probe_words(row)),
        ],
    }


def _probe_words(row: RelayState | None) -> str:
    """Return what came of the last self-test, in words."""
    if not settings.RELAY_SELF_TEST:
        return "not set up"
    if row is None or row.probe_at is None:
        return "none came home yet"
    return f"passed {row.probe_at:%H:%M}" if row.probe_ok else f"failed {row.probe_at:%d %b %H:%M}. {row.probe_detail}"


def _log_words(key: str) -> str:
    """Return how far the relay's own log was read, in a few words."""
    if not settings.RELAYS[key].log_file:
        return "not read"
    mark = RelayLog.objects.filter(key=key).first()
    if mark is None or mark.read_to is None:
        return mark.trouble if mark and mark.trouble else "nothing yet"
    gap = f"; {mark.trouble}" if mark.trouble else ""
    return f"read to {mark.read_to:%d %b %H:%M:%S}{gap}"


def _status(row: RelayState | None, pace: int) -> tuple[str, str]:
    if row is None:
        return ("Not used yet", "")
    if row.paused_at:
        return ("Draining", "warn") if row.drains else ("Paused", "warn")
    if row.open_until and row.open_until > clock.now():
        return (f"Silent: {row.last_error[:80]}", "bad")
    if sending.is_gated(row.key):
        return ("No campaigns: self-test failed" if row.probe_at else "Waiting for its self-test", "bad")
    return ("Sending", "ok") if pace else ("Ready", "ok")


def doubts() -> QuerySet[Outcome]:
    """Return deliveries in doubt now, over all campaigns; tallies say where to look, so no log is read through."""
    campaigns = Tally.objects.filter(state=Outcome.State.IN_DOUBT, count__gt=0).values("campaign_id")
    later = Outcome.objects.filter(delivery_id=OuterRef("delivery_id"), pk__gt=OuterRef("pk"))
    return Outcome.objects.filter(~Exists(later), state=Outcome.State.IN_DOUBT, campaign_id__in=campaigns)


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show the servers page: both relays with pause and resume, messages in doubt, brakes."""
    rows = list(doubts().order_by("-pk")[:SHOWN])
    found = Delivery.objects.select_related("campaign", "organization").in_bulk([row.delivery_id for row in rows])
    pairs = [(row, found[row.delivery_id]) for row in rows if row.delivery_id in found]
    live = Brake.objects.filter(lifted_at=None).select_related("campaign", "organization").order_by("-pk")[:SHOWN]
    extra = {
        "title": "Relays",
        "doubt_rows": [(row, delivery, masked(delivery.address)) for row, delivery in pairs],
        "aside_rows": [(row, masked(row.delivery.address)) for row in _aside()],
        "brake_rows": [(brake, brake.kind in OURS) for brake in live],
        "may_act": may_moderate(_actor(request)),
        **panel(),
    }
    return TemplateResponse(request, "admin/staff_relays.html", {**context, **extra})


def _aside() -> QuerySet[SetAside]:
    """Return what was set aside and waits for an order, newest first."""
    waiting = SetAside.objects.filter(ordered_at=None).select_related("delivery", "campaign", "organization")
    return waiting.order_by("-set_at")[:SHOWN]


def now(request: HttpRequest) -> HttpResponse:
    """Answer with the relay panel alone, for the page that asks every 10 s."""
    return render(request, "admin/relay_panel.html", panel())


def pause(request: HttpRequest, key: str) -> HttpResponse:
    """Pause a relay, with a reason: its work waits."""
    return _switch(request, key, "relay.paused")


def drain(request: HttpRequest, key: str) -> HttpResponse:
    """Drain a relay, with a reason: the other one takes its work."""
    return _switch(request, key, "relay.drained")


def resume(request: HttpRequest, key: str) -> HttpResponse:
    """Resume a relay, with a reason."""
    return _switch(request, key, "relay.resumed")


def _switch(request: HttpRequest, key: str, action: str) -> HttpResponse:
    reason = typed(request.POST.get("reason", ""))
    if key not in sending.KEYS:
        raise Http404
    if not reason:
        messages.error(request, "Say why.")
        return redirect("admin:staff_relays")
    with transaction.atomic():
        done = _moved(request, key, action, reason)
        if done:
            audit.record(action, actor=_actor(request), subject=f"relay:{key}", reason=reason)
            poke.poke_after_commit(sending.KEYS)  # the other one may have to take over
    word = WORDS[action]
    messages.success(request, f"{key} is {word}.") if done else messages.info(request, f"{key} was {word} already.")
    return redirect("admin:staff_relays")


def _moved(request: HttpRequest, key: str, action: str, reason: str) -> bool:
    if action == "relay.resumed":
        return sending.resume(key)
    return sending.hold(key, actor=_actor(request), reason=reason, drain=action == "relay.drained")


def settle(request: HttpRequest, pk: int) -> HttpResponse:
    """Settle a message in doubt: send it again, or call it accepted; both with a reason."""
    delivery = get_object_or_404(Delivery, pk=pk)
    reason = typed(request.POST.get("reason", ""))
    if not reason:
        messages.error(request, "Say why: what did you see?")
        return redirect("admin:staff_relays")
    act = resolve.resend if "resend" in request.POST else resolve.call_accepted
    try:
        act(delivery, actor=_actor(request), reason=reason)
    except CampaignError as error:
        messages.error(request, str(error))
    return redirect("admin:staff_relays")


def try_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Order one more try of a message that ended its process, with a reason."""
    row = get_object_or_404(SetAside.objects.select_related("delivery__campaign", "delivery__organization"), pk=pk)
    reason = typed(request.POST.get("reason", ""))
    if not reason:
        messages.error(request, "Say why: what is different now?")
        return redirect("admin:staff_relays")
    try:
        aside.try_again(row, actor=_actor(request), reason=reason)
    except CampaignError as error:
        messages.error(request, str(error))
    return redirect("admin:staff_relays")


def lift(request: HttpRequest, pk: int) -> HttpResponse:
    """Lift a brake that a decision, a rate or a fault has set, with a reason."""
    brake = get_object_or_404(Brake, pk=pk)
    reason = typed(request.POST.get("reason", ""))
    if brake.kind == Brake.Kind.CUSTOMER:
        messages.error(request, "The customer paused this; only the customer resumes it.")
    elif not reason:
        messages.error(request, "Say why.")
    elif brake.kind == Brake.Kind.EPOCH and not relay_log.is_caught_up(brake.set_at):
        messages.error(request, "The relays' logs are not read up to now. Wait until they are: see above.")
    elif not brakes.lift(brake, actor=_actor(request), reason=reason):
        messages.info(request, "This brake was lifted already.")
    return redirect("admin:staff_relays")


def _actor(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]
