"""A report comes in: it is kept, the mail stops for the reporter, and a case gathers it. Judges nothing.

The stop needs a signed token: only then do we know that the reporter holds the message. Everything happens in one
transaction, so that the reference stands for a stop that is in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from abuse import cases, references
from abuse.errors import TooManyReportsError
from abuse.matching import Match
from abuse.models import Complaint, ComplaintSource
from campaigns.events import EventData, record_event
from campaigns.models import EventKind
from compliance import policy
from sendserver.lib import clock, crypto
from sendserver.lib.ratelimit import allow

HOUR, DAY = 3600, 86_400  # seconds
EVENT_SOURCE = "abuse_form"


@dataclass(frozen=True)
class Report:
    """What somebody told us, with what the matcher found."""

    kind: str
    source: str
    match: Match
    text: str = ""
    raw: bytes = b""
    reporter_email: str = ""
    reporter_name: str = ""
    share_identity: bool = False
    never_platform: bool = False
    network: str = ""
    event_id: int | None = None
    inbound_id: int | None = None
    received_at: datetime | None = None


def check_limits(network: str, reporter_email: str) -> None:
    """Raise TooManyReportsError when a network or a named address has reported too often."""
    if not allow("abuse-network", network, limit=policy.REPORTS_PER_NETWORK, seconds=HOUR):
        raise TooManyReportsError("Many reports came from your network. Try again in an hour, or write to us.")
    email = reporter_email.lower()
    if email and not allow("abuse-address", email, limit=policy.REPORTS_PER_ADDRESS, seconds=DAY):
        raise TooManyReportsError("Many reports named this address today. Try again tomorrow, or write to us.")


@transaction.atomic
def receive(report: Report) -> Complaint:
    """Keep a report and return it: with reference, stop and case. The same feedback event twice is one report."""
    complaint = _create(report)
    if report.source != ComplaintSource.FEEDBACK:
        _stop(complaint, report)
    cases.attach(complaint)
    return complaint


def _create(report: Report) -> Complaint:
    for _ in range(5):
        try:
            with transaction.atomic():
                return Complaint.objects.create(reference=references.new(), **_fields(report))
        except IntegrityError as error:
            if "reference" not in str(error):
                raise
    raise IntegrityError("no free reference after five tries")


def _fields(report: Report) -> dict[str, object]:
    delivery = report.match.delivery
    now = clock.now()
    feedback = report.source == ComplaintSource.FEEDBACK
    return {
        "kind": report.kind,
        "source": report.source,
        "grade": report.match.grade,
        "organization": report.match.organization,
        "campaign_id": delivery.campaign_id if delivery else None,
        "delivery_id": delivery.pk if delivery else None,
        "text": report.text[:8000],
        # Kept sealed: a pasted message may hold other people's words.
        "raw": crypto.seal_text(report.raw.decode("latin-1")).encode() if report.raw else None,
        "found": report.match.as_found(),
        "reporter_email": report.reporter_email[:254],
        "reporter_name": report.reporter_name[:120],
        "share_identity": report.share_identity,
        "never_platform": report.never_platform,
        "network": report.network,
        "event_id": report.event_id,
        "inbound_id": report.inbound_id,
        "received_at": report.received_at or now,
        "stopped_at": (report.received_at or now) if feedback and delivery else None,
    }


def _stop(complaint: Complaint, report: Report) -> None:
    """Stop the sender for the person who holds the message, whatever is decided later (rules 9.4)."""
    delivery = report.match.delivery
    if delivery is None or not report.match.is_proven:
        return
    record_event(
        EventData(
            kind=EventKind.COMPLAINED,
            source=EVENT_SOURCE,
            dedupe=f"abuse:{delivery.pk}:{'all' if report.never_platform else 'one'}",
            at=complaint.received_at,
            delivery=delivery,
            detail={"complaint": str(complaint.uid)},
            platform=report.never_platform,
        )
    )
    complaint.stopped_at = clock.now()
    complaint.save(update_fields=["stopped_at"])


def source_of(complaint: Complaint) -> str:
    """Return the pasted source as text, or an empty string when none was given or its time has passed."""
    if not complaint.raw:
        return ""
    sealed = crypto.open_text(bytes(complaint.raw).decode())
    return sealed.encode("latin-1").decode("utf-8", "replace")
