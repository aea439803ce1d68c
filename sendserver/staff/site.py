"""The staff area: Django's AdminSite at /staff/ behind a second factor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from abuse.moderation import may_moderate
from sendserver.pages import retention
from sendserver.staff import alarms, do_not_mail, nav, proof, relays, start

View = Callable[..., HttpResponse]


class StaffSite(AdminSite):
    """Our AdminSite: queues and counts come from `each_context`; its own pages are wrapped like every other."""

    site_header = "Staff"
    site_title = "Sendserver staff"
    index_title = "What waits"
    site_url = "/"

    def has_permission(self, request: HttpRequest) -> bool:
        """Let in active staff who have a second factor."""
        return super().has_permission(request) and is_mfa_enabled(request.user)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what every staff page shows: the queues with their counts."""
        return {**super().each_context(request), "staff_nav": nav.groups(request)}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show what waits."""
        return super().index(request, {**start.page(request), **(extra_context or {})})

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Add the pages that belong to no model."""
        own: list[URLPattern | URLResolver] = [
            path("relays/", self._page(require_safe(relays.page)), name="staff_relays"),
            path("relays/now/", self.admin_view(require_safe(relays.now)), name="staff_relays_now"),
            path("relays/<str:key>/pause/", self._act(relays.pause), name="staff_relay_pause"),
            path("relays/<str:key>/drain/", self._act(relays.drain), name="staff_relay_drain"),
            path("relays/<str:key>/resume/", self._act(relays.resume), name="staff_relay_resume"),
            path("doubts/<int:pk>/settle/", self._act(relays.settle), name="staff_doubt_settle"),
            path("aside/<int:pk>/again/", self._act(relays.try_again), name="staff_aside_again"),
            path("alarms/<int:pk>/acknowledge/", self._act(alarms.acknowledge), name="staff_alarm_acknowledge"),
            path("brakes/<int:pk>/lift/", self._act(relays.lift), name="staff_brake_lift"),
            path("retention/", self._page(require_safe(retention.page)), name="staff_retention"),
            path(
                "do-not-mail/",
                self._page(require_http_methods(["GET", "HEAD", "POST"])(do_not_mail.page)),
                name="staff_do_not_mail",
            ),
            path("proof/", self._page(require_http_methods(["GET", "HEAD", "POST"])(proof.page)), name="staff_proof"),
            path("do-not-mail/<int:pk>/lift/", self._act(do_not_mail.lift_entry), name="staff_do_not_mail_lift"),
        ]
        return own + super().get_urls()

    def _page(self, view: View) -> View:
        """Wrap a page of ours; it is handed the context of the shell."""

        def shown(request: HttpRequest) -> HttpResponse:
            return view(request, self.each_context(request))

        return self.admin_view(shown)

    def _act(self, view: View) -> View:
        """Wrap a change: POST only, staff who may decide only."""

        def acted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not may_moderate(request.user):  # type: ignore[arg-type]
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return self.admin_view(require_POST(acted))
