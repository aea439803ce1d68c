"""Reports that nobody typed into the form: feedback-loop events, and mail to the abuse mailbox. Run by beat.

Events were authenticated by the inbound door and have suppressed the address already; here they become reports that
staff see and that reputation counts.
"""

from __future__ import annotations

import logging
from email.utils import parseaddr
from typing import Final

from django.db import DatabaseError
from django.db.models import Max

from abuse import intake, matching
from abuse.matching import Match
from abuse.models import Complaint, ComplaintSource
from campaigns.models import Delivery, Event, EventKind, InboundMail

log = logging.getLogger(__name__)
BATCH: Final = 500
# Ids are given before they commit, so a late one may stand below the highest we took. Wide enough for any transaction.
LATE_IDS: Final = 10_000
FRAUD: Final = ("fraud", "virus")


def take_events() -> int:
    """Turn new feedback-loop events into reports and return how many."""
    taken = Complaint.objects.aggregate(top=Max("event_id"))["top"] or 0
    known = Complaint.objects.filter(event_id__gt=taken - LATE_IDS).values_list("event_id", flat=True)
    fresh = Event.objects.filter(kind=EventKind.COMPLAINED, pk__gt=taken - LATE_IDS).exclude(pk__in=list(known))
    events = list(fresh.exclude(source=intake.EVENT_SOURCE).order_by("pk")[:BATCH])
    return sum(_take(_from_event(event), f"event {event.pk}") for event in events)


def _from_event(event: Event) -> intake.Report:
    delivery = Delivery.objects.select_related("organization", "campaign").filter(pk=event.delivery_id or 0).first()
    kind = str(event.detail.get("feedback_type", "abuse")).lower()
    signs = (("Feedback loop", f"{event.source}, {kind}"),)
    grade = Complaint.Grade.A if delivery else Complaint.Grade.C
    return intake.Report(
        kind=Complaint.Kind.PHISHING if kind in FRAUD else Complaint.Kind.UNWANTED,
        source=ComplaintSource.FEEDBACK,
        match=Match(grade, delivery, delivery.organization if delivery else event.organization, signs),
        event_id=event.pk,
        inbound_id=None,
        received_at=event.at,
    )


def take_mails() -> int:
    """Turn new mail to the abuse mailbox into reports and return how many; the sender of the mail is the reporter."""
    taken = Complaint.objects.aggregate(top=Max("inbound_id"))["top"] or 0
    known = Complaint.objects.filter(inbound_id__gt=taken - LATE_IDS).values_list("inbound_id", flat=True)
    fresh = InboundMail.objects.filter(rcpt_to__istartswith="abuse@", pk__gt=taken - LATE_IDS)
    # The null sender is a machine that wants no answer (RFC 5321 section 4.5.5): bounces and automatic replies.
    mails = fresh.exclude(processed_at=None).exclude(mail_from="").exclude(pk__in=list(known))
    return sum(_take(_from_mail(mail), f"mail {mail.pk}") for mail in mails.order_by("pk")[:BATCH])


def _from_mail(mail: InboundMail) -> intake.Report:
    raw = bytes(mail.raw)
    outer = matching.parse(raw[: matching.MAX_BYTES])
    name, address = parseaddr(next(iter(outer.all("from")), ""))
    return intake.Report(
        kind=Complaint.Kind.UNWANTED,
        source=ComplaintSource.MAIL,
        match=matching.match_source(raw),
        text=next(iter(outer.all("subject")), "")[:300],
        raw=raw[: matching.MAX_BYTES],
        reporter_email=address if "@" in address else mail.mail_from,
        reporter_name=name,
        inbound_id=mail.pk,
        received_at=mail.received_at,
    )


def _take(report: intake.Report, what: str) -> bool:
    """Keep one report; one that cannot be kept is logged and tried again, and does not stop the others."""
    try:
        intake.receive(report)
    except DatabaseError:
        log.exception("could not file %s as a report", what)
        return False
    return True
