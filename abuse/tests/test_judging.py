"""The beat's round: feedback becomes reports, rates set brakes, promises are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from abuse import cases, feedback, judging, reminders
from abuse.models import Case, CaseState, Complaint, DecisionKind
from abuse.tests import make
from abuse.tests.test_moderation import decide
from accounts.models import Organization, StandingChange
from campaigns import brakes
from campaigns.events import EventData, record_event
from campaigns.models import Brake, Campaign, Delivery, InboundMail
from compliance import policy
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db


def arf(to: Delivery, kind: str = "abuse") -> None:
    """Tell that a mailbox provider reported a message."""
    record_event(
        EventData("complained", "arf", f"arf:{to.pk}", timezone.now(), delivery=to, detail={"feedback_type": kind})
    )


def test_feedback_becomes_a_report_once(larkfield: Organization) -> None:
    sent = make.campaign(larkfield, accepted=1000)
    arf(make.delivery(sent))
    arf(make.delivery(sent), "fraud")
    assert (feedback.take_events(), feedback.take_events()) == (2, 0)
    assert sorted(Complaint.objects.values_list("kind", "source", "grade")) == [
        ("phishing", "feedback", "A"),
        ("unwanted", "feedback", "A"),
    ]
    assert Case.objects.get().urgent


def test_reports_from_the_form_are_not_taken_again(larkfield: Organization) -> None:
    make.report(make.delivery(make.campaign(larkfield)))
    assert feedback.take_events() == 0


def test_same_person_by_form_and_feedback_counts_once(larkfield: Organization) -> None:
    from abuse import figures

    sent = make.campaign(larkfield, accepted=1000)
    to = make.delivery(sent)
    make.report(to)
    arf(to)
    feedback.take_events()
    assert Complaint.objects.count() == 2
    assert figures.of_campaigns([sent.pk])[sent.pk].complaints == 1


def inbound(rcpt: str, raw: str, sender: str = "ada@inbox.example") -> InboundMail:
    return InboundMail.objects.create(
        received_at=timezone.now(),
        mail_from=sender,
        rcpt_to=rcpt,
        peer="203.0.113.9",
        raw=raw.encode(),
        sha256=b"x" * 32,
        kind="abuse",
        processed_at=timezone.now(),
    )


def test_mail_to_the_abuse_desk(larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield), "ada@inbox.example")
    head = "From: Ada <ada@inbox.example>\r\nSubject: Fwd: tulips\r\n\r\n"
    inbound("abuse@sendserver.example", head + make.source_of(to))
    inbound("help@sendserver.example", head + make.source_of(to))
    inbound("abuse@sendserver.example", head, sender="")
    assert (feedback.take_mails(), feedback.take_mails()) == (1, 0)
    complaint = Complaint.objects.get()
    assert (complaint.source, complaint.grade, complaint.reporter_email) == ("mail", "A", "ada@inbox.example")
    assert complaint.stopped_at is not None


def complain(sent: Campaign, count: int) -> None:
    for _ in range(count):
        arf(make.delivery(sent))


@pytest.mark.parametrize(("count", "accepted", "braked"), [(3, 100, False), (4, 1000, True), (4, 3000, False)])
def test_complaints_brake_by_themselves(larkfield: Organization, count: int, accepted: int, *, braked: bool) -> None:
    sent = make.campaign(larkfield, accepted=accepted, state="sending")
    complain(sent, count)
    judging.run()
    kinds = list(brakes.holding(sent).values_list("kind", flat=True))
    assert kinds == ([Brake.Kind.COMPLAINTS] * 2 if braked else [])  # the campaign's and the organization's
    larkfield.refresh_from_db()
    assert larkfield.standing == "good"  # a brake never changes standing
    assert not StandingChange.objects.exists()
    if braked:
        case = Case.objects.get(campaign_id=sent.pk)
        assert case.urgent
        assert case.entries.filter(text__startswith="Paused by itself").exists()


def test_one_report_of_fraud_pauses_the_campaign(larkfield: Organization) -> None:
    sent = make.campaign(larkfield, accepted=100_000, state="sending")
    arf(make.delivery(sent), "fraud")
    assert judging.run() == 1
    assert "fraud" in brakes.holding(sent).get().reason


def test_pause_tells_the_customer_and_the_person_on_duty(
    larkfield: Organization, alice: Persona, settings: object
) -> None:
    sent = make.campaign(larkfield, accepted=1000, state="sending")
    complain(sent, 4)
    judging.run()
    told = {address for message in mail.outbox for address in message.to}
    assert told == {alice.user.email, settings.ONCALL_EMAIL}  # type: ignore[attr-defined]
    assert any(message.subject == f"Paused: {sent.name}" for message in mail.outbox)
    mail.outbox.clear()
    judging.run()
    assert mail.outbox == []


def test_brake_that_a_person_lifted_comes_back_only_with_more(larkfield: Organization, administrator: object) -> None:
    sent = make.campaign(larkfield, accepted=1000, state="sending")
    complain(sent, 4)
    assert judging.run() == 2
    for brake in brakes.holding(sent):
        brakes.lift(brake, actor=None, reason="looked at it")
    assert judging.run() == 0
    complain(sent, 1)
    assert judging.run() == 2


def test_dead_addresses_brake_the_campaign(larkfield: Organization, hollin: Organization) -> None:
    sent = make.campaign(larkfield, accepted=200, state="sending")
    other = make.campaign(hollin, accepted=200, state="sending")
    for number in range(10):
        to = make.delivery(sent)
        record_event(
            EventData("bounced", "dsn", f"d{number}", timezone.now(), delivery=to, bounce_class="hard_recipient")
        )
    assert judging.run() == 1
    assert [brake.kind for brake in brakes.holding(sent)] == [Brake.Kind.BOUNCES]
    assert not brakes.holding(other).exists()


def test_one_broken_report_does_not_stop_the_round(larkfield: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import DatabaseError

    from abuse import intake

    sent = make.campaign(larkfield, accepted=1000)
    complain(sent, 2)
    real, calls = intake.receive, []

    def receive(report: intake.Report) -> Complaint:
        calls.append(report)
        if len(calls) == 1:
            raise DatabaseError("x")
        return real(report)

    monkeypatch.setattr(intake, "receive", receive)
    assert feedback.take_events() == 1
    assert feedback.take_events() == 1  # tried again


def test_late_answers_and_promises(larkfield: Organization, alice: object, monkeypatch: pytest.MonkeyPatch) -> None:
    case = make.case_of(larkfield)
    decide(case, make.moderator_user("Ruth"), DecisionKind.ASK)
    mail.outbox.clear()
    later = timezone.now() + timedelta(days=policy.TENANT_ANSWER_BD + 5)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert reminders.run() == 1
    case.refresh_from_db()
    assert case.state == CaseState.OPEN
    assert len(mail.outbox) == 1
    assert case.reference in str(mail.outbox[0].body)
    assert reminders.run() == 0  # once a day


def test_first_look_and_decision_promises(larkfield: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    case = make.case_of(larkfield)
    assert case.promised_until == clock.business_days_after(case.opened_at, policy.CASE_FIRST_LOOK_BD)
    ruth = make.moderator_user("Ruth")
    cases.claim(case, ruth)
    assert case.promised_until == case.opened_at + timedelta(days=policy.CASE_DECIDE_D)
    urgent = make.report(make.delivery(make.campaign(larkfield)), Complaint.Kind.ILLEGAL).case
    assert urgent is not None
    assert urgent.promised_until == urgent.opened_at + timedelta(hours=policy.URGENT_H)


def test_claim_lapses(larkfield: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    from abuse.errors import CaseTakenError

    case = make.case_of(larkfield)
    ruth, tomas = make.moderator_user("Ruth"), make.moderator_user("Tomas")
    cases.claim(case, ruth)
    with pytest.raises(CaseTakenError):
        cases.claim(Case.objects.get(pk=case.pk), tomas)
    with pytest.raises(CaseTakenError):
        cases.release(case, tomas)
    later = timezone.now() + timedelta(minutes=policy.CLAIM_LOCK_MIN + 1)
    monkeypatch.setattr(clock, "now", lambda: later)
    cases.claim(Case.objects.get(pk=case.pk), tomas)
    assert cases.holder(Case.objects.get(pk=case.pk)) == tomas


@pytest.mark.parametrize("source", CaseState)
@pytest.mark.parametrize("target", CaseState)
def test_case_table(larkfield: Organization, source: str, target: str) -> None:
    from sendserver.lib.states import TransitionRefusedError

    allowed = {
        "open": "asked answered confirm decided",
        "asked": "open answered confirm decided",
        "answered": "asked confirm decided",
        "confirm": "open decided",
        "decided": "confirm",
    }
    case = make.case_of(larkfield)
    Case.objects.filter(pk=case.pk).update(state=source)
    case.state = source
    if target in allowed[source].split():
        cases.move(case, target, actor=None, reason="x")
        assert Case.objects.get(pk=case.pk).state == target
        return
    with pytest.raises(TransitionRefusedError):
        cases.move(case, target, actor=None, reason="x")


def test_only_one_wins_a_move(larkfield: Organization) -> None:
    from sendserver.lib.states import TransitionRefusedError

    case = make.case_of(larkfield)
    stale = Case.objects.get(pk=case.pk)
    cases.move(case, CaseState.DECIDED, actor=None, reason="x")
    with pytest.raises(TransitionRefusedError):
        cases.move(stale, CaseState.ASKED, actor=None, reason="x")
