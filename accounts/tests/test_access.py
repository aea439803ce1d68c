"""Rights behind roles, and the second factor that signs."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory

from accounts import access
from accounts.access import Right, portal_view
from accounts.middleware import CurrentOrganization
from accounts.models import Organization, Role, SendingDomain
from sendserver.lib import clock
from sendserver.testing.personas import Persona, make_user

MATRIX = {
    Role.OWNER: {"view", "write", "send", "lists", "domains", "team", "own"},
    Role.MANAGER: {"view", "write", "send", "lists", "domains"},
    Role.EDITOR: {"view", "write"},
    Role.VIEWER: {"view"},
}


def request_of(user: object, **headers: str) -> HttpRequest:
    """Return a request as the middlewares leave it."""
    request = RequestFactory().get("/portal/x/", headers=headers)
    request.user = user  # type: ignore[assignment]
    request.session = SessionStore()
    CurrentOrganization(lambda _: HttpResponse())(request)
    return request


@portal_view(Right.SEND)
def page(request: access.PortalRequest) -> HttpResponse:
    """Answer with the organization's name."""
    return HttpResponse(request.org.name)


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("right", list(Right))
def test_the_whole_matrix(role: str, right: Right) -> None:
    """Every role with every right."""
    assert (right in access.RIGHTS[role]) is (right.value in MATRIX[role])


def test_a_member_with_the_right_gets_in(bob: Persona) -> None:
    """A manager may send."""
    assert page(request_of(bob.user)).content == b"Larkfield Garden Co."


def test_a_member_without_the_right_gets_403(eve: Persona) -> None:
    """An editor may not send."""
    with pytest.raises(PermissionDenied):
        page(request_of(eve.user))


def test_a_visitor_is_sent_to_sign_in_and_back() -> None:
    """The page asked for is kept."""
    answer = page(request_of(AnonymousUser()))
    assert (answer.status_code, answer["Location"]) == (302, "/account/login/?next=/portal/x/")


def test_an_htmx_visitor_is_sent_as_a_whole_page() -> None:
    """A redirected sign-in page must not land inside a panel."""
    answer = page(request_of(AnonymousUser(), HX_Request="true"))
    assert (answer.status_code, answer["HX-Redirect"]) == (204, "/account/login/")


@pytest.mark.django_db
def test_a_person_without_organization_makes_one() -> None:
    """Nothing to show yet."""
    assert page(request_of(make_user("Ivo", "ivo@new.example"))).status_code == 302


def test_a_closed_organization_is_no_organization(alice: Persona, larkfield: Organization) -> None:
    """Its pages are shut for its members too."""
    Organization.objects.filter(pk=larkfield.pk).update(closed_at=clock.now())
    assert page(request_of(alice.user)).status_code == 302


def test_a_strangers_object_is_not_found(alice: Persona, hollin: Organization, larkfield: Organization) -> None:
    """The same answer as for an unknown uid."""
    theirs = SendingDomain.objects.create(organization=hollin, name="hollin.example", challenge="x")
    ours = SendingDomain.objects.create(organization=larkfield, name="larkfield.example", challenge="x")
    request = request_of(alice.user)
    assert access.get_object_for(request, SendingDomain, ours.uid) == ours  # type: ignore[arg-type]
    with pytest.raises(Http404):
        access.get_object_for(request, SendingDomain, theirs.uid)  # type: ignore[arg-type]


def with_record(user: object, **record: object) -> HttpRequest:
    """Return a request whose session holds one authentication record."""
    request = request_of(user)
    request.session["account_authentication_methods"] = [record]
    request.session["account_authentication_methods_user"] = str(user.pk)  # type: ignore[attr-defined]
    return request


@pytest.mark.parametrize(
    ("method", "kind", "age", "expected"),
    [
        ("mfa", "totp", 0, "totp"),
        ("mfa", "webauthn", 299, "webauthn"),
        ("mfa", "totp", 301, None),
        ("mfa", "recovery_codes", 0, None),
        ("password", "", 0, None),
    ],
)
def test_what_counts_as_a_fresh_second_factor(
    alice: Persona, method: str, kind: str, age: int, expected: str | None
) -> None:
    """An app's code or a passkey, used within five minutes; a recovery code or the password alone does not sign."""
    at = clock.now().timestamp() - age
    assert access.has_fresh_second_factor(with_record(alice.user, method=method, type=kind, at=at)) == expected


def test_somebody_elses_factor_does_not_sign(alice: Persona, bob: Persona) -> None:
    """Records left by another person in the same browser are not this person's."""
    request = with_record(bob.user, method="mfa", type="totp", at=clock.now().timestamp())
    request.user = alice.user  # type: ignore[assignment]
    assert access.has_fresh_second_factor(request) is None


def test_a_visitor_has_no_factor() -> None:
    """Whatever stands in the session."""
    request = request_of(AnonymousUser())
    request.session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": 9e9}]
    assert access.has_fresh_second_factor(request) is None
