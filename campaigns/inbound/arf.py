"""Feedback reports (RFC 5965): a mailbox provider says that its user called a message spam."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from typing import Final

from campaigns.inbound.parts import attached_text, header, text_of, walk

COMPLAINTS: Final = frozenset({"abuse", "fraud", "virus", "other"})
KNOWN: Final = COMPLAINTS | {"not-spam", "auth-failure", "opt-out", "opt-out-list", "dmarc"}
_SUBJECT: Final = re.compile(r"complaint about message from \S+$", re.IGNORECASE)


@dataclass(frozen=True)
class Feedback:
    """One report. Addresses may be redacted (RFC 6590), so `original`, the returned headers, carries the token."""

    feedback_type: str  # one of KNOWN
    user_agent: str
    original_mail_from: str
    envelope_id: str
    source_ip: str
    incidents: int
    original: str

    @property
    def is_complaint(self) -> bool:
        """Tell whether a person complained; not-spam and authentication reports are no complaints."""
        return self.feedback_type in COMPLAINTS


def read(message: Message) -> Feedback | None:
    """Return the feedback in a mail, None when it is none; an unknown type counts as "other" (RFC 5965 7.3)."""
    part = next((one for one in walk(message) if one.get_content_type() == "message/feedback-report"), None)
    if part is None:
        return _by_subject(message)
    fields = _fields(part)
    kind = header(fields, "Feedback-Type").lower()
    return Feedback(
        feedback_type=kind if kind in KNOWN else "other",
        user_agent=header(fields, "User-Agent")[:200],
        original_mail_from=header(fields, "Original-Mail-From").strip("<> ")[:254],
        envelope_id=header(fields, "Original-Envelope-Id")[:100],
        source_ip=header(fields, "Source-IP")[:45],
        incidents=_number(header(fields, "Incidents")),
        original=attached_text(message),
    )


def _by_subject(message: Message) -> Feedback | None:
    """Read the one large provider that reports without RFC 5965: subject, then the message as it was."""
    if not _SUBJECT.match(header(message, "Subject")):
        return None
    original = attached_text(message)
    return Feedback("abuse", "", "", "", "", 1, original) if original else None


def _fields(part: Message) -> Message:
    """Return the report's fields; the parser gives message/* parts a child or, when they are encoded, text."""
    payload = part.get_payload()
    if isinstance(payload, list) and payload and isinstance(payload[0], Message):
        return payload[0]
    fields = Message()
    for line in text_of(part).splitlines()[:100]:
        name, colon, value = line.partition(":")
        if colon and name.strip() and " " not in name.strip():
            fields[name.strip()] = value.strip()
    return fields


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1
