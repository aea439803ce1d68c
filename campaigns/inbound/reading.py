"""What a mail that came in is: complaint, bounce, delay, automatic reply, or a person's words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from campaigns.inbound import arf, auto_reply, dsn, parts


class Kind(StrEnum):
    """Kinds as stored in InboundMail.kind."""

    COMPLAINT = "complaint"
    FEEDBACK = "feedback"  # a report that is no complaint: not-spam, authentication failure
    BOUNCE = "bounce"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    AUTO_REPLY = "auto_reply"
    REPLY = "reply"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Reading:
    """A mail, understood as far as it goes."""

    kind: Kind
    bounce: dsn.Bounce | None = None
    feedback: arf.Feedback | None = None
    says_stop: bool = False


def read(raw: bytes) -> Reading:
    """Return what the mail is; never raises, a mail that breaks the reader is UNREADABLE."""
    try:
        return _read(raw)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, IndexError):
        return Reading(Kind.UNREADABLE)


def _read(raw: bytes) -> Reading:
    message = parts.parse(raw)
    feedback = arf.read(message)
    if feedback is not None:
        return Reading(Kind.COMPLAINT if feedback.is_complaint else Kind.FEEDBACK, feedback=feedback)
    # Many servers mark their bounces Auto-Submitted as well, so a telling bounce is asked for first; a subject that
    # says "out of office" is never one.
    if not auto_reply.is_absence(message):
        bounce = dsn.read(message)
        if bounce is not None:
            return Reading(_bounce_kind(bounce), bounce=bounce)
    kind = Kind.AUTO_REPLY if auto_reply.is_automatic(message) else Kind.REPLY
    return Reading(kind, says_stop=auto_reply.says_stop(message))


def _bounce_kind(bounce: dsn.Bounce) -> Kind:
    if bounce.is_failure:
        return Kind.BOUNCE
    return Kind.DELIVERED if bounce.action in ("delivered", "relayed", "expanded") else Kind.DELAYED
