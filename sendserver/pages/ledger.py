"""The public page of the ledger's signed heads."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts import ledger_heads
from sendserver.lib import heads

SHOWN: Final = 24  # a day's worth: one an hour at most


@require_safe
def ledger(request: HttpRequest) -> HttpResponse:
    """Show the newest heads and the keys that sign them; they say nothing about anybody."""
    return render(request, "pages/ledger.html", {"heads": ledger_heads.latest(SHOWN), "keys": heads.public_keys()})


@require_safe
def ledger_lines(request: HttpRequest) -> HttpResponse:
    """Return the same heads for programs, one JSON object a line, newest first."""
    lines = "".join(f"{head.as_line()}\n" for head in ledger_heads.latest(SHOWN))
    return HttpResponse(lines, content_type="application/jsonl; charset=utf-8")
