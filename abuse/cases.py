"""Cases: complaints about one organization and campaign gathered for a moderator; who holds one, and by when.

Decisions are taken in abuse.moderation. Every act leaves a line in the case's timeline and a row in the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Q

from abuse import references
from abuse.errors import CaseTakenError, DecisionRefusedError
from abuse.models import Case, CaseEntry, CaseState, Complaint
from accounts import audit
from accounts.models import Organization, User
from compliance import policy
from sendserver.lib import clock
from sendserver.lib.states import TransitionRefusedError, require

S = CaseState
K = CaseEntry.Kind

TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    S.OPEN: frozenset({S.ASKED, S.ANSWERED, S.CONFIRM, S.DECIDED}),
    S.ASKED: frozenset({S.OPEN, S.ANSWERED, S.CONFIRM, S.DECIDED}),  # OPEN: the time to answer has passed
    S.ANSWERED: frozenset({S.ASKED, S.CONFIRM, S.DECIDED}),
    S.CONFIRM: frozenset({S.OPEN, S.DECIDED}),  # OPEN: the second person did not agree
    S.DECIDED: frozenset({S.CONFIRM}),  # lifting a block asks for a second person too
}
URGENT_KINDS: Final = frozenset({Complaint.Kind.PHISHING, Complaint.Kind.ILLEGAL, Complaint.Kind.CANNOT_STOP})
BY_STRANGERS: Final = (K.COMPLAINT, K.STOPPED, K.REPORTER)  # lines that any report or reporter adds
ENTRIES_SHOWN: Final = 200
ENTRIES_OF_REPORTS: Final = 20
PROVEN: Final = (Complaint.Grade.A, Complaint.Grade.B)


def promised_from(start: datetime, *, urgent: bool) -> datetime:
    """Return when the first look is promised for."""
    if urgent:
        return start + timedelta(hours=policy.URGENT_H)
    return clock.business_days_after(start, policy.CASE_FIRST_LOOK_BD)


def attach(complaint: Complaint) -> Case | None:
    """Put a report into the open case of its organization and campaign, or open one; None when nobody is named."""
    if complaint.organization is None or complaint.grade == Complaint.Grade.X:
        return None
    # A report that anybody could have typed is looked at, but it cannot jump the queue.
    urgent = complaint.kind in URGENT_KINDS and complaint.grade in PROVEN
    case = open_case(complaint.organization, complaint.campaign_id, urgent=urgent)
    Complaint.objects.filter(pk=complaint.pk).update(case=case)
    complaint.case = case
    words = f"{complaint.get_kind_display()}. {complaint.get_source_display()}."
    add_entry(case, K.COMPLAINT, words, visible_to_customer=True)
    if complaint.stopped_at:
        add_entry(case, K.STOPPED, "Automatic, before any review.", visible_to_reporter=True)
    return case


def open_case(organization: Organization, campaign_id: int | None, *, urgent: bool = False) -> Case:
    """Return the open case about an organization and campaign, made when there is none; may make it urgent."""
    now = clock.now()
    case = _find_open(organization, campaign_id) or _create(organization, campaign_id, now, urgent)
    if urgent and not case.urgent:
        until = min(case.promised_until, promised_from(now, urgent=True))
        Case.objects.filter(pk=case.pk).update(urgent=True, promised_until=until)
        case.urgent, case.promised_until = True, until
    return case


def _find_open(organization: Organization, campaign_id: int | None) -> Case | None:
    rows = Case.objects.for_org(organization).exclude(state=S.DECIDED)
    return rows.filter(campaign_id=campaign_id).select_for_update().first()


def _create(organization: Organization, campaign_id: int | None, now: datetime, urgent: bool) -> Case:
    try:
        with transaction.atomic():
            return Case.objects.create(
                reference=references.new(),
                organization=organization,
                campaign_id=campaign_id,
                urgent=urgent,
                opened_at=now,
                promised_until=promised_from(now, urgent=urgent),
            )
    except IntegrityError:  # another report opened it in the same moment
        found = _find_open(organization, campaign_id)
        if found is None:
            raise
        return found


def move(case: Case, target: str, *, actor: User | None, reason: str, **fields: Any) -> None:
    """Move a case by one conditional UPDATE with an audit row; `case` carries the new values afterwards.

    Raises TransitionRefusedError when the table has no such arrow or somebody was first.
    """
    source = case.state
    require(TRANSITIONS, source, target)
    with transaction.atomic():
        if not Case.objects.filter(pk=case.pk, state=source).update(state=target, **fields):
            raise TransitionRefusedError(source, target)
        _audit("case.moved", case, actor, reason, {"from": str(source), "to": str(target)})
    for name, value in {"state": target, **fields}.items():
        setattr(case, name, value)


def add_entry(  # noqa: PLR0913
    case: Case,
    kind: str,
    text: str,
    *,
    actor: User | None = None,
    visible_to_customer: bool = False,
    visible_to_reporter: bool = False,
) -> CaseEntry:
    """Write one line of the timeline."""
    return CaseEntry.objects.create(
        case=case,
        kind=kind,
        text=text,
        actor=actor,
        visible_to_customer=visible_to_customer,
        visible_to_reporter=visible_to_reporter,
        at=clock.now(),
    )


def newest_entries(case: Case, **filters: Any) -> list[CaseEntry]:
    """Return the timeline, newest first; of lines that strangers make only the newest ENTRIES_OF_REPORTS.

    Ten thousand reports must not push a question, an answer or a decision off the page.
    """
    rows = case.entries.filter(**filters).select_related("actor").order_by("-pk")
    own, theirs = rows.exclude(kind__in=BY_STRANGERS)[:ENTRIES_SHOWN], rows.filter(kind__in=BY_STRANGERS)
    return sorted([*own, *theirs[:ENTRIES_OF_REPORTS]], key=lambda entry: -entry.pk)


# ---------- who holds a case


def holder(case: Case) -> User | None:
    """Return who holds the case now; a lock older than CLAIM_LOCK_MIN has lapsed."""
    if case.claimed_by is None or case.claimed_at is None or case.claimed_at <= _lock_start():
        return None
    return case.claimed_by


def claim(case: Case, actor: User) -> None:
    """Take the case; raises CaseTakenError while somebody else holds it. The first look fixes the day of decision."""
    free = Q(claimed_by=None) | Q(claimed_by=actor) | Q(claimed_at__lte=_lock_start()) | Q(claimed_at=None)
    now = clock.now()
    first = not case.entries.filter(kind=K.CLAIMED).exists()
    until = case.opened_at + timedelta(days=policy.CASE_DECIDE_D) if first else case.promised_until
    fields = {"claimed_by": actor, "claimed_at": now, "promised_until": until}
    with transaction.atomic():
        if not Case.objects.filter(free, pk=case.pk).exclude(state=S.DECIDED).update(**fields):
            raise CaseTakenError("Somebody else holds this case, or it is decided.")
        if case.claimed_by_id != actor.pk:
            add_entry(case, K.CLAIMED, f"Taken by {actor.get_full_name()}.", actor=actor)
            _audit("case.claimed", case, actor, "", {})
    for name, value in fields.items():
        setattr(case, name, value)


def release(case: Case, actor: User) -> None:
    """Give the case back to the queue; only its holder can."""
    released = Case.objects.filter(pk=case.pk, claimed_by=actor).update(claimed_by=None, claimed_at=None)
    if not released:
        raise CaseTakenError("Only the person who holds the case can hand it over.")
    _audit("case.released", case, actor, "", {})


def require_hold(case: Case, actor: User) -> None:
    """Raise CaseTakenError while somebody else holds the case."""
    other = holder(case)
    if other is not None and other.pk != actor.pk:
        raise CaseTakenError(f"Open with {other.get_full_name()} since {case.claimed_at:%H:%M} UTC.")


def _lock_start() -> datetime:
    return clock.now() - timedelta(minutes=policy.CLAIM_LOCK_MIN)


# ---------- what is said


@transaction.atomic
def note(case: Case, actor: User, text: str) -> None:
    """Keep a note that only staff see."""
    if not text.strip():
        raise DecisionRefusedError("Write something first.")
    add_entry(case, K.NOTE, text.strip(), actor=actor)
    _audit("case.noted", case, actor, "", {})


@transaction.atomic
def answer(case: Case, user: User, text: str) -> None:
    """Keep the customer's answer; raises DecisionRefusedError once the case is decided or without words."""
    if case.state in (S.DECIDED, S.CONFIRM):
        raise DecisionRefusedError("This case is closed. You can appeal the decision.")
    if not text.strip():
        raise DecisionRefusedError("Write your answer first.")
    add_entry(case, K.ANSWER, text.strip(), actor=user, visible_to_customer=True)
    if case.state != S.ANSWERED:
        move(case, S.ANSWERED, actor=user, reason="The sender answered")
    else:
        _audit("case.answered", case, user, "", {})


@transaction.atomic
def reporter_note(complaint: Complaint, text: str) -> None:
    """Keep what a reporter adds; without a case it is kept with the report."""
    words = text.strip()
    if not words:
        return
    if complaint.case is not None:
        add_entry(complaint.case, K.REPORTER, words, visible_to_reporter=True)
        return
    joined = f"{complaint.text}\n\n{words}".strip()[:8000]
    Complaint.objects.filter(pk=complaint.pk).update(text=joined)


@transaction.atomic
def withdraw(complaint: Complaint) -> None:
    """Take a report back: it no longer counts. The block of the sender stays; only the preferences page lifts it."""
    if not Complaint.objects.filter(pk=complaint.pk, withdrawn_at=None).update(withdrawn_at=clock.now()):
        return
    if complaint.case is not None:
        add_entry(complaint.case, K.REPORTER, "The reporter withdrew the report.", visible_to_reporter=True)


def reopen_unanswered() -> int:
    """Give cases back to staff whose time to answer has passed; return how many."""
    late = Case.objects.filter(state=S.ASKED, answer_until__lte=clock.now())
    for case in late:
        with transaction.atomic():
            move(case, S.OPEN, actor=None, reason="The time to answer has passed")
            add_entry(case, K.NOTE, "No answer in time.", visible_to_customer=True)
    return len(late)


def _audit(action: str, case: Case, actor: User | None, reason: str, detail: dict[str, Any]) -> None:
    audit.record(
        action,
        actor=actor,
        organization=case.organization,
        subject=f"case:{case.reference}",
        reason=reason,
        detail=detail,
    )
