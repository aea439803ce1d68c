"""Hostile tries at accounts: races, forged requests, bombing strangers, letting go of the last owner."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import blake2s
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import get_resolver, reverse
from pytest_django import Settings as SettingsWrapper

from accounts import domain_keys, domains, invitations, limits, organizations, policy, senders, verification
from accounts.errors import AccountsError, LastOwnerError, TooManyError
from accounts.models import AuditEntry, Invitation, Membership, Organization, Role, Verification
from accounts.tests.test_verification import add_domain, add_practice, add_profile
from sendserver.testing.personas import Persona, join, make_organization, make_user, sign_in


@pytest.fixture(autouse=True)
def _outbox(settings: SettingsWrapper) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def at_once(*acts: Callable[[], Any]) -> list[str]:
    """Run the acts in threads that start together; return the names of the refusals."""
    barrier, refused = threading.Barrier(len(acts)), []

    def run(act: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            act()
        except AccountsError as error:
            refused.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return refused


@pytest.mark.django_db(transaction=True)
def test_two_owners_cannot_both_leave_at_once() -> None:
    """One goes, the other stays."""
    organization = make_organization("Alder")
    members = [join(organization, name, Role.OWNER).user.memberships.get() for name in ("Ann", "Ben")]
    refused = at_once(*(lambda m=m: organizations.remove(m, actor=m.user) for m in members))
    assert refused == [LastOwnerError.__name__]
    assert Membership.objects.filter(organization=organization).count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_invitation_is_used_once_even_by_two_browsers() -> None:
    """One membership, one refusal."""
    organization = make_organization("Alder")
    owner = join(organization, "Ann", Role.OWNER).user
    invitation = invitations.invite(organization, email="may@alder.example", role=Role.EDITOR, actor=owner)
    may = make_user("May", "may@alder.example")
    rows = [Invitation.objects.get(pk=invitation.pk) for _ in range(2)]
    refused = at_once(*(lambda row=row: invitations.accept(row, may) for row in rows))
    assert len(refused) == 1
    assert Membership.objects.filter(user=may).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_moderators_decide_at_once() -> None:
    """One decision stands, one letter, one standing."""
    organization = make_organization("Alder", standing="unverified", allowance=0)
    join(organization, "Ann", Role.OWNER)
    add_profile(organization)
    add_practice(organization)
    add_domain(organization)
    review = verification.submit(organization, actor=None)
    staff = [make_user(name, f"{name}@staff.example", staff=True) for name in ("mo", "lu")]
    rows = [Verification.objects.get(pk=review.pk) for _ in staff]
    words = (
        verification.Ruling(verification.Answer.APPROVE, "Yes."),
        verification.Ruling(verification.Answer.REFUSE, "No."),
    )
    refused = at_once(
        *(lambda r=r, w=w, s=s: verification.decide(r, w, actor=s) for r, w, s in zip(rows, words, staff, strict=True))
    )
    assert len(refused) == 1
    stored, standing = Verification.objects.get(), Organization.objects.get().standing
    assert (stored.state, standing) in {("approved", "good"), ("refused", "unverified")}
    assert AuditEntry.objects.filter(action__in=["verification.approved", "verification.refused"]).count() == 1


@pytest.mark.django_db(transaction=True)
def test_keys_are_made_once() -> None:
    """Two looks at a new domain make two keys, not four, one of them active."""
    domain = add_domain(make_organization("Alder"))
    at_once(lambda: domain_keys.ensure_keys(domain), lambda: domain_keys.ensure_keys(domain))
    assert sorted(domain.keys.values_list("selector", "active")) == [("p1", True), ("p2", False)]
    at_once(domain_keys.platform_key, domain_keys.platform_key)
    assert domains.platform_key().selector == "m1"


def own_names() -> list[str]:
    """Return the names of all addresses of this app."""
    from accounts.urls import urlpatterns

    return [str(pattern.name) for pattern in urlpatterns]


@pytest.mark.django_db
@pytest.mark.parametrize("name", own_names())
def test_a_forged_post_is_refused(alice: Persona, name: str) -> None:
    """No address of ours takes a POST without its token."""
    pattern = get_resolver().reverse_dict.getlist(name)[0][0][0]
    values: dict[str, Any] = {"uid": uuid4(), "token": "k1" + "a" * 26, "path": "team/"}
    url = reverse(name, kwargs={key: values[key] for key in pattern[1] if not (name == "org_home" and key == "path")})
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = alice.client.cookies
    assert browser.post(url).status_code == 403


@pytest.mark.django_db
def test_a_stranger_is_not_bombed_in_any_way(
    larkfield: Organization, alice: Persona, hollin: Organization, mallory: Persona
) -> None:
    """Invitations, confirmations and records count together, across organizations."""
    victim, sent = "victim@else.example", 0
    for number in range(6):
        organization = (larkfield, hollin)[number % 2]
        try:
            limits.count_letter(organization, victim.upper() if number % 3 else victim)
            sent += 1
        except TooManyError:
            continue
    assert sent == policy.LETTERS_PER_ADDRESS[0]
    with pytest.raises(TooManyError):
        invitations.invite(hollin, email=victim, role=Role.VIEWER, actor=mallory.user)


@pytest.mark.django_db
def test_one_organization_does_not_write_to_everybody(larkfield: Organization) -> None:
    """A list of strangers gets no letters through the invitation form."""
    limit = policy.LETTERS_PER_ORGANIZATION[0]
    for number in range(limit):
        limits.count_letter(larkfield, f"p{number}@else.example")
    with pytest.raises(TooManyError):
        limits.count_letter(larkfield, "one-more@else.example")


@pytest.mark.django_db
@pytest.mark.parametrize("standing", ["suspended", "blocked"])
def test_a_stopped_organization_writes_to_nobody(standing: str) -> None:
    """Not by invitations either."""
    with pytest.raises(TooManyError):
        limits.count_letter(make_organization("Alder", standing=standing), "x@else.example")


@pytest.mark.django_db
def test_a_mailbox_confirmed_once_serves_other_addresses(larkfield: Organization, alice: Persona) -> None:
    """Of the same organization; another organization has to ask itself."""
    domain = add_domain(larkfield, "larkfield.example")
    names = ("news", "shop", "club", "post", "info")
    fields = {"display_name": "L", "reply_to": "team@larkfield.example", "actor": alice.user}
    first = senders.add(domain, local_part="hello", **fields)
    senders.confirm(first)
    others = [senders.add(domain, local_part=name, **fields) for name in names]
    assert all(senders.is_confirmed(sender) for sender in others)
    hollin = make_organization("Hollin")
    theirs = senders.add(add_domain(hollin), local_part="news", **fields)
    assert not senders.is_confirmed(theirs)


@pytest.mark.django_db
def test_a_person_switched_off_is_out(alice: Persona) -> None:
    """The open session ends with the account."""
    alice.user.is_active = False
    alice.user.save()
    assert alice.client.get("/portal/team/").status_code == 302
    assert sign_in(alice.user).get("/portal/team/").status_code == 302


@pytest.mark.django_db
def test_organizations_are_not_made_without_end(alice: Persona) -> None:
    """A person's limit holds."""
    for number in range(policy.ORGANIZATIONS_PER_PERSON[0] + 3):
        alice.client.post("/portal/new/", {"name": f"Number {number}", "agree": "on"})
    assert Membership.objects.filter(user=alice.user).count() == policy.ORGANIZATIONS_PER_PERSON[0] + 1


def test_a_broken_referer_leads_to_the_overview(larkfield: Organization, alice: Persona) -> None:
    """A bracket without its partner is no address to return to."""
    url = reverse("org_switch", args=[larkfield.uid])
    assert alice.client.post(url, headers={"Referer": "http://[x"}).headers["Location"] == "/portal/"


def test_an_old_letter_confirms_no_stranger(larkfield: Organization, alice: Persona) -> None:
    """The mark of a mailbox in a token is short: without a key, a stranger's mailbox with the same one is found."""
    sender = senders.add(
        add_domain(larkfield), display_name="Lark", local_part="news", reply_to="mine@x.example", actor=alice.user
    )
    token = senders.token_of(sender)
    mark = blake2s(b"mine@x.example", digest_size=2).digest()
    names = (f"desk+{number}@bank.example" for number in count())
    twin = next(name for name in names if blake2s(name.encode(), digest_size=2).digest() == mark)
    senders.change(sender, display_name="Lark", reply_to=twin, actor=alice.user)
    assert senders.from_token(token) is None


def test_a_mailbox_changes_only_as_often_as_letters_go(
    larkfield: Organization, alice: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a token would be tried on one mailbox after the other."""
    sender = senders.add(
        add_domain(larkfield), display_name="Lark", local_part="news", reply_to="mine@x.example", actor=alice.user
    )
    monkeypatch.setattr(policy, "LETTERS_PER_ORGANIZATION", (0, 60))
    with pytest.raises(TooManyError):
        senders.change(sender, display_name="Lark", reply_to="desk@bank.example", actor=alice.user)
    sender.refresh_from_db()
    assert sender.reply_to == "mine@x.example"


@pytest.mark.parametrize("name", ["account_login", "account_signup", "account_reauthenticate", "second_factor"])
def test_a_broken_next_leads_nowhere(alice: Persona, client: Client, name: str) -> None:
    """A bracket without its partner is no error page, signed in or not."""
    for visitor in (client, alice.client):
        for answer in (
            visitor.get(reverse(name), {"next": "http://[x"}),
            visitor.post(reverse(name), {"next": "//[x"}),
        ):
            assert answer.status_code < 500
            assert "[x" not in answer.headers.get("Location", "")
