"""What our staff pages share: evidence is shown, never edited, added or deleted; state changes are POST only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from abuse.moderation import may_moderate
from accounts.models import User
from sendserver.lib.readonly import ReadOnlyAdmin


class DeskAdmin(ReadOnlyAdmin):
    """Rows of the abuse desk, with its guards."""

    actions_on_top = True
    show_facets = admin.ShowFacets.ALWAYS
    list_per_page = 50

    def require_look(self, request: HttpRequest) -> None:
        """Raise PermissionDenied for staff whose group may not look at these rows."""
        if not self.has_view_permission(request):
            raise PermissionDenied

    def act(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """Wrap a view that changes something: staff with the right only, POST only."""

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not may_moderate(actor_of(request)):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return self.admin_site.admin_view(require_POST(guarded))


def actor_of(request: HttpRequest) -> User:
    """Return the person behind a staff request, which admin_view has let in."""
    return request.user  # type: ignore[return-value]


def key_in(text: str) -> int:
    """Return the row's number in an address; Http404 for what is none, such as "²" or a thousand nines."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404
    return int(text)
