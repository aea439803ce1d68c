"""Decisions: the whole table of kinds and standings, two persons, letters, what stops and what is freed."""

from __future__ import annotations

import itertools

import pytest
from django.core import mail

from abuse import cases, moderation, notices
from abuse.errors import CaseTakenError, DecisionRefusedError
from abuse.models import Case, CaseState, Decision, DecisionKind
from abuse.moderation import DecisionRequest, apply_decision
from abuse.tests import make
from accounts.ledger import first_broken
from accounts.models import AuditEntry, Organization, Standing, StandingChange, User
from campaigns import brakes
from campaigns.models import Brake
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
D, S = DecisionKind, Standing

# By hand, apart from the code: what each decision makes of each standing when the second person has confirmed.
AFTER = {
    D.NO_ACTION: {each: each for each in Standing},
    D.ASK: {S.UNVERIFIED: S.UNVERIFIED, S.GOOD: S.GOOD, S.WARNED: S.WARNED, S.SUSPENDED: S.SUSPENDED},
    D.WARN: {S.GOOD: S.WARNED, S.SUSPENDED: S.WARNED},
    D.SUSPEND_CAMPAIGN: {S.GOOD: S.GOOD, S.WARNED: S.WARNED},
    D.SUSPEND: {S.GOOD: S.SUSPENDED, S.WARNED: S.SUSPENDED},
    D.BLOCK: {S.GOOD: S.BLOCKED, S.WARNED: S.BLOCKED, S.SUSPENDED: S.BLOCKED},
    D.RESTORE: {S.WARNED: S.GOOD, S.SUSPENDED: S.GOOD, S.BLOCKED: S.GOOD},
}  # fmt: skip
TWO = {(D.BLOCK, S.GOOD), (D.BLOCK, S.WARNED), (D.BLOCK, S.SUSPENDED), (D.RESTORE, S.BLOCKED)}


@pytest.fixture
def mona(db: None) -> User:
    return make.moderator_user("Ruth")


@pytest.fixture
def second(db: None) -> User:
    return make.moderator_user("Tomas")


def decide(case: Case, actor: User, kind: str, **fields: object) -> Decision:
    data = {"rule": "2.3", "reason": "Mail after an unsubscribe.", **fields}
    return apply_decision(DecisionRequest(case=case, kind=kind, actor=actor, **data))  # type: ignore[arg-type]


def stand(organization: Organization) -> str:
    organization.refresh_from_db()
    return organization.standing


@pytest.mark.parametrize(("kind", "source"), list(itertools.product(DecisionKind, Standing)))
def test_whole_table(larkfield: Organization, mona: User, second: User, kind: str, source: str) -> None:
    case = make.case_of(larkfield)
    Organization.objects.filter(pk=larkfield.pk).update(standing=source)
    if source not in AFTER[D(kind)]:
        with pytest.raises(DecisionRefusedError):
            decide(case, mona, kind)
        assert (stand(larkfield), Decision.objects.count()) == (source, 0)
        return
    first = decide(case, mona, kind)
    if (kind, source) in TWO:
        assert stand(larkfield) == (S.SUSPENDED if kind == D.BLOCK else S.BLOCKED)
        case.refresh_from_db()
        assert case.state == CaseState.CONFIRM
        decide(case, second, kind, confirms=first)
    assert stand(larkfield) == AFTER[D(kind)][S(source)]
    case.refresh_from_db()
    assert case.state == (CaseState.ASKED if kind == D.ASK else CaseState.DECIDED)
    assert first_broken(Decision) is None


def test_one_person_cannot_do_both_parts_of_a_block(larkfield: Organization, mona: User) -> None:
    case = make.case_of(larkfield)
    first = decide(case, mona, D.BLOCK)
    case.refresh_from_db()
    for confirms in (first, None):
        with pytest.raises(DecisionRefusedError):
            decide(case, mona, D.BLOCK, confirms=confirms)
    with pytest.raises(DecisionRefusedError):
        moderation.refuse_second(case, mona, "no")
    assert stand(larkfield) == S.SUSPENDED


def test_second_person_may_disagree(larkfield: Organization, mona: User, second: User) -> None:
    case = make.case_of(larkfield)
    decide(case, mona, D.BLOCK)
    case.refresh_from_db()
    moderation.refuse_second(case, second, "A suspension is enough.")
    assert (case.state, stand(larkfield)) == (CaseState.OPEN, S.SUSPENDED)
    decide(case, second, D.RESTORE)
    assert stand(larkfield) == S.GOOD


def test_confirming_something_else_is_refused(larkfield: Organization, mona: User, second: User) -> None:
    case = make.case_of(larkfield)
    first = decide(case, mona, D.BLOCK)
    case.refresh_from_db()
    with pytest.raises(DecisionRefusedError):
        decide(case, second, D.WARN, confirms=first)
    other = make.report(make.delivery(make.campaign(larkfield))).case
    assert other is not None
    with pytest.raises(DecisionRefusedError):
        decide(other, second, D.BLOCK, confirms=first)


def test_one_person_is_enough_when_the_operator_says_so(larkfield: Organization, mona: User, settings: object) -> None:
    settings.REQUIRE_SECOND_PERSON = False  # type: ignore[attr-defined]
    decide(make.case_of(larkfield), mona, D.BLOCK)
    assert stand(larkfield) == S.BLOCKED
    assert AuditEntry.objects.get(action="decision.taken").detail["second_person"] is False


def test_decision_leaves_its_traces(larkfield: Organization, mona: User) -> None:
    case = make.case_of(larkfield)
    decision = decide(case, mona, D.WARN)
    change = StandingChange.objects.get()
    assert (change.source, change.target, change.decision_ref) == (S.GOOD, S.WARNED, decision.reference)
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"standing.moved", "case.moved", "decision.taken"} <= actions
    assert case.entries.filter(kind="decision").count() == 1


def test_only_staff_who_may_and_are_no_members(larkfield: Organization, mona: User, alice: Persona) -> None:
    case = make.case_of(larkfield)
    nobody = alice.user
    with pytest.raises(DecisionRefusedError):
        decide(case, nobody, D.WARN)
    larkfield.memberships.create(user=mona, role="viewer")
    with pytest.raises(DecisionRefusedError):
        decide(case, mona, D.WARN)
    assert stand(larkfield) == S.GOOD


@pytest.mark.parametrize("fields", [{"reason": "  "}, {"rule": "9.9"}, {"rule": ""}])
def test_reason_and_rule_are_asked_for(larkfield: Organization, mona: User, fields: dict[str, str]) -> None:
    with pytest.raises(DecisionRefusedError):
        decide(make.case_of(larkfield), mona, D.WARN, **fields)
    assert stand(larkfield) == S.GOOD


def test_case_of_another_is_not_decided(larkfield: Organization, mona: User, second: User) -> None:
    case = make.case_of(larkfield)
    cases.claim(case, mona)
    with pytest.raises(CaseTakenError):
        decide(case, second, D.WARN)
    decide(case, mona, D.WARN)
    with pytest.raises(DecisionRefusedError):
        decide(case, second, D.SUSPEND)


def test_stale_page_does_not_decide_twice(larkfield: Organization, mona: User, second: User) -> None:
    case = make.case_of(larkfield)
    stale = Case.objects.get(pk=case.pk)
    decide(case, mona, D.NO_ACTION)
    with pytest.raises(DecisionRefusedError, match="first"):
        decide(stale, second, D.SUSPEND)


def test_campaign_is_braked_and_freed(larkfield: Organization, mona: User, second: User) -> None:
    case = make.case_of(larkfield)
    campaign = larkfield.campaigns.get()
    decide(case, mona, D.SUSPEND_CAMPAIGN)
    assert brakes.holding(campaign).get().kind == Brake.Kind.STAFF
    case.refresh_from_db()
    Organization.objects.filter(pk=larkfield.pk).update(standing=S.SUSPENDED)
    decide(case, second, D.RESTORE)
    assert not brakes.holding(campaign).exists()


@pytest.mark.parametrize(("kind", "campaign_goes_on"), [(D.NO_ACTION, True), (D.WARN, False)])
def test_decision_takes_the_place_of_the_automatic_pause(
    larkfield: Organization, mona: User, kind: str, *, campaign_goes_on: bool
) -> None:
    case = make.case_of(larkfield)
    campaign = larkfield.campaigns.get()
    brakes.set_brake(Brake.Kind.COMPLAINTS, "x", campaign=campaign)
    brakes.set_brake(Brake.Kind.COMPLAINTS, "x", organization=larkfield)
    brakes.set_brake(Brake.Kind.RELAY, "x", organization=larkfield)
    whole = cases.open_case(larkfield, None) if kind == D.NO_ACTION else None
    decide(case, mona, kind)
    if whole is not None:
        decide(whole, mona, kind)
    left = {(brake.kind, brake.campaign_id is None) for brake in brakes.holding(campaign)}
    assert ((Brake.Kind.COMPLAINTS, False) not in left) is campaign_goes_on
    assert (Brake.Kind.COMPLAINTS, True) not in left
    assert (Brake.Kind.RELAY, True) in left  # a technical fault is not staff's to decide away here


def test_warning_sends_scheduled_campaigns_back(larkfield: Organization, mona: User) -> None:
    scheduled = make.campaign(larkfield, state="scheduled")
    running = make.campaign(larkfield, state="sending")
    decide(make.case_of(larkfield), mona, D.WARN)
    scheduled.refresh_from_db()
    running.refresh_from_db()
    assert (scheduled.state, running.state) == ("draft", "sending")


def test_customer_and_reporter_get_their_letters(larkfield: Organization, alice: Persona, mona: User) -> None:
    to = make.delivery(make.campaign(larkfield, accepted=1000), "ada@inbox.example")
    complaint = make.report(to, reporter_email="ada@inbox.example", text="Ada Secret wrote this")
    decision = decide(complaint.case, mona, D.WARN, customer_must="Match people, not addresses.")  # type: ignore[arg-type]
    by_person = {message.to[0]: message for message in mail.outbox}
    assert set(by_person) == {alice.user.email, "ada@inbox.example"}
    letter = str(by_person[alice.user.email].body)
    assert "Match people, not addresses." in letter
    assert "2.3 No mail after a no" in letter
    for secret in ("ada@inbox.example", "Ada Secret", complaint.reference):
        assert secret not in letter.replace(decision.case.reference, "")  # type: ignore[union-attr]
    assert "warned the sender" in str(by_person["ada@inbox.example"].body)


def test_statement_has_every_field(larkfield: Organization, mona: User) -> None:
    decision = decide(make.case_of(larkfield), mona, D.SUSPEND)
    wanted = {
        "measure", "scope", "territory", "duration", "facts", "figures", "source", "automated_detection",
        "automated_decision", "rule", "clause", "why", "law", "redress_appeal", "redress_outside", "redress_court",
        "decided_by", "decided_at",
    }  # fmt: skip
    assert wanted <= set(decision.statement)
    assert all(decision.statement[name].strip() for name in wanted)
    letter = notices.customer_letter(notices.draft_of(decision)).text
    for name in wanted - {"why", "law", "rule", "territory", "decided_at"}:
        assert decision.statement[name] in letter, name


@pytest.mark.parametrize("kind", DecisionKind)
def test_every_kind_has_its_words(larkfield: Organization, mona: User, kind: str) -> None:
    for table in (notices.PAST, notices.SUBJECTS, notices.MEASURES, notices.DURATIONS, notices.REPORTER_WORDS):
        assert table[D(kind)]


def test_failed_letter_undoes_everything(larkfield: Organization, mona: User, monkeypatch: pytest.MonkeyPatch) -> None:
    case = make.case_of(larkfield)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the mail table is gone")

    monkeypatch.setattr(notices, "send_letters", fail)
    with pytest.raises(RuntimeError):
        decide(case, mona, D.SUSPEND)
    assert (stand(larkfield), Decision.objects.count(), StandingChange.objects.count()) == (S.GOOD, 0, 0)


def test_decision_cannot_be_changed_afterwards(larkfield: Organization, mona: User) -> None:
    from django.db import DatabaseError, transaction

    decision = decide(make.case_of(larkfield), mona, D.WARN)
    with pytest.raises(DatabaseError), transaction.atomic():
        Decision.objects.filter(pk=decision.pk).update(reason="x")
    with pytest.raises(DatabaseError), transaction.atomic():
        decision.delete()


def test_letters_are_rows_of_our_own_queue(
    larkfield: Organization, alice: Persona, mona: User, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the product's own mail backend: queued with the decision, gone with it when it fails."""
    from campaigns.models import SystemMail

    settings.EMAIL_BACKEND = "campaigns.sending.system.SystemMailBackend"  # type: ignore[attr-defined]
    case = make.case_of(larkfield)
    monkeypatch.setattr(moderation, "_audit", _fail)
    with pytest.raises(RuntimeError):
        decide(case, mona, D.SUSPEND)
    assert not SystemMail.objects.exists()
    monkeypatch.undo()
    settings.EMAIL_BACKEND = "campaigns.sending.system.SystemMailBackend"  # type: ignore[attr-defined]
    decide(case, mona, D.SUSPEND)
    queued = SystemMail.objects.get()
    assert queued.recipient == alice.user.email
    assert b"Statement" in bytes(queued.message) or b"What we saw" in bytes(queued.message)


def _fail(*_: object, **__: object) -> None:
    raise RuntimeError("the process dies")
