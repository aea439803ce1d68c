"""The organization a signed-in person works in: `request.org` and `request.membership`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

if TYPE_CHECKING:
    from accounts.models import Membership

SESSION_KEY = "organization"


class CurrentOrganization:
    """Set `request.membership` (lazily) and `request.org` from the session, never from the URL or a form."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        request.membership = SimpleLazyObject(lambda: current_membership(request))  # type: ignore[attr-defined]
        request.org = SimpleLazyObject(  # type: ignore[attr-defined]
            lambda: request.membership.organization if request.membership else None  # type: ignore[attr-defined]
        )
        with _time_zone(request):
            return self.get_response(request)


def _time_zone(request: HttpRequest) -> AbstractContextManager[None]:
    """Show times of the portal in the person's zone; everywhere else in UTC, and no session is read for it."""
    if not request.path.startswith(("/portal/", "/account/")) or not request.user.is_authenticated:
        return nullcontext()
    return timezone.override(ZoneInfo(request.user.time_zone))


def current_membership(request: HttpRequest) -> Membership | None:
    """Return the membership chosen in this session, else the person's first, else None."""
    from accounts.models import Membership

    if not request.user.is_authenticated:
        return None
    mine = Membership.objects.filter(user=request.user, organization__closed_at=None).select_related("organization")
    chosen = request.session.get(SESSION_KEY)
    found = mine.filter(organization__uid=chosen).first() if chosen else None
    return found or mine.order_by("pk").first()
