# ruff: noqa: E501 (patterns are easier to compare unbroken)
"""Automatic replies (RFC 3834) and people's own words: whether anybody wrote, and whether they said stop."""

from __future__ import annotations

import re
from email.message import Message
from typing import Final

from campaigns.inbound.parts import header, human_text

_SUBJECT: Final = re.compile(
    r"^\W*(?:(?:re|aw|sv|fw|fwd)\s*:\s*)?(?:auto(?:matic|mated)?[ -]?(?:reply|response|respond|antwort|svar)|out of (?:the )?office|vacation|on holiday|away from"
    r"|abwesenheit|automatische antwort|r[ée]ponse automatique|absence|respuesta autom[aá]tica|risposta automatica|automatisch antwoord|autosvar|fuera de la oficina)",
    re.IGNORECASE,
)  # fmt: skip
_HEADERS: Final = (
    "X-Autoreply",
    "X-Autorespond",
    "X-Autoresponse",
    "X-Auto-Reply-From",
    "X-Auto-Response-Suppress-Reply",
)
_PRECEDENCE: Final = frozenset({"auto_reply", "auto-reply"})
# One short line that says stop, in the languages of our senders; longer texts are for a person to read.
_STOP: Final = re.compile(
    r"(?:please |bitte |merci de )?(?:stop(?: it| mailing me| sending(?: me)?(?: this| these)?(?: e-?mails?)?)?|unsubscribe(?: me)?|remove me(?: from .{1,40})?|opt[ -]?out|take me off.{0,40}"
    r"|abmelden|austragen|abbestellen|d[ée]sinscri(?:re|ption)|d[ée]sabonne[rz](?:-moi)?|baja|darme de baja|cancel(?:lami|ar suscripci[oó]n)|disiscriv(?:i|iti|imi)|uitschrijven|afmelden|avregistrera|afmeld)"
    r"(?: please| bitte| merci| now| me)?[.! ]*",
    re.IGNORECASE,
)  # fmt: skip
_QUOTE: Final = re.compile(
    r"^\s*>|^On .{5,200} wrote:|^Am .{5,200} schrieb|^Le .{5,200} a écrit|^-{2,}|^_{5,}|^From: ", re.MULTILINE
)


def is_automatic(message: Message) -> bool:
    """Tell a machine's answer: Auto-Submitted (RFC 3834 section 5), its forerunners, telling subjects."""
    submitted = header(message, "Auto-Submitted").lower().split(";")[0].strip()
    if submitted and submitted != "no":
        return True
    if any(message.get(name) for name in _HEADERS) or header(message, "Precedence").lower() in _PRECEDENCE:
        return True
    return is_absence(message)


def is_absence(message: Message) -> bool:
    """Tell whether the subject says that a person is away, in a mail that is no formal report."""
    is_report = message.get_content_type() == "multipart/report"
    return not is_report and bool(_SUBJECT.search(header(message, "Subject")))


def says_stop(message: Message) -> bool:
    """Tell whether a person's reply asks to stop: its subject, or its own words (not the quoted mail), are a stop word.

    A machine's answer is asked too: some receivers unsubscribe by rule (rules section 4, auto-reply).
    """
    if _STOP.fullmatch(header(message, "Subject").strip()):
        return True
    own = _QUOTE.split(human_text(message)[:4000], maxsplit=1)[0]
    lines = [line.strip() for line in own.splitlines() if line.strip()]
    return bool(lines) and len(lines) <= 4 and any(_STOP.fullmatch(line) for line in lines[:2])
