"""Open alarms on the start page, and the button by which a person says that somebody looks at it."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from abuse.moderation import may_moderate
from accounts.models import User
from campaigns import alarms
from campaigns.models import Alarm


def panel(request: HttpRequest) -> dict[str, Any]:
    """Return what the start page shows of alarms."""
    return {"alarms": list(alarms.live()), "may_acknowledge": may_moderate(request.user)}  # type: ignore[arg-type]


def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Note that this person looks at an alarm: it calls nobody again."""
    alarm = get_object_or_404(Alarm, pk=pk)
    user = cast(User, request.user)
    if not alarms.acknowledge(alarm, actor=user, name=user.get_full_name() or user.email):
        messages.info(request, "Somebody looks at it already, or it is over.")
    return redirect("admin:index")
