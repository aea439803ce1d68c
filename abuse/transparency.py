"""What the desk did, month by month, for the public page: reports, decisions, appeals, automatic stops.

Counted on a beat into one row a month; a page reads those rows and nothing else. A month's row is counted anew until
the month after has ended, and stays as it is afterwards, also when retention takes what it was counted from.
No figure names an organization; small ones are shown as they are, since each stands for many people's mail.
Regulation (EU) 2022/2065 articles 15 and 24 ask for such figures of platforms.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from statistics import median
from typing import Any, Final

from django.conf import settings
from django.db.models import Q, QuerySet

from abuse.models import Appeal, Case, Complaint, Decision, DecisionKind, MonthFigures
from accounts.models import Standing, StandingChange
from campaigns.models import Brake
from sendserver.lib import clock

SHOWN: Final = 13  # months: this one and the year before it
PROVEN: Final = (Complaint.Grade.A, Complaint.Grade.B)
MEASURES: Final = (Standing.WARNED, Standing.SUSPENDED, Standing.BLOCKED)
# Key, what it says, how it is counted; the page prints both.
ROWS: Final = (
    ("reports", "Reports received", "By form, mail, or a provider that tells us"),
    ("proven", "Proven to be about mail of ours", "By a signature, a token, or two signs that agree"),
    ("not_ours", "Not about mail of ours", "We found no sign that it came from our servers"),
    ("no_action", "Cases closed without action", "By a person, with a reason"),
    ("warned", "Senders warned", "Each move of a standing to warned"),
    ("campaigns", "Campaigns suspended", "One campaign stopped for good, the sender's others not"),
    ("suspended", "Senders suspended", "Nothing of them goes out; a block begins as one"),
    ("blocked", "Senders blocked", "Standing ended"),
    ("restored", "Senders restored", "Back from warned, suspended or blocked"),
    ("automatic", "Automatic pauses", "Sending paused by figures alone, before a person looked"),
    ("appeals", "Appeals made", "By senders, read by somebody who did not decide"),
    ("reversed", "Decisions reversed on appeal", "Of the appeals answered in the month"),
)


def count_recent() -> int:
    """Count this month and the one before; return how many rows were written."""
    this = clock.now().date().replace(day=1)
    last = (this - timedelta(days=1)).replace(day=1)
    for month in (last, this):
        MonthFigures.objects.update_or_create(month=month, defaults={"counts": count(month), "counted_at": clock.now()})
    return 2


def count(month: date) -> dict[str, Any]:
    """Return the figures of a month (UTC) by the keys of ROWS; `decide_s` is the middle time to a decision."""
    start, end = _bounds(month)
    reports = Complaint.objects.filter(received_at__gte=start, received_at__lt=end)
    decisions = Decision.objects.filter(at__gte=start, at__lt=end, confirms=None)
    moves = StandingChange.objects.filter(at__gte=start, at__lt=end)
    answered = Appeal.objects.filter(decided_at__gte=start, decided_at__lt=end)
    brakes = Brake.objects.filter(set_at__gte=start, set_at__lt=end)
    return {
        "reports": reports.count(),
        "proven": reports.filter(grade__in=PROVEN).count(),
        "not_ours": reports.filter(grade=Complaint.Grade.X).count(),
        "no_action": decisions.filter(kind=DecisionKind.NO_ACTION).count(),
        "warned": moves.filter(target=Standing.WARNED).count(),
        "campaigns": decisions.filter(kind=DecisionKind.SUSPEND_CAMPAIGN).count(),
        "suspended": moves.filter(target=Standing.SUSPENDED).count(),
        "blocked": moves.filter(target=Standing.BLOCKED).count(),
        "restored": moves.filter(source__in=MEASURES, target=Standing.GOOD).count(),
        "automatic": _automatic(brakes).count(),
        "appeals": Appeal.objects.filter(made_at__gte=start, made_at__lt=end).count(),
        "reversed": answered.filter(state=Appeal.State.REVERSED).count(),
        "decide_s": _median(start, end),
        "second_person": bool(settings.REQUIRE_SECOND_PERSON),
    }


def _automatic(brakes: QuerySet[Brake]) -> QuerySet[Brake]:
    return brakes.filter(Q(kind=Brake.Kind.COMPLAINTS) | Q(kind=Brake.Kind.BOUNCES))


def _bounds(month: date) -> tuple[datetime, datetime]:
    start = clock.now().replace(year=month.year, month=month.month, day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + timedelta(days=32)).replace(day=1)


def _median(start: datetime, end: datetime) -> float | None:
    spans = Case.objects.filter(decided_at__gte=start, decided_at__lt=end).values_list("opened_at", "decided_at")
    seconds = [(decided - opened).total_seconds() for opened, decided in spans if decided]
    return median(seconds) if seconds else None


def page() -> dict[str, Any]:
    """Return the context of the public page: at most SHOWN rows are read, nothing is counted."""
    months = list(MonthFigures.objects.order_by("-month")[:SHOWN])
    table = [
        {"label": label, "how": how, "numbers": [row.counts.get(key, 0) for row in months]} for key, label, how in ROWS
    ]
    return {
        "months": months,
        "table": table,
        "decided_in": [row.counts.get("decide_s") for row in months],
        "counted_at": max((row.counted_at for row in months), default=None),
        "second_person": settings.REQUIRE_SECOND_PERSON,
        "alone": [row.month for row in months if row.counts.get("second_person") is False],
    }
