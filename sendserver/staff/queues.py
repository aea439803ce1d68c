"""What waits for staff: one reader for each queue, counted for the menu, listed together for the start page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.core.cache import cache
from django.urls import NoReverseMatch, reverse

from abuse.cases import PROVEN, holder
from abuse.models import Appeal, Case, CaseState, Complaint
from accounts.models import Organization, User, Verification, VerificationState
from accounts.policy import REVIEW_BUSINESS_DAYS
from campaigns.models import Campaign, CampaignState
from compliance.models import ImportJob, ImportState
from sendserver.lib import clock
from sendserver.lib.words import count, duration

COUNTS_SECONDS: Final = 10
EACH: Final = 200  # rows read of one queue; the menu counts all


@dataclass(frozen=True)
class Waiting:
    """One thing that waits: what it is, whose, until when, and who has it."""

    queue: str
    title: str
    reference: str
    organization: Organization
    until: datetime
    signals: str
    held_by: User | None
    url: str

    @property
    def seconds(self) -> float:
        """Return the seconds left, below zero when the promise has passed."""
        return (self.until - clock.now()).total_seconds()

    @property
    def left(self) -> str:
        """Return the time left in words."""
        return duration(self.seconds) if self.seconds >= 0 else f"missed by {duration(-self.seconds)}"

    @property
    def colour(self) -> str:
        """Return how pressing it is, as a tag's colour."""
        return "bad" if self.seconds < 2 * 3600 else "warn" if self.seconds < 8 * 3600 else ""


def counts() -> dict[str, int]:
    """Return how many things wait in each queue, at most COUNTS_SECONDS old."""
    found: dict[str, int] | None = cache.get("staff:counts")
    if found is None:
        found = _count()
        cache.set("staff:counts", found, COUNTS_SECONDS)
    return found


def _count() -> dict[str, int]:
    return {
        "cases": Case.objects.exclude(state=CaseState.DECIDED).count(),
        "verifications": Verification.objects.filter(state=VerificationState.SUBMITTED).count(),
        "uploads": ImportJob.objects.filter(state=ImportState.HELD).count(),
        "campaigns": Campaign.objects.filter(state=CampaignState.HELD).count(),
        "appeals": Appeal.objects.filter(state=Appeal.State.OPEN).count(),
        "unmatched": Complaint.objects.filter(case=None, withdrawn_at=None, received_at__gte=_recently()).count(),
    }


def _recently() -> datetime:
    return clock.now() - timedelta(days=7)


def everything() -> list[Waiting]:
    """Return what waits in all queues, the oldest promise first."""
    rows = [row for read in READERS.values() for row in read()]
    return sorted(rows, key=lambda row: row.until)


def _cases() -> Iterable[Waiting]:
    rows = Case.objects.exclude(state=CaseState.DECIDED).select_related("organization", "claimed_by")
    for case in rows.prefetch_related("complaints").order_by("promised_until")[:EACH]:
        reports = list(case.complaints.all())
        title = reports[0].get_kind_display() if reports else "Opened by staff"
        people = f", {len(reports)} reports" if len(reports) > 1 else ""
        yield Waiting(
            "cases",
            title + people,
            f"Case {case.reference}",
            case.organization,
            case.promised_until,
            _signals(case, reports),
            holder(case),
            address("admin:abuse_case_change", case.pk),
        )


def _signals(case: Case, reports: list[Complaint]) -> str:
    """Say what stands out: how pressing, how sure, and whose turn it is when it is not ours."""
    proven = sum(row.grade in PROVEN for row in reports)
    sure = f"{proven} proven" if proven else "nothing proven" if reports else ""
    turn = "" if case.state == CaseState.OPEN else case.get_state_display().lower()
    return ", ".join(part for part in ("urgent" if case.urgent else "", sure, turn) if part) or "no report"


def _verifications() -> Iterable[Waiting]:
    rows = Verification.objects.filter(state=VerificationState.SUBMITTED).select_related("organization")
    for row in rows.order_by("promised_until")[:EACH]:
        is_new = row.organization.standing == "unverified"
        yield Waiting(
            "verifications",
            "New customer" if is_new else f"Asks for {row.requested_allowance:,} a day",
            f"Verification {row.reference}",
            row.organization,
            row.promised_until or promise(row.submitted_at or row.created_at),
            f"Joined {duration((clock.now() - row.organization.created_at).total_seconds())} ago",
            None,
            address("admin:accounts_verification_change", row.pk),
        )


def _uploads() -> Iterable[Waiting]:
    rows = ImportJob.objects.filter(state=ImportState.HELD).select_related("organization", "contact_list")
    for job in rows.order_by("pk")[:EACH]:
        yield Waiting(
            "uploads",
            f"{job.contact_list.name}, {count(job.row_count, 'rows')}",
            f"Upload {str(job.uid)[:8]}",
            job.organization,
            promise(job.heartbeat_at or job.created_at),
            count(len(job.held_reasons), "reasons"),
            None,
            address("admin:compliance_importjob_change", job.pk),
        )


def _campaigns() -> Iterable[Waiting]:
    rows = Campaign.objects.filter(state=CampaignState.HELD).select_related("organization")
    for campaign in rows.order_by("updated_at")[:EACH]:
        yield Waiting(
            "campaigns",
            campaign.subject or campaign.name,
            f"Campaign {str(campaign.uid)[:8]}",
            campaign.organization,
            promise(campaign.updated_at),
            "held by a check",
            None,
            address("admin:campaigns_campaign_change", campaign.pk),
        )


def _appeals() -> Iterable[Waiting]:
    rows = Appeal.objects.filter(state=Appeal.State.OPEN).select_related("organization", "decision")
    for appeal in rows.order_by("promised_until")[:EACH]:
        yield Waiting(
            "appeals",
            f"Against: {appeal.decision.get_kind_display().lower()}",
            f"Appeal {appeal.decision.reference}",
            appeal.organization,
            appeal.promised_until,
            appeal.get_ground_display(),
            None,
            address("admin:abuse_appeal_change", appeal.pk),
        )


READERS: Final[dict[str, Callable[[], Iterable[Waiting]]]] = {
    "cases": _cases,
    "verifications": _verifications,
    "uploads": _uploads,
    "campaigns": _campaigns,
    "appeals": _appeals,
}


def promise(start: datetime) -> datetime:
    """Return when staff promised to look at what waits since `start`."""
    return clock.business_days_after(start, REVIEW_BUSINESS_DAYS)


def address(name: str, pk: int) -> str:
    """Return the address of a staff page, or the start page while it does not exist."""
    try:
        return reverse(name, args=[pk])
    except NoReverseMatch:
        return reverse("admin:index")
