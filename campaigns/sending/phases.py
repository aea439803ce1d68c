"""The words of an SMTP conversation: where something happened, what was offered, what was answered. Pure values."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from campaigns.sending.replies import Reply


class Phase(StrEnum):
    """Where in the conversation something happened."""

    CONNECT = "connect"
    EHLO = "ehlo"
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"
    RESET = "reset"


SESSION_PHASES: Final = frozenset({Phase.CONNECT, Phase.EHLO, Phase.TLS, Phase.AUTH})


class WireError(Exception):
    """The conversation broke: lost, late or not SMTP. At Phase.DOT the message is in doubt, before it surely not sent.

    `fault` marks what waiting does not mend: certificate, missing TLS, refused sign-in.
    """

    def __init__(self, phase: Phase, reason: str, *, fault: bool = False, reply: Reply | None = None) -> None:
        super().__init__(f"{phase}: {reason}")
        self.phase, self.reason, self.fault, self.reply = phase, reason, fault, reply


class Envelope(NamedTuple):
    """One transaction: one sender, one recipient, an ENVID for delivery reports (RFC 3461)."""

    sender: str
    recipient: str
    envid: str = ""


class Answer(NamedTuple):
    """The reply that decided a transaction, and the phase it came in; accepted means 2xx to the dot."""

    phase: Phase
    reply: Reply

    @property
    def is_accepted(self) -> bool:
        """Tell whether the relay took the message."""
        return self.phase == Phase.DOT and self.reply.is_positive
