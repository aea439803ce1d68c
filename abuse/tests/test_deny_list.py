"""What a block keeps out, whose entries they are, and that a lifted block takes them back."""

from __future__ import annotations

import pytest

from abuse.models import Case, Decision, DecisionKind
from abuse.moderation import DecisionRequest, apply_decision
from abuse.tests import make
from accounts import denylist, domains
from accounts.errors import DomainRefusedError
from accounts.models import BusinessProfile, DenyEntry, Organization, User
from accounts.tests.test_verification import add_profile
from compliance import policy_text
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
K = DenyEntry.Kind


@pytest.fixture
def mona(db: None) -> User:
    return make.moderator_user("Mona")


@pytest.fixture
def second(db: None) -> User:
    return make.moderator_user("Sam")


def both(case: Case, kind: str, first: User, second: User) -> Decision:
    """Decide and confirm."""
    rule = policy_text.sections()[0].rules[0].number
    fields = {"case": case, "kind": kind, "rule": rule, "reason": "Seen."}
    decision = apply_decision(DecisionRequest(actor=first, **fields))
    case.refresh_from_db()
    return apply_decision(DecisionRequest(actor=second, confirms=decision, **fields))


@pytest.fixture
def blocked(larkfield: Organization, alice: Persona, mona: User, second: User) -> Case:
    """Return the case in which Larkfield was blocked; its profile and a domain that it never proved included."""
    case = make.case_of(larkfield)
    add_profile(larkfield)
    domains.add(larkfield, "somebody-elses.example", actor=alice.user)
    both(case, DecisionKind.BLOCK, mona, second)
    return case


def kept_out(larkfield: Organization) -> list[bool]:
    domain = larkfield.domains.get(verified_at__isnull=False).name
    register = BusinessProfile.objects.get(organization=larkfield).register_number
    values = ((K.ADDRESS, "alice@larkfield.example"), (K.DOMAIN, domain), (K.REGISTER, register))
    return [denylist.is_denied(kind, value) for kind, value in values]


def test_a_block_keeps_owner_domain_and_register_number_out(
    blocked: Case, larkfield: Organization, mallory: Persona
) -> None:
    assert kept_out(larkfield) == [True, True, True]
    name = larkfield.domains.get(verified_at__isnull=False).name
    with pytest.raises(DomainRefusedError) as refused:
        domains.add(mallory.user.memberships.get().organization, name, actor=mallory.user)
    assert refused.value.code == "DENIED"


def test_no_address_and_no_domain_is_kept_in_the_clear(blocked: Case) -> None:
    for entry in DenyEntry.objects.all():
        assert len(bytes(entry.value_hash)) == 32
        assert "larkfield" not in f"{entry.reason} {entry}"


def test_a_domain_that_was_only_claimed_stays_free(blocked: Case) -> None:
    assert not denylist.is_denied(K.DOMAIN, "somebody-elses.example")


def test_a_block_that_waits_for_a_second_person_keeps_nothing_out(larkfield: Organization, mona: User) -> None:
    case = make.case_of(larkfield)
    rule = policy_text.sections()[0].rules[0].number
    apply_decision(DecisionRequest(case=case, kind=DecisionKind.BLOCK, actor=mona, rule=rule, reason="Seen."))
    assert not DenyEntry.objects.exists()


def test_a_lifted_block_takes_its_entries_back_and_no_other(
    blocked: Case, larkfield: Organization, hollin: Organization, mona: User, second: User
) -> None:
    name = larkfield.domains.get(verified_at__isnull=False).name
    before = DenyEntry.objects.count()
    blocked.refresh_from_db()
    both(blocked, DecisionKind.RESTORE, mona, second)
    assert kept_out(larkfield) == [False, False, False]
    assert DenyEntry.objects.filter(lifted_at__isnull=False).count() == before  # the rows stay
    denylist.deny(K.DOMAIN, name, reason="Blocked too", organization=hollin)
    denylist.lift(larkfield)
    assert denylist.is_denied(K.DOMAIN, name)
