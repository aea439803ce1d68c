"""Calling the person on duty: a mail by whichever relay works, and a signed request to a webhook. Decides nothing.

The webhook matters when no relay works. Its body is JSON; `X-Sendserver-Signature: t=<seconds>,v1=<hex>` is HMAC-SHA256
over "<t>.<body>" with ONCALL_WEBHOOK_KEY.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
import urllib.request
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError

from accounts.notices import send_notice

log = logging.getLogger(__name__)
TEMPLATE: Final = "emails/alarm.txt"
HOOK_SECONDS: Final = 10.0


def call(key: str, text: str, *, since: datetime, number: int = 1, over: datetime | None = None) -> None:
    """Call by both ways; one that fails is logged and does not keep the other from being tried."""
    try:
        _mail(key, text, since, number, over)
    except DatabaseError:
        log.exception("the mail about %s cannot be queued", key)
    hook(key, text, since=since, number=number, over=over)


def _mail(key: str, text: str, since: datetime, number: int, over: datetime | None) -> None:
    subject = f"Over: {key}" if over else f"Alarm: {key}" + (f" (call {number})" if number > 1 else "")
    context = {"key": key, "text": text, "since": since, "over": over, "url": f"{settings.BASE_URL}/staff/"}
    send_notice([settings.ONCALL_EMAIL], subject=subject, template=TEMPLATE, context=context)


def hook(key: str, text: str, *, since: datetime, number: int = 1, over: datetime | None = None) -> bool:
    """Tell the webhook, if there is one; tell whether it took it."""
    if not settings.ONCALL_WEBHOOK:
        return False
    body = json.dumps(
        {
            "key": key,
            "text": text,
            "state": "over" if over else "open",
            "since": since.isoformat(),
            "call": number,
            "portal": settings.BASE_URL,
        }
    ).encode()
    headers = {"Content-Type": "application/json", "X-Sendserver-Signature": signature(body, int(time.time()))}
    request = urllib.request.Request(settings.ONCALL_WEBHOOK, data=body, headers=headers, method="POST")  # noqa: S310 (checked at start)
    try:
        with _opener.open(request, timeout=HOOK_SECONDS) as answer:
            return 200 <= answer.status < 300
    except OSError as error:
        log.error("the webhook did not take %s: %s", key, error)  # noqa: TRY400 (its trace says nothing)
        return False


def signature(body: bytes, at: int) -> str:
    """Return the signature header of a body sent at `at` (seconds since 1970)."""
    mark = hmac.new(settings.ONCALL_WEBHOOK_KEY.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mark}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What we say is meant for the address that the operator set."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener: Final = urllib.request.build_opener(_NoRedirect())
