# ruff: noqa: E501 (patterns are easier to compare unbroken)
"""Delivery reports: RFC 3464 in RFC 6522, then the old formats that flufl.bounce knows, then the words themselves.

Says what the mail claims; whether the claim is believed (the token in its address) is decided in process.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from email.message import Message
from typing import Final

from flufl.bounce import all_failures

from campaigns.bounces import HARD, BounceClass, Diagnosis, diagnose, find_code, find_enhanced, spare
from campaigns.inbound.parts import header, human_text, walk

_NOTICE: Final = re.compile(
    r"undeliver|delivery (?:status|failure|problem|has failed|report|notification|incomplete|error)|returned (?:mail|to sender)|failure notice"
    r"|mail (?:delivery|system) (?:failed|failure|error|problem)|could not be delivered|non-?deliver|unzustellbar|non remis|no entregado|mail could not",
    re.IGNORECASE,
)  # fmt: skip
_DAEMON: Final = re.compile(r"mailer-?daemon|postmaster|mail delivery (?:sub)?system|mdaemon", re.IGNORECASE)
_GENERIC: Final = re.compile(r"[25]\.0\.0")  # says nothing; 4.0.0 still says "not for good"
# The recipient was taken, or not yet named: whatever the words say is not about the address.
_NOT_RCPT: Final = re.compile(
    r"(?:in reply to|after) (?:the )?(?:end of )?(?:DATA|MAIL FROM|EHLO|HELO)|>>> (?:DATA|\.|MAIL FROM\b.{0,300})\s*\n\s*<<< 5",
    re.IGNORECASE,
)
_TYPE: Final = re.compile(r"^\s*[\w.-]+\s*;\s*")
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)  # it logs every try
_FAILED: Final = ("failed", "failure", "expand-failed")


@dataclass(frozen=True)
class Bounce:
    """What a report says of its one recipient; `action` is failed, delayed, delivered, relayed or expanded."""

    action: str
    diagnosis: Diagnosis
    enhanced: str
    code: int | None
    text: str
    recipient: str = ""

    @property
    def is_failure(self) -> bool:
        """Tell whether the message was not delivered, for good."""
        return self.action == "failed"


def read(message: Message) -> Bounce | None:
    """Return what the mail reports, or None when it is no delivery report."""
    blocks = [block for part in walk(message) if _is_status(part) for block in _blocks(part)]
    recipients = [block for block in blocks if _field(block, "Action") or _field(block, "Status")]
    if recipients:
        return _from_block(_choose(recipients), human_text(message))
    return _from_words(message)


def _is_status(part: Message) -> bool:
    return part.get_content_type() in ("message/delivery-status", "message/global-delivery-status")


def _blocks(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [block for block in payload if isinstance(block, Message)][:50] if isinstance(payload, list) else []


def _field(block: Message, name: str) -> str:
    return header(block, name)


def _choose(blocks: list[Message]) -> Message:
    """Return the block that counts: a failure before a delay; the last one is the final recipient's."""
    failed = [block for block in blocks if _field(block, "Action").lower().startswith(_FAILED)]
    return (failed or blocks)[-1]


def _from_block(block: Message, words: str) -> Bounce:
    text = _TYPE.sub("", _field(block, "Diagnostic-Code"))
    status = find_enhanced(_field(block, "Status"))
    inner = find_enhanced(text)
    enhanced = inner if inner and (not status or _GENERIC.fullmatch(status) or inner[0] == status[0]) else status
    action = _action(_field(block, "Action"), enhanced)
    code = find_code(text + " ")
    diagnosis = diagnose(code, "" if _GENERIC.fullmatch(enhanced) else enhanced, text)
    if _says_little(diagnosis, text):
        diagnosis = _with_words(diagnosis, code, enhanced, f"{text}\n{words}")
    if _NOT_RCPT.search(f"{text}\n{words}"):
        diagnosis = spare(diagnosis)
    return Bounce(action, diagnosis, enhanced, code, " ".join(text.split())[:1000] or words[:300], _recipient(block))


def _says_little(diagnosis: Diagnosis, text: str) -> bool:
    return len(text) < 12 or diagnosis.bounce_class in (BounceClass.UNKNOWN, BounceClass.SOFT)


def _with_words(before: Diagnosis, code: int | None, enhanced: str, words: str) -> Diagnosis:
    """Ask the human part as well; it may spare an address, and condemn one only where the code does not speak."""
    known = find_code(words) if code is None else code
    after = diagnose(known, "" if _GENERIC.fullmatch(enhanced) else enhanced, words)
    weak = (BounceClass.TRANSIENT, BounceClass.SOFT, BounceClass.UNKNOWN)
    return before if after.bounce_class in weak else after


def _action(action: str, enhanced: str) -> str:
    word = action.lower().split("(")[0].strip()
    if word.startswith(_FAILED) or (not word and enhanced.startswith("5.")):
        return "failed"
    return (
        word
        if word in ("delayed", "delivered", "relayed", "expanded")
        else "failed"
        if enhanced[:1] == "5"
        else "delayed"
    )


def _recipient(block: Message) -> str:
    value = _field(block, "Final-Recipient") or _field(block, "Original-Recipient")
    return _TYPE.sub("", value).strip("<> ")[:254]


def _from_words(message: Message) -> Bounce | None:
    """Read a report that is no RFC 3464: by its sender and subject, with flufl.bounce for whose it is."""
    temporary, permanent = _known_formats(message)
    sender = f"{header(message, 'From')} {header(message, 'Return-Path')}"
    looks = (
        _DAEMON.search(sender) or header(message, "Return-Path") == "<>" or _NOTICE.search(header(message, "Subject"))
    )
    if message.get("Auto-Submitted") and not looks:
        return None  # an absence note that quotes an address is no bounce
    if not (temporary or permanent or looks):
        return None
    words = human_text(message)
    enhanced, code = find_enhanced(words), find_code(words)
    # A format that says "permanent" by being recognised needs no number beside its words.
    diagnosis = diagnose(code or (550 if permanent else None), enhanced, words)
    if _NOT_RCPT.search(words):
        diagnosis = spare(diagnosis)
    if temporary and not permanent and diagnosis.bounce_class in HARD:
        diagnosis = Diagnosis(BounceClass.TRANSIENT, "reported as temporary")
    action = "delayed" if (temporary and not permanent) or enhanced.startswith("4.") else "failed"
    found = sorted(permanent or temporary)
    recipient = found[0].decode("ascii", "replace") if found else ""
    return Bounce(action, diagnosis, enhanced, code, " ".join(words.split())[:1000], recipient)


def _known_formats(message: Message) -> tuple[set[bytes], set[bytes]]:
    """Return (temporary, permanent) addresses by flufl.bounce, which stumbles over mails without a From."""
    if not header(message, "From"):
        return set(), set()
    try:
        temporary, permanent = all_failures(message)
    except (ValueError, LookupError, TypeError, AttributeError):
        return set(), set()
    return set(temporary), set(permanent)
