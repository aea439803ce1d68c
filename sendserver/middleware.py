"""Response headers that every page carries, and who is not let in to any page."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseBadRequest, HttpResponseBase
from django.views.defaults import page_not_found

from sendserver.lib.clientip import client_ip


class SecurityHeaders:
    """Add the content security policy and the permissions policy.

    A view may set its own stricter policy on the response (previews do); it is kept.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, with the headers."""
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", settings.CSP)
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
        return response


class StaffNetworks:
    """Answer 404 below /staff/ to whoever is not in STAFF_NETWORKS; without any, staff come from anywhere."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer; in the words of any page that is not there."""
        if request.path.startswith("/staff/") and settings.STAFF_NETWORKS:
            visitor = ip_address(client_ip(request))
            if not any(visitor in network for network in settings.STAFF_NETWORKS):
                return page_not_found(request, Http404())
        return self.get_response(request)


class RefuseNul:
    """Answer 400 to an address with a NUL in it: no page has one, and the database refuses to compare with it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return HttpResponseBadRequest("No page has this character in its address.\n", content_type="text/plain")
        return self.get_response(request)
