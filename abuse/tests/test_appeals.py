"""Appeals: in time, once, by another person, and a reversal that restores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail

from abuse import appeals, notices, strikes
from abuse.errors import AppealRefusedError, DecisionRefusedError
from abuse.models import Appeal, CaseState, Decision, DecisionKind
from abuse.tests import make
from abuse.tests.test_moderation import decide, stand
from accounts.models import Organization, Standing, User
from campaigns import brakes
from compliance import policy
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
D, S = DecisionKind, Standing


@pytest.fixture
def ruth(db: None) -> User:
    return make.moderator_user("Ruth")


@pytest.fixture
def tomas(db: None) -> User:
    return make.moderator_user("Tomas")


@pytest.fixture
def ursula(db: None) -> User:
    return make.moderator_user("Ursula")


def appeal_of(decision: Decision, by: Persona) -> Appeal:
    return appeals.make(decision, user=by.user, ground="facts", text="They signed up anew on 28 October.")


@pytest.mark.parametrize(("kind", "before"), [(D.WARN, S.GOOD), (D.SUSPEND, S.GOOD), (D.SUSPEND, S.WARNED)])
def test_reversal_restores_what_was_before(
    larkfield: Organization, alice: Persona, ruth: User, tomas: User, kind: str, before: str
) -> None:
    Organization.objects.filter(pk=larkfield.pk).update(standing=before)
    decision = decide(make.case_of(larkfield), ruth, kind)
    assert len(strikes.live(larkfield)) == 1
    appeals.decide(appeal_of(decision, alice), actor=tomas, reverse=True, reason="They did.")
    assert stand(larkfield) == before
    assert strikes.live(larkfield) == []


def test_upheld_changes_nothing(larkfield: Organization, alice: Persona, ruth: User, tomas: User) -> None:
    appeal = appeal_of(decide(make.case_of(larkfield), ruth, D.SUSPEND), alice)
    mail.outbox.clear()
    appeals.decide(appeal, actor=tomas, reverse=False, reason="The record is not theirs.")
    assert (stand(larkfield), appeal.state) == (S.SUSPENDED, "upheld")
    assert len(strikes.live(larkfield)) == 1
    assert "The record is not theirs." in str(mail.outbox[0].body)


def test_who_upheld_an_appeal_does_not_confirm_the_block(
    larkfield: Organization, alice: Persona, ruth: User, tomas: User, ursula: User
) -> None:
    """Else one person would be both the second look and the second hand."""
    case = make.case_of(larkfield)
    first = decide(case, ruth, D.BLOCK)
    appeals.decide(appeal_of(first, alice), actor=tomas, reverse=False, reason="The record is not theirs.")
    case.refresh_from_db()
    with pytest.raises(DecisionRefusedError, match="appeal"):
        decide(case, tomas, D.BLOCK, confirms=first)
    assert stand(larkfield) == S.SUSPENDED
    decide(case, ursula, D.BLOCK, confirms=first)
    assert stand(larkfield) == S.BLOCKED


def test_same_person_cannot_decide(larkfield: Organization, alice: Persona, ruth: User, tomas: User) -> None:
    case = make.case_of(larkfield)
    first = decide(case, ruth, D.BLOCK)
    case.refresh_from_db()
    decide(case, tomas, D.BLOCK, confirms=first)
    appeal = appeal_of(first, alice)
    for person in (ruth, tomas, alice.user):
        with pytest.raises(AppealRefusedError):
            appeals.decide(appeal, actor=person, reverse=True, reason="x")
    assert stand(larkfield) == S.BLOCKED


def test_lifting_a_block_needs_two(
    larkfield: Organization, alice: Persona, ruth: User, tomas: User, ursula: User
) -> None:
    case = make.case_of(larkfield)
    first = decide(case, ruth, D.BLOCK)
    case.refresh_from_db()
    decide(case, tomas, D.BLOCK, confirms=first)
    appeals.decide(appeal_of(first, alice), actor=ursula, reverse=True, reason="A mistake.")
    case.refresh_from_db()
    assert (stand(larkfield), case.state) == (S.BLOCKED, CaseState.CONFIRM)
    waiting = case.decisions.order_by("-pk").first()
    decide(case, tomas, D.RESTORE, confirms=waiting)
    assert stand(larkfield) == S.GOOD


def test_block_that_waits_can_be_reversed(larkfield: Organization, alice: Persona, ruth: User, tomas: User) -> None:
    decision = decide(make.case_of(larkfield), ruth, D.BLOCK)
    appeals.decide(appeal_of(decision, alice), actor=tomas, reverse=True, reason="A mistake.")
    assert stand(larkfield) == S.GOOD


def test_reversal_frees_the_campaign(larkfield: Organization, alice: Persona, ruth: User, tomas: User) -> None:
    decision = decide(make.case_of(larkfield), ruth, D.SUSPEND_CAMPAIGN)
    appeals.decide(appeal_of(decision, alice), actor=tomas, reverse=True, reason="A mistake.")
    assert not brakes.holding(larkfield.campaigns.get()).exists()


def test_later_decision_is_not_undone(larkfield: Organization, alice: Persona, ruth: User, tomas: User) -> None:
    warned = decide(make.case_of(larkfield), ruth, D.WARN)
    appeal = appeal_of(warned, alice)
    decide(make.case_of(larkfield), tomas, D.SUSPEND)
    ursula = make.moderator_user("Ursula")
    appeals.decide(appeal, actor=ursula, reverse=True, reason="The warning was wrong.")
    assert stand(larkfield) == S.SUSPENDED


def test_once_and_only_measures(larkfield: Organization, alice: Persona, ruth: User) -> None:
    decision = decide(make.case_of(larkfield), ruth, D.WARN)
    appeal_of(decision, alice)
    with pytest.raises(AppealRefusedError):
        appeal_of(decision, alice)
    closed = decide(make.case_of(larkfield), ruth, D.NO_ACTION)
    with pytest.raises(AppealRefusedError):
        appeal_of(closed, alice)


def test_open_for_six_months(
    larkfield: Organization, alice: Persona, ruth: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = decide(make.case_of(larkfield), ruth, D.WARN)
    end = notices.appeal_until(decision)
    monkeypatch.setattr(clock, "now", lambda: end + timedelta(seconds=1))
    with pytest.raises(AppealRefusedError):
        appeal_of(decision, alice)
    monkeypatch.setattr(clock, "now", lambda: end)
    assert appeal_of(decision, alice).state == "open"


def test_calendar_months() -> None:
    moment = datetime(2026, 8, 31, 12, tzinfo=UTC)
    assert notices._months_after(moment) == datetime(2027, 2, 28, 12, tzinfo=UTC)


def test_promise_is_shorter_while_suspended(larkfield: Organization, hollin: Organization, alice: Persona) -> None:
    friday = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert clock.business_days_after(friday, policy.APPEAL_SUSPENDED_BD) == datetime(2026, 11, 25, 12, tzinfo=UTC)
    Organization.objects.filter(pk=hollin.pk).update(standing=S.SUSPENDED)
    hollin.refresh_from_db()
    assert appeals.promised_until(hollin) < appeals.promised_until(larkfield)


def test_decided_appeal_stays(larkfield: Organization, alice: Persona, ruth: User, tomas: User) -> None:
    appeal = appeal_of(decide(make.case_of(larkfield), ruth, D.WARN), alice)
    stale = Appeal.objects.get(pk=appeal.pk)
    appeals.decide(appeal, actor=tomas, reverse=False, reason="x")
    for again in (appeal, stale):
        with pytest.raises(AppealRefusedError):
            appeals.decide(again, actor=tomas, reverse=True, reason="x")
    assert stand(larkfield) == S.WARNED
