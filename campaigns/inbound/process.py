"""Reads the mail that came in and records what it means, each mail in a transaction of its own.

Believed is a token, never a header: the address (or, for feedback, the returned message) must carry one of ours. A
bounce counts only from the null sender (RFC 3464 section 2). Everything else is kept raw and changes nothing.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, Final

from django.db import Error, OperationalError, transaction

from campaigns.events import EventData, record_event
from campaigns.inbound import addresses
from campaigns.inbound.addresses import Ours
from campaigns.inbound.reading import Kind, Reading, read
from campaigns.models import Delivery, EventKind, InboundMail, Outcome
from campaigns.sending import selftest
from compliance import policy
from sendserver.lib import clock

log = logging.getLogger(__name__)
FORGED: Final = "forged"


def process_waiting(limit: int = 200) -> int:
    """Process up to `limit` waiting mails, oldest first, and return how many; several workers may do so at once."""
    count = 0
    while count < limit and _process_next():
        count += 1
    return count


def _process_next() -> bool:
    with transaction.atomic():
        mail = InboundMail.objects.select_for_update(skip_locked=True).filter(processed_at=None).order_by("pk").first()
        if mail is None:
            return False
        try:
            with transaction.atomic():
                process(mail)
        except OperationalError:
            raise  # a deadlock, a database going down: nothing about the mail; it waits and is read again
        except (ValueError, LookupError, TypeError, AttributeError, Error) as error:
            log.exception("inbound mail %s could not be processed", mail.pk)
            mail.kind, mail.note = Kind.UNREADABLE, f"{type(error).__name__}"
        mail.processed_at = clock.now()
        mail.save(update_fields=["kind", "note", "delivery_id", "processed_at"])
    return True


def process(mail: InboundMail) -> None:
    """Set kind, delivery and note of a mail and record the events that follow; the caller saves the row."""
    ours = addresses.read(mail.rcpt_to)
    if ours is None:
        mail.kind, mail.note = FORGED, "the address is not one we made"
        return
    if ours.kind in (addresses.Kind.ABUSE, addresses.Kind.HELP, addresses.Kind.NOTICE):
        mail.kind = ours.kind
        return
    if ours.kind is addresses.Kind.PROBE:
        mail.kind, mail.note = "probe", selftest.came_home(ours.probe_id or 0, bytes(mail.raw))[:300]
        return
    reading = read(bytes(mail.raw))
    mail.kind = reading.kind
    if ours.kind is addresses.Kind.FEEDBACK:
        _feedback(mail, reading)
    elif ours.kind is addresses.Kind.UNSUBSCRIBE:
        _unsubscribe(mail, ours, reading)
    else:
        _returned(mail, ours, reading)


def _feedback(mail: InboundMail, reading: Reading) -> None:
    if reading.feedback is None:
        mail.note = "no feedback report"
        return
    delivery = _delivery(mail, addresses.find_delivery(f"{reading.feedback.envelope_id}\n{reading.feedback.original}"))
    if delivery is None:
        mail.kind, mail.note = FORGED, "carries no token of ours"
        return
    _complaint(mail, delivery, reading)


def _complaint(mail: InboundMail, delivery: Delivery, reading: Reading) -> None:
    feedback = reading.feedback
    assert feedback is not None  # (only called with one)
    kind = EventKind.COMPLAINED if feedback.is_complaint else EventKind.UNKNOWN
    detail = {
        "feedback_type": feedback.feedback_type,
        "user_agent": feedback.user_agent,
        "source_ip": feedback.source_ip,
        "incidents": feedback.incidents,
    }
    _record(mail, delivery, kind, "arf", f"arf:{delivery.pk}:{kind}", detail=detail)


def _unsubscribe(mail: InboundMail, ours: Ours, reading: Reading) -> None:
    delivery = _delivery(mail, ours.delivery_id)
    if delivery is None:
        return
    if reading.kind in (Kind.BOUNCE, Kind.DELAYED, Kind.DELIVERED):
        mail.note = "a report at the unsubscribe address"
        return
    mail.kind = "unsubscribe"
    _record(mail, delivery, EventKind.UNSUBSCRIBED, "mailto", f"unsubscribe:{delivery.pk}:mailto")


def _returned(mail: InboundMail, ours: Ours, reading: Reading) -> None:
    delivery = _delivery(mail, ours.delivery_id)
    if delivery is None:
        return
    if reading.feedback is not None:
        _complaint(mail, delivery, reading)
    elif reading.bounce is not None:
        _bounce(mail, delivery, reading)
    elif reading.says_stop:
        _record(mail, delivery, EventKind.UNSUBSCRIBED, "reply", f"unsubscribe:{delivery.pk}:reply")
    elif reading.kind is Kind.AUTO_REPLY:
        _record(mail, delivery, EventKind.AUTORESPONDED, "reply", f"auto:{delivery.pk}:{_day(mail)}")
    elif reading.kind is Kind.REPLY:
        _record(mail, delivery, EventKind.INBOUND, "reply", f"reply:{delivery.pk}:{bytes(mail.sha256).hex()[:24]}")


def _bounce(mail: InboundMail, delivery: Delivery, reading: Reading) -> None:
    bounce = reading.bounce
    assert bounce is not None  # (only called with one)
    kinds = {
        Kind.BOUNCE: EventKind.BOUNCED,
        Kind.DELAYED: EventKind.DEFERRED,
        Kind.DELIVERED: EventKind.DELIVERED,
    }
    kind = kinds[reading.kind]
    if mail.mail_from:
        kind, mail.note = EventKind.UNKNOWN, "a report that does not come from the null sender"
    elif _is_late(mail, delivery):
        kind, mail.note = EventKind.UNKNOWN, f"a report on a message of more than {policy.BOUNCE_BELIEVED_D} days ago"
    _record(
        mail,
        delivery,
        kind,
        "dsn",
        f"dsn:{delivery.pk}:{kind}:{bounce.diagnosis.bounce_class}",
        bounce_class=bounce.diagnosis.bounce_class if kind == EventKind.BOUNCED else "",
        detail={
            "rule": bounce.diagnosis.rule,
            "enhanced": bounce.enhanced,
            "code": bounce.code,
            "text": bounce.text.replace("\x00", "?"),
        },
    )


def _is_late(mail: InboundMail, delivery: Delivery) -> bool:
    """Tell whether the message left so long ago that no honest server reports on it any more."""
    left = Outcome.objects.filter(delivery_id=delivery.pk).order_by("-pk").values_list("at", flat=True).first()
    return left is not None and mail.received_at - left > timedelta(days=policy.BOUNCE_BELIEVED_D)


def _delivery(mail: InboundMail, delivery_id: int | None) -> Delivery | None:
    """Return the delivery and write its number on the mail; None for a test message or one that is no longer kept."""
    delivery = Delivery.objects.filter(pk=delivery_id).first() if delivery_id else None
    if delivery is None:
        mail.note = "a test message, or a delivery that is no longer kept" if delivery_id is not None else ""
    else:
        mail.delivery_id = delivery.pk
    return delivery


def _record(mail: InboundMail, delivery: Delivery, kind: str, source: str, dedupe: str, **more: Any) -> None:
    record_event(
        EventData(
            kind=kind,
            source=source,
            dedupe=dedupe,
            at=mail.received_at,
            delivery=delivery,
            inbound_id=mail.pk,
            **more,
        )
    )


def _day(mail: InboundMail) -> str:
    return f"{mail.received_at:%Y%m%d}"
