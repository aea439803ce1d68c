"""What a reporter sees of a report: stop, steps with deadlines, and the outcome in plain words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms

from abuse import intake
from abuse.models import Case, CaseEntry, CaseState, Complaint, Decision, DecisionKind
from campaigns.models import Delivery
from compliance import policy
from sendserver.lib.addresses import masked

STATES = {
    CaseState.OPEN: ("A person is looking at it", "info", "eye"),
    CaseState.ASKED: ("We asked the sender", "info", "mail"),
    CaseState.ANSWERED: ("A person is looking at it", "info", "eye"),
    CaseState.CONFIRM: ("A second person is looking at it", "info", "eye"),
    CaseState.DECIDED: ("Decided", "ok", "check"),
}


def status_page(complaint: Complaint, form: forms.Form) -> dict[str, Any]:
    """Return the context of the status page."""
    delivery = (
        Delivery.objects.select_related("campaign__from_address__domain").filter(pk=complaint.delivery_id or 0).first()
    )
    return {
        "complaint": complaint,
        "case": complaint.case,
        "badge": _badge(complaint),
        "delivery": delivery,
        "domain": _domain(delivery),
        "steps": _steps(complaint, delivery),
        "decision": _decision(complaint),
        "masked_email": masked(complaint.reporter_email) if complaint.reporter_email else "",
        "updated_at": _updated(complaint),
        "pasted": bool(intake.source_of(complaint)),
        "form": form,
        "policy": policy,
    }


def _domain(delivery: Delivery | None) -> str:
    sender = delivery.campaign.from_address if delivery else None
    return sender.domain.name if sender else ""


def _badge(complaint: Complaint) -> tuple[str, str, str]:
    if complaint.withdrawn_at:
        return ("Withdrawn", "", "undo")
    if complaint.case is None:
        ours = complaint.grade != Complaint.Grade.X
        return ("A person is looking at it", "info", "eye") if ours else ("Not sent by us", "warn", "info")
    return STATES[CaseState(complaint.case.state)]


def _steps(complaint: Complaint, delivery: Delivery | None) -> list[dict[str, Any]]:
    steps = [_received(complaint, delivery)]
    if complaint.stopped_at:
        steps.append(_done("Sender blocked for your address", complaint.stopped_at, "Automatic, before any review."))
    case = complaint.case
    if case is None:
        return steps
    steps += [_of_entry(entry) for entry in _entries(complaint)]
    return steps + _to_come(case, len(steps))


def _received(complaint: Complaint, delivery: Delivery | None) -> dict[str, Any]:
    if delivery is not None:
        text = f"We found the message in our logs: “{delivery.campaign.subject}”."
    elif complaint.grade == Complaint.Grade.X:
        text = "We found no sign that this message came from us."
    else:
        text = "We found signs of our servers, though not the exact message."
    return _done("Report received", complaint.received_at, text)


def _entries(complaint: Complaint) -> list[CaseEntry]:
    kinds = (CaseEntry.Kind.QUESTION, CaseEntry.Kind.DECISION, CaseEntry.Kind.REPORTER)
    if complaint.case is None:
        return []
    since = complaint.received_at - timedelta(seconds=1)
    rows = complaint.case.entries.filter(kind__in=kinds, at__gte=since, visible_to_reporter=True)
    # Another reporter's note in the same case is not this one's to read.
    return [row for row in rows.order_by("pk") if row.kind != CaseEntry.Kind.REPORTER or _is_only(complaint)]


def _is_only(complaint: Complaint) -> bool:
    return complaint.case is not None and complaint.case.complaints.count() == 1


def _of_entry(entry: CaseEntry) -> dict[str, Any]:
    if entry.kind == CaseEntry.Kind.QUESTION:
        words = f"Your address was not shared. They have {policy.TENANT_ANSWER_BD} working days to answer."
        return _done("Sender asked to explain", entry.at, words)
    if entry.kind == CaseEntry.Kind.REPORTER:
        return _done("You added", entry.at, entry.text)
    return _done("Decision", entry.at, "")


def _to_come(case: Case, count: int) -> list[dict[str, Any]]:
    if case.state == CaseState.DECIDED:
        return []
    first_look = not case.entries.filter(kind=CaseEntry.Kind.CLAIMED).exists()
    by = case.promised_until if not first_look else case.opened_at + timedelta(days=policy.CASE_DECIDE_D)
    look = {"title": "Under review", "kind": "now", "mark": count + 1, "by": by, "first": first_look}
    look["first_by"] = case.promised_until
    return [look, {"title": "Decision", "kind": "", "mark": count + 2, "later": True}]


def _done(title: str, at: Any, text: str) -> dict[str, Any]:
    return {"title": title, "at": at, "text": text, "kind": "done"}


def _decision(complaint: Complaint) -> Decision | None:
    case = complaint.case
    if case is None or case.state != CaseState.DECIDED:
        return None
    return case.decisions.exclude(kind=DecisionKind.ASK).order_by("-pk").first()


def _updated(complaint: Complaint) -> Any:
    last = complaint.case.entries.order_by("-pk").first() if complaint.case else None
    return last.at if last else complaint.received_at
