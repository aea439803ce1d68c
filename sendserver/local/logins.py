"""What is printed after a start: who can sign in, with what, and what to click."""

from __future__ import annotations

from django.conf import settings

from accounts.models import User
from sendserver.local import demo
from sendserver.local import demo_people as cast


def text() -> str:
    """Return the demo logins with the codes of this half minute; "" when no story was told."""
    known = set(
        User.objects.filter(email__in=[actor.email for actor in (*cast.CUSTOMERS, *cast.STAFF)]).values_list(
            "email", flat=True
        )
    )
    if not known:
        return ""
    own = demo.everybody()
    lines = ["", "Sign in at " + settings.BASE_URL + "/account/login/ as"]
    for actor in (*cast.CUSTOMERS, *cast.STAFF):
        if actor.email in known:
            code = f"  code {own[actor.key].code()}" if actor.has_app else ""
            lines.append(f"  {actor.email:<28} {own[actor.key].password}{code}")
            lines.append(f"      {actor.what}")
    lines.append("Codes change every 30 seconds; `make manage ARGS=demo_logins` prints them again.")
    return "\n".join(lines)
