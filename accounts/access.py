"""Who may do what: rights behind roles, the door of every portal page, and the fresh second factor that signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from accounts import documents
from accounts.models import Membership, Organization, Role, User
from sendserver.lib import clock

Params = ParamSpec("Params")
Row = TypeVar("Row", bound=models.Model)
SIGNING_FACTORS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


class Right(StrEnum):
    """What a page asks of the person who opens it."""

    VIEW = "view"
    WRITE = "write"  # drafts, texts
    SEND = "send"
    LISTS = "lists"
    DOMAINS = "domains"
    TEAM = "team"
    OWN = "own"  # profile, closing, transfer


RIGHTS: Final[Mapping[str, frozenset[Right]]] = {
    Role.OWNER: frozenset(Right),
    Role.MANAGER: frozenset({Right.VIEW, Right.WRITE, Right.SEND, Right.LISTS, Right.DOMAINS}),
    Role.EDITOR: frozenset({Right.VIEW, Right.WRITE}),
    Role.VIEWER: frozenset({Right.VIEW}),
}


class PortalRequest(HttpRequest):
    """A request that passed `portal_view`; for annotations only."""

    user: User
    org: Organization
    membership: Membership


PortalView = Callable[Concatenate[PortalRequest, Params], HttpResponseBase]


def has_right(membership: Membership | None, right: Right) -> bool:
    """Tell whether a member has a right."""
    return bool(membership) and right in RIGHTS.get(membership.role, frozenset())  # type: ignore[union-attr]


def portal_view(
    right: Right, *, before_terms: bool = False
) -> Callable[[PortalView[Params]], Callable[..., HttpResponseBase]]:
    """Open a portal page to members with `right`.

    A visitor is sent to sign in, a person without an organization to make one, a member without the right gets 403,
    and who has not accepted the documents in force is asked first. `before_terms` opens the page to them too: what
    somebody needs who does not agree. The view finds `request.org` and `request.membership` set.
    """

    def decorate(view: PortalView[Params]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def guarded(request: Any, *args: Params.args, **kwargs: Params.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            if not request.membership:
                return redirect("org_new")
            if not has_right(request.membership, right):
                raise PermissionDenied
            if not before_terms:
                owner = has_right(request.membership, Right.OWN)
                asked = documents.door(request, request.user, request.org, owner=owner)
                if asked is not None:
                    return asked
            return view(request, *args, **kwargs)

        guarded.right = right  # type: ignore[attr-defined]
        return guarded

    return decorate


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """Send to the sign-in page; htmx would swap a redirected page into a corner of this one, so it is told instead."""
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("account_login")})
    return redirect_to_login(request.get_full_path(), "account_login")


def get_object_for(request: PortalRequest, model: type[Row], uid: UUID | str, **filters: Any) -> Row:
    """Return the row of this organization with that uid; a stranger's uid raises Http404 like an unknown one."""
    rows = model._default_manager.for_org(request.org)  # type: ignore[attr-defined]
    found: Row = get_object_or_404(rows, uid=uid, **filters)
    return found


def has_second_factor(user: User) -> bool:
    """Tell whether the person has enrolled an app or a passkey (recovery codes alone do not count)."""
    return bool(is_mfa_enabled(user, types=list(SIGNING_FACTORS)))


def has_fresh_second_factor(request: HttpRequest) -> str | None:
    """Return the factor ("totp" or "webauthn") this session used within FRESH_SIGNATURE_SECONDS, or None."""
    moment = fresh_second_factor_at(request)
    return moment[0] if moment else None


def fresh_second_factor_at(request: HttpRequest) -> tuple[str, float] | None:
    """Return the freshest factor and its time (seconds since 1970), or None when none is fresh."""
    oldest = clock.now().timestamp() - settings.FRESH_SIGNATURE_SECONDS
    user = request.user if request.user.is_authenticated else None
    used = [
        (str(record["type"]), float(record["at"]))
        for record in get_authentication_records(request, user)
        if record.get("method") == "mfa" and record.get("type") in SIGNING_FACTORS and record["at"] >= oldest
    ]
    return max(used, key=lambda pair: pair[1]) if used else None


def second_factor_url(request: HttpRequest, next: str) -> str:
    """Return the page that asks for the second factor, or offers to set one up, and then goes on to `next`."""
    return f"{reverse('second_factor')}?{urlencode({'next': next})}"
