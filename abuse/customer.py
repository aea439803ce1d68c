"""What a customer sees of its standing and of a case: the figures staff see, the reasons, the way back. No reporter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count

from abuse import appeals, cases, figures, notices, strikes
from abuse.models import Appeal, Case, CaseEntry, CaseState, Complaint, Decision, DecisionKind
from abuse.reputation import Counts, Level, judge
from accounts import allowance
from accounts.models import Organization, Standing, StandingChange
from campaigns.models import Campaign, Usage
from compliance import policy, policy_text
from sendserver.lib import clock, words

SCALE: Final = 84  # percent of the bar at which "suspended" stands
LADDER: Final = (
    (Standing.UNVERIFIED, "Unverified", ""),
    (Standing.GOOD, "Good", "edge-ok"),
    (Standing.WARNED, "Warned", "edge-warn"),
    (Standing.SUSPENDED, "Suspended", "edge-bad"),
    (Standing.BLOCKED, "Blocked", "edge-bad"),
)
TITLES: Final = {
    Standing.UNVERIFIED: ("You are not verified yet", "line"),
    Standing.GOOD: ("You are in good standing", "ok"),
    Standing.WARNED: ("You are warned", "warn"),
    Standing.SUSPENDED: ("Sending is suspended", "bad"),
    Standing.BLOCKED: ("You are blocked", "bad"),
}
STEP_ICONS: Final = {
    DecisionKind.NO_ACTION: ("eye", ""),
    DecisionKind.ASK: ("mail", ""),
    DecisionKind.WARN: ("warn", "warn"),
    DecisionKind.SUSPEND_CAMPAIGN: ("pause", "warn"),
    DecisionKind.SUSPEND: ("stop", "warn"),
    DecisionKind.BLOCK: ("no", "warn"),
    DecisionKind.RESTORE: ("check", "ok"),
}


SHARED_SHOWN: Final = 20  # addresses of reporters who agreed to be named
ENTRY_ICONS: Final = {
    CaseEntry.Kind.COMPLAINT: "flag",
    CaseEntry.Kind.QUESTION: "mail",
    CaseEntry.Kind.ANSWER: "people",
    CaseEntry.Kind.DECISION: "scale",
}


@dataclass(frozen=True)
class Limit:
    """A figure with the two limits at which something happens; places are percent of the bar."""

    name: str
    shown: str
    warned: str
    suspended: str
    warned_at: int
    suspended_at: int
    fill: int


def standing_page(organization: Organization) -> dict[str, Any]:
    """Return the context of the standing page."""
    counts = figures.of_organization(organization)
    decision = _latest_measure(organization)
    granted = organization.daily_allowance
    today = allowance.today(organization)
    title, edge = TITLES[Standing(organization.standing)]
    return {
        "now": clock.now(),
        "title": title,
        "edge": edge,
        "ladder": [(label, colour, value == organization.standing) for value, label, colour in LADDER],
        "different": _different(organization, granted, today),
        "to_do": _to_do(organization, decision),
        "ends": _ends(organization, decision),
        "limits": _limits(counts),
        "counts": counts,
        "today": today,
        "granted": granted,
        "used": _used_today(organization),
        "decision": decision,
        "statement": statement_rows(decision) if decision else [],
        "strikes": strikes.live(organization),
        "history": _history(organization),
        "appeal": Appeal.objects.filter(decision=decision).first() if decision else None,
        "can_appeal": bool(decision and appeals.can_appeal(decision)),
        "appeal_until": notices.appeal_until(decision) if decision else None,
        "appeal_by": _appeal_by(organization),
        "cases": Case.objects.for_org(organization).filter(state=CaseState.ASKED).order_by("answer_until"),
        "policy": policy,
    }


def _latest_measure(organization: Organization) -> Decision | None:
    rows = Decision.objects.for_org(organization).filter(kind__in=notices.APPEALABLE, confirms=None)
    return rows.select_related("case", "actor").order_by("-pk").first()


def _used_today(organization: Organization) -> int:
    row = Usage.objects.filter(organization=organization, day=clock.now().date()).first()
    return row.count if row else 0


def _limits(counts: Counts) -> list[Limit]:
    people = words.rate(counts.complaints, counts.base)
    dead = words.rate(counts.hard_bounces, counts.attempts, "mailboxes", "mailbox")
    return [
        _limit("Complaints", people, (counts.complaints, counts.base), (policy.L_WARN, policy.L_SUSPEND)),
        _limit("Bounces", dead, (counts.hard_bounces, counts.attempts), (policy.HB_WARN, policy.HB_SUSPEND)),
    ]


def _limit(name: str, shown: str, part: tuple[int, int], marks: tuple[float, float]) -> Limit:
    share = part[0] / part[1] if part[1] else 0.0
    warn, suspend = marks
    return Limit(
        name,
        shown,
        f"warned {_mark(warn)}",
        f"suspended {_mark(suspend)}",
        round(SCALE * warn / suspend),
        SCALE,
        words.fill(share * SCALE, suspend * 100),
    )


def _mark(share: float) -> str:
    return f"{100 * share:.2f}%" if share < 0.01 else f"{100 * share:.0f}%"


def _different(organization: Organization, granted: int, today: int) -> list[str]:
    if organization.standing == Standing.WARNED:
        return [
            "Staff read each campaign before it goes",
            f"{today:,} messages a day instead of {granted:,}",
        ]
    if organization.standing == Standing.SUSPENDED:
        return ["Nothing is sent", "Drafts, lists and figures stay readable", "People can still unsubscribe"]
    if organization.standing == Standing.BLOCKED:
        return ["Nothing is sent, and the contract ends", "You can take your data out"]
    if organization.standing == Standing.UNVERIFIED:
        return ["You can write, upload and send tests to yourself", "No list can be mailed"]
    return [f"{today:,} messages a day", "Campaigns go when the checks pass"]


def _to_do(organization: Organization, decision: Decision | None) -> list[str]:
    if organization.standing == Standing.UNVERIFIED:
        return ["Finish the verification"]
    if organization.standing == Standing.GOOD:
        return ["Nothing"]
    must = decision.customer_must if decision else ""
    return [line.strip() for line in must.splitlines() if line.strip()] or ["Read the reasons below"]


def _ends(organization: Organization, decision: Decision | None) -> list[str]:
    if organization.standing == Standing.WARNED:
        clean = clean_campaigns(organization)
        of = policy.CLEAN_CAMPAIGNS
        return [f"After {of} clean campaigns: {min(clean, of)} of {of} so far. Staff then lift it", "Or by your appeal"]
    if organization.standing == Standing.SUSPENDED:
        return ["When the cause is gone and you have shown it", "Or by your appeal"]
    if organization.standing == Standing.BLOCKED:
        return [f"A return can be asked for after {policy.DENYLIST_MONTHS} months", "Or by your appeal"]
    if organization.standing == Standing.UNVERIFIED:
        return ["With the approval of our staff"]
    return ["It stays while the figures below stay good"]


def clean_campaigns(organization: Organization) -> int:
    """Return the campaigns sent since the last move of standing that nothing speaks against."""
    sent = Campaign.objects.for_org(organization).filter(started_at__gte=organization.standing_since, state="sent")
    counted = figures.of_campaigns(sent.values_list("pk", flat=True))
    return sum(judge(counts).level == Level.FINE and not counts.complaints for counts in counted.values())


def statement_rows(decision: Decision) -> list[tuple[str, str]]:
    """Return the statement of reasons as questions with their answers."""
    said = decision.statement

    def joined(*names: str) -> str:
        return " ".join(str(said.get(name, "")) for name in names).strip()

    return [
        ("What we saw", said.get("facts", "")),
        ("Counted", said.get("figures", "")),
        ("Rule", said.get("clause", "")),
        ("Law behind it", said.get("law", "")),
        ("Measure", joined("measure", "scope", "territory")),
        ("Until", said.get("duration", "")),
        ("How found", joined("source", "automated_detection", "automated_decision")),
        ("Decided by", f"{joined('decided_by')}, {joined('decided_at')}. A second look is by someone else."),
        ("Not content?", joined("redress_appeal", "redress_outside", "redress_court")),
    ]


def _history(organization: Organization) -> list[dict[str, Any]]:
    decisions = Decision.objects.for_org(organization).order_by("-pk")[:20]
    rows = [_decision_line(row) for row in decisions]
    known = {row.reference for row in decisions}
    moves = StandingChange.objects.filter(organization=organization).exclude(decision_ref__in=known).order_by("-pk")
    rows += [
        {"title": f"Standing: {move.get_target_display()}", "at": move.at, "kind": "ok", "mark": "check", "text": ""}
        for move in moves[:20]
    ]
    return sorted(rows, key=lambda row: row["at"], reverse=True)[:20]


def _decision_line(row: Decision) -> dict[str, Any]:
    mark, kind = STEP_ICONS[DecisionKind(row.kind)]
    confirmed = " (confirmed)" if row.confirms_id else ""
    rule = policy_text.rule(row.rule)
    text = f"Rule {rule.number} {rule.title}. {row.reference}"
    return {"title": f"{row.get_kind_display()}{confirmed}", "at": row.at, "kind": kind, "mark": mark, "text": text}


def _appeal_by(organization: Organization) -> datetime:
    return appeals.promised_until(organization)


def case_page(case: Case) -> dict[str, Any]:
    """Return the context of a complaint's page; days and counts only, so that one report cannot be linked."""
    campaign = Campaign.objects.for_org(case.organization).filter(pk=case.campaign_id or 0).first()
    complaints = case.complaints.filter(withdrawn_at=None)
    counted = complaints.order_by().values_list("kind").annotate(number=Count("pk"))
    kinds = {str(Complaint.Kind(kind).label): number for kind, number in counted}
    shared = complaints.filter(share_identity=True).exclude(reporter_email="").order_by("-pk")
    return {
        "case": case,
        "campaign": campaign,
        "kinds": sorted(kinds.items(), key=lambda pair: -pair[1]),
        "count": sum(kinds.values()),
        "shared": list(shared.values_list("reporter_email", flat=True)[:SHARED_SHOWN]),
        "question": case.entries.filter(kind=CaseEntry.Kind.QUESTION).order_by("-pk").first(),
        "entries": [_customer_line(entry) for entry in cases.newest_entries(case, visible_to_customer=True)],
        "decision": case.decisions.order_by("-pk").first(),
        "is_open": case.state not in (CaseState.DECIDED, CaseState.CONFIRM),
        "policy": policy,
    }


def _customer_line(entry: CaseEntry) -> dict[str, Any]:
    titles = {CaseEntry.Kind.QUESTION: "We asked you", CaseEntry.Kind.ANSWER: "You answered"}
    title = titles.get(CaseEntry.Kind(entry.kind), entry.get_kind_display())
    # A report's minute could be matched with an unsubscribe's; its day cannot.
    exact = entry.kind != CaseEntry.Kind.COMPLAINT
    mark = ENTRY_ICONS.get(CaseEntry.Kind(entry.kind), "info")
    return {"title": title, "text": entry.text, "at": entry.at, "exact": exact, "mark": mark}
