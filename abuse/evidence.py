"""The evidence of a case on one page: in short, for and against, timeline, figures, and what the rules suggest.

Every line names its record. Nothing is scored in secret, and nothing here changes anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from abuse import cases, figures, finding, intake, strikes
from abuse.models import Case, CaseEntry, CaseState, Complaint
from abuse.reputation import Counts, Judgement, judge
from accounts import allowance
from accounts.models import Organization
from campaigns.models import Brake, Campaign, Delivery, Event, EventKind, Outcome
from compliance import policy
from compliance.models import AttestationPerson, ContactList, ListMembership
from sendserver.lib import charts, clock, words
from sendserver.lib.addresses import masked

SHOWN: Final = 20  # reports and messages on the page; the rest is counted
WEEKS: Final = ("This week", "Last week", "2 weeks ago", "3 weeks ago")
ENTRY_MARKS: Final = {
    CaseEntry.Kind.COMPLAINT: ("", "flag"),
    CaseEntry.Kind.STOPPED: ("ok", "check"),
    CaseEntry.Kind.QUESTION: ("", "eye"),
    CaseEntry.Kind.ANSWER: ("", "mail"),
    CaseEntry.Kind.NOTE: ("", "file"),
    CaseEntry.Kind.REPORTER: ("", "people"),
    CaseEntry.Kind.CLAIMED: ("", "people"),
    CaseEntry.Kind.DECISION: ("warn", "scale"),
    CaseEntry.Kind.LETTER: ("", "mail"),
}

EVENT_SOURCES: Final = {
    "smtp": "Refused while we handed it over",
    "dsn": "By a bounce message",
    "arf": "By a feedback loop",
    "one_click": "By one click in the mail program",
    "page": "On our page",
    "mailto": "By mail",
    "abuse_form": "By the abuse form",
}


@dataclass
class Evidence:
    """What the case page shows."""

    case: Case
    title: str = ""
    short: list[str] = field(default_factory=list)
    speaks_for: list[str] = field(default_factory=list)
    against: list[str] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    report_count: int = 0
    proven_count: int = 0
    timeline: list[dict[str, Any]] = field(default_factory=list)
    weeks: Any = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    signals: list[tuple[str, str, str, str]] = field(default_factory=list)
    suggestion: strikes.Suggestion | None = None
    campaign: Campaign | None = None
    consents: list[dict[str, Any]] = field(default_factory=list)
    brakes: list[Brake] = field(default_factory=list)


def gather(case: Case) -> Evidence:
    """Return the evidence of a case."""
    organization = case.organization
    # The strongest first: whoever floods a case must not hide what is proven.
    complaints = list(case.complaints.order_by("grade", "-pk")[:SHOWN])
    deliveries = _deliveries(complaints)
    counts = figures.of_organization(organization)
    judgement = judge(counts)
    found = Evidence(case=case, campaign=_campaign(case))
    found.report_count = case.complaints.count()
    found.proven_count = case.complaints.filter(grade__in=cases.PROVEN).count()
    found.title = _title(complaints, organization)
    found.reports = [_report(complaint, deliveries) for complaint in complaints]
    found.consents = [_consent(delivery) for delivery in list(deliveries.values())[:SHOWN]]
    found.short = _short(case, found)
    found.speaks_for, found.against = _both_sides(case, complaints, deliveries, found, counts)
    found.timeline = _timeline(case, deliveries)
    found.weeks = _weeks(organization)
    found.facts = _facts(organization)
    found.signals = _signals(counts, judgement)
    found.brakes = list(Brake.objects.filter(organization=organization, lifted_at=None).order_by("-pk"))
    answered = case.entries.filter(kind=CaseEntry.Kind.ANSWER).exists() or case.state == CaseState.ANSWERED
    found.suggestion = strikes.suggest(organization, judgement, proven=found.proven_count, answered=answered)
    return found


def _campaign(case: Case) -> Campaign | None:
    return Campaign.objects.select_related("snapshot").filter(pk=case.campaign_id or 0).first()


def _deliveries(complaints: list[Complaint]) -> dict[int, Delivery]:
    ids = [complaint.delivery_id for complaint in complaints if complaint.delivery_id]
    rows = Delivery.objects.filter(pk__in=ids).select_related("campaign", "organization")
    return {row.pk: row for row in rows}


def _title(complaints: list[Complaint], organization: Organization) -> str:
    if not complaints:
        return f"Opened by staff: {organization.name}"
    kinds = {complaint.get_kind_display() for complaint in complaints}
    return f"{complaints[-1].get_kind_display() if len(kinds) == 1 else 'Several reports'}: {organization.name}"


def _report(complaint: Complaint, deliveries: dict[int, Delivery]) -> dict[str, Any]:
    delivery = deliveries.get(complaint.delivery_id or 0)
    return {
        "row": complaint,
        "signs": complaint.found.get("signs", []),
        "altered": complaint.found.get("altered", False),
        "source": intake.source_of(complaint),
        "recipient": masked(delivery.address) if delivery else "",
    }


def _consent(delivery: Delivery) -> dict[str, Any]:
    """Return the permission behind one reported message: basis, dates, and the signed statement."""
    rows = ListMembership.objects.select_related("attestation", "contact_list", "import_job")
    membership = rows.filter(pk=delivery.membership_id or 0).first()
    attestation = membership.attestation if membership else None
    person = AttestationPerson.objects.filter(attestation_uid=attestation.uid).first() if attestation else None
    return {
        "recipient": masked(delivery.address),
        "membership": membership,
        "attestation": attestation,
        "signer": f"{person.signer_name}, {person.signer_role}" if person else "",
        "left_at": finding.left_before(delivery, _sent_at(delivery)),
        "sent_at": _sent_at(delivery),
    }


def _sent_at(delivery: Delivery) -> Any:
    outcome = finding.accepted(delivery)
    return outcome.at if outcome else delivery.campaign.started_at


def _short(case: Case, found: Evidence) -> list[str]:
    lines = []
    if found.report_count:
        about = f" about “{found.campaign.subject}”" if found.campaign else ""
        said = words.count(found.report_count, "reports")
        lines.append(f"{said}{about}. Proven by a signature of ours: {found.proven_count} of {found.report_count}.")
    else:
        lines.append("No report: staff or the figures opened this case.")
    left = [row for row in found.consents if row["left_at"]]
    lines += [
        f"One person unsubscribed on {_day(row['left_at'])} and got a message on {_day(row['sent_at'])}."
        for row in left[:3]
    ]
    others = Complaint.objects.filter(organization=case.organization, received_at__gte=clock.now() - timedelta(days=28))
    number = others.exclude(case=case).count()
    lines.append(f"{words.count(number, 'other reports')} about this organization in four weeks.")
    return lines


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _both_sides(
    case: Case, complaints: list[Complaint], deliveries: dict[int, Delivery], found: Evidence, counts: Counts
) -> tuple[list[str], list[str]]:
    good: list[str] = []
    bad: list[str] = []
    _weigh_consents(found.consents, good, bad)
    rate = words.rate(counts.complaints, counts.base)
    limit = words.percent(policy.L_WARN, 1)
    over = counts.base and counts.complaints / counts.base >= policy.L_WARN
    (bad if over else good).append(f"{rate} complained in {policy.JUDGED_D} days, limit {limit}")
    _weigh_answers(case, good, bad)
    live = strikes.live(case.organization)
    if live:
        bad.append(f"{words.count(len(live), 'strikes')} in {policy.STRIKE_D} days")
    else:
        good.append(f"No strike in {policy.STRIKE_D} days")
    altered = sum(bool(complaint.found.get("altered")) for complaint in complaints)
    if altered:
        good.append(f"{words.count(altered, 'reports')} show a text that is not what was sent: copied headers")
    return good, bad


def _weigh_consents(consents: list[dict[str, Any]], good: list[str], bad: list[str]) -> None:
    signed = sum(bool(row["attestation"]) for row in consents)
    if signed:
        good.append(f"Signed statement behind {signed} of {len(consents)} reported messages")
    if signed < len(consents):
        bad.append(f"No statement behind {len(consents) - signed} of {len(consents)} reported messages")
    late = [(row["sent_at"] - row["left_at"]).days for row in consents if row["left_at"]]
    bad += [f"Message {words.count(days, 'days')} after an unsubscribe" for days in late]
    confirmed = sum(bool(row["membership"] and row["membership"].confirmed_at) for row in consents)
    if confirmed:
        good.append(f"{confirmed} of {len(consents)} confirmed their sign-up by a link")


def _weigh_answers(case: Case, good: list[str], bad: list[str]) -> None:
    question = case.entries.filter(kind=CaseEntry.Kind.QUESTION).order_by("pk").first()
    answer = case.entries.filter(kind=CaseEntry.Kind.ANSWER).order_by("pk").first()
    if question and answer and answer.at > question.at:
        good.append(f"Answered our question in {words.duration((answer.at - question.at).total_seconds())}")
    elif answer:
        good.append("Wrote to us about it")
    elif question and case.answer_until and case.answer_until < clock.now():
        bad.append("Did not answer in time")


def _timeline(case: Case, deliveries: dict[int, Delivery]) -> list[dict[str, Any]]:
    lines = [_entry_line(entry) for entry in cases.newest_entries(case)]
    shown = list(deliveries)[:SHOWN]
    for outcome in Outcome.objects.filter(delivery_id__in=shown).order_by("-pk")[:SHOWN]:
        server = f"{outcome.relay}, {outcome.code or ''} {outcome.reply}".strip(", ")
        who = masked(deliveries[outcome.delivery_id].address)
        title = f"Message to {who}: {outcome.get_state_display().lower()}"
        lines.append({"title": title, "text": server, "at": outcome.at, "kind": "", "mark": "send"})
    for event in Event.objects.filter(delivery_id__in=shown).exclude(kind=EventKind.CLICKED).order_by("-pk")[:SHOWN]:
        who = masked(deliveries[event.delivery_id or 0].address)
        title = f"{event.get_kind_display()}: {who}"
        lines.append(
            {
                "title": title,
                "text": EVENT_SOURCES.get(event.source, event.source),
                "at": event.at,
                "kind": "",
                "mark": "no",
            }
        )
    return sorted(lines, key=lambda line: line["at"], reverse=True)


def _entry_line(entry: CaseEntry) -> dict[str, Any]:
    kind, mark = ENTRY_MARKS[CaseEntry.Kind(entry.kind)]
    who = f" ({entry.actor.get_full_name()})" if entry.actor else ""
    return {"title": f"{entry.get_kind_display()}{who}", "text": entry.text, "at": entry.at, "kind": kind, "mark": mark}


def _weeks(organization: Organization) -> Any:
    now = clock.now()
    rows = Complaint.objects.filter(organization=organization, withdrawn_at=None)
    numbers = [
        rows.filter(
            received_at__gt=now - timedelta(weeks=week + 1), received_at__lte=now - timedelta(weeks=week)
        ).count()
        for week in range(len(WEEKS))
    ]
    bars = [charts.Bar(name, number, fill="c5") for name, number in zip(WEEKS, numbers, strict=True)]
    return charts.bars(bars, "Complaints per week: " + ", ".join(map(str, numbers)))


def _facts(organization: Organization) -> list[tuple[str, str]]:
    lists = ContactList.objects.for_org(organization).filter(closed_at=None)
    people = sum(lists.values_list("people_count", flat=True))
    earlier = organization.decisions.filter(confirms=None).count()
    return [
        ("Since", _day(organization.created_at)),
        ("Allowance", f"{allowance.today(organization):,} a day of {organization.daily_allowance:,}"),
        ("Lists", f"{lists.count()}, {people:,} people"),
        ("Earlier decisions", str(earlier) if earlier else "None"),
        ("Strikes now", str(len(strikes.live(organization))) or "None"),
    ]


def _signals(counts: Counts, judgement: Judgement) -> list[tuple[str, str, str, str]]:
    complaints = counts.complaints / counts.base if counts.base else 0.0
    bounces = counts.hard_bounces / counts.attempts if counts.attempts else 0.0
    return [
        (
            f"Complaints, {policy.JUDGED_D} days",
            words.rate(counts.complaints, counts.base),
            "bad" if complaints >= policy.L_SUSPEND else "warn" if complaints >= policy.L_WARN else "ok",
            f"Warned at {words.percent(policy.L_WARN, 1)}, suspended at {words.percent(policy.L_SUSPEND, 1)}",
        ),
        (
            f"Bounces, {policy.JUDGED_D} days",
            words.rate(counts.hard_bounces, counts.attempts, "mailboxes", "mailbox"),
            "bad" if bounces >= policy.HB_SUSPEND else "warn" if bounces >= policy.HB_WARN else "ok",
            f"Warned at {words.percent(policy.HB_WARN, 1)}, suspended at {words.percent(policy.HB_SUSPEND, 1)}",
        ),
        (
            "Figures suggest",
            judgement.level.name.lower(),
            ("ok", "info", "warn", "bad")[judgement.level],
            judgement.reasons[0] if judgement.reasons else "Nothing speaks against the sender.",
        ),
    ]
