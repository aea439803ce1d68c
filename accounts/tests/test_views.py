"""Every portal page of accounts by role, visitor, stranger and method."""

from __future__ import annotations

from uuid import uuid4

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts import domains, invitations, senders
from accounts.models import (
    FromAddress,
    Invitation,
    Organization,
    Role,
    SendingDomain,
)
from accounts.tests.test_domains import _world, key_pairs  # noqa: F401 (fixtures: real keys made once, letters kept)
from sendserver.testing.personas import Persona, join, use_second_factor

pytestmark = pytest.mark.django_db


@pytest.fixture
def domain(larkfield: Organization, alice: Persona) -> SendingDomain:
    """Return a domain of Larkfield."""
    return domains.add(larkfield, "larkfield.example", actor=alice.user)


@pytest.fixture
def sender(domain: SendingDomain, alice: Persona) -> FromAddress:
    """Return a From address of Larkfield."""
    return senders.add(domain, display_name="Larkfield", local_part="news", reply_to="", actor=alice.user)


@pytest.fixture
def invitation(larkfield: Organization, alice: Persona) -> Invitation:
    """Return an open invitation."""
    return invitations.invite(larkfield, email="may@larkfield.example", role=Role.EDITOR, actor=alice.user)


# (URL name, what fills its argument, GET answers of owner, manager, editor, viewer)
READ = [
    ("team", "", (200, 200, 200, 200)),
    ("settings", "", (200, 200, 200, 200)),
    ("org_close", "", (200, 403, 403, 403)),
    ("audit", "", (200, 403, 403, 403)),
    ("verify", "", (200, 200, 200, 200)),
    ("verify_business", "", (200, 403, 403, 403)),
    ("verify_practice", "", (200, 403, 403, 403)),
    ("domains", "", (200, 200, 200, 200)),
    ("domain_add", "", (200, 200, 403, 403)),
    ("domain_detail", "domain", (200, 200, 200, 200)),
    ("domain_records", "domain", (200, 200, 200, 200)),
    ("from_add", "domain", (200, 200, 403, 403)),
    ("from_change", "sender", (200, 200, 403, 403)),
    ("member_change", "member", (200, 403, 403, 403)),
]
# (URL name, argument, may the manager, the editor)
ACT = [
    ("own_data", "", True, True),
    ("team_invite", "", False, False),
    ("invitation_again", "invitation", False, False),
    ("invitation_withdraw", "invitation", False, False),
    ("member_transfer", "member", False, False),
    ("member_remove", "member", False, False),
    ("verify_submit", "", False, False),
    ("verify_more", "", False, False),
    ("domain_check", "domain", True, False),
    ("domain_mail", "domain", True, False),
    ("domain_remove", "domain", True, False),
    ("from_again", "sender", True, False),
    ("from_remove", "sender", True, False),
]


def address(name: str, kind: str, request: pytest.FixtureRequest) -> str:
    """Return the page's address, its argument taken from the fixture of that kind."""
    if not kind:
        return reverse(name)
    row = request.getfixturevalue("victor").user if kind == "member" else request.getfixturevalue(kind)
    return reverse(name, args=[row.uid])


@pytest.mark.parametrize(("name", "kind", "codes"), READ)
def test_reading_by_role(
    request: pytest.FixtureRequest, alice: Persona, bob: Persona, eve: Persona, victor: Persona,
    name: str, kind: str, codes: tuple[int, ...],
) -> None:  # fmt: skip
    """Owner, manager, editor, viewer."""
    url = address(name, kind, request)
    assert tuple(p.client.get(url).status_code for p in (alice, bob, eve, victor)) == codes


@pytest.mark.parametrize(("name", "kind", "manager", "editor"), ACT)
def test_acting_without_the_right_is_refused(
    request: pytest.FixtureRequest, bob: Persona, eve: Persona, victor: Persona,
    name: str, kind: str, *, manager: bool, editor: bool,
) -> None:  # fmt: skip
    """403 for a member who may not."""
    url = address(name, kind, request)
    refused = [(bob, manager), (eve, editor), (victor, editor)]
    for persona, may in refused:
        if not may:
            assert persona.client.post(url).status_code == 403, persona.user
    if kind:
        assert request.getfixturevalue("victor").user.memberships.exists()


@pytest.mark.parametrize(("name", "kind"), [entry[:2] for entry in [*READ, *ACT]])
def test_visitors_are_sent_to_sign_in(request: pytest.FixtureRequest, name: str, kind: str) -> None:
    """Whatever the method."""
    url = address(name, kind, request)
    for answer in (Client().get(url), Client().post(url)):
        if answer.status_code != 405:
            assert (answer.status_code, answer["Location"]) == (302, f"/account/login/?next={url}")


@pytest.mark.parametrize(("name", "kind"), [e[:2] for e in [*READ, *ACT] if e[1]])
def test_strangers_find_nothing(request: pytest.FixtureRequest, mallory: Persona, name: str, kind: str) -> None:
    """404, as for an id that does not exist, for GET and POST alike."""
    url = address(name, kind, request)
    unknown = reverse(name, args=[uuid4()])
    method = mallory.client.post if name in {e[0] for e in ACT} else mallory.client.get
    assert method(url).status_code == 404
    assert method(unknown).status_code == 404


@pytest.mark.parametrize(("name", "kind"), [entry[:2] for entry in ACT])
def test_acts_are_post_only(request: pytest.FixtureRequest, alice: Persona, name: str, kind: str) -> None:
    """A followed link changes nothing."""
    assert alice.client.get(address(name, kind, request)).status_code == 405


def test_the_team_page_costs_the_same_for_one_and_for_three(
    alice: Persona, larkfield: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """No query a member."""
    alice.client.get("/portal/team/")
    with django_assert_num_queries(6) as first:
        alice.client.get("/portal/team/")
    for name in ("Ann", "Ben"):
        join(larkfield, name, Role.VIEWER)
    with django_assert_num_queries(len(first)):
        alice.client.get("/portal/team/")


# --- second factor


def test_setting_up_and_using_a_second_factor(alice: Persona) -> None:
    """Without one: the offer. With one: the question. Foreign addresses are not followed."""
    url = "/account/second-factor/?next=/portal/lists/"
    assert "Set up a second factor" in alice.client.get(url).content.decode()
    TOTP.activate(alice.user, generate_totp_secret())
    assert alice.client.get(url)["Location"] == "/account/2fa/reauthenticate/?next=%2Fportal%2Flists%2F"
    evil = alice.client.get("/account/second-factor/?next=https://evil.example/")
    assert "evil" not in evil["Location"]
    use_second_factor(alice.client)
    assert alice.client.get("/portal/team/").status_code == 200
