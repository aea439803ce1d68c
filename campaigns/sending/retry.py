"""What follows from a reply: accepted, refused, tried again, put back, or in doubt. Pure: reply in, decision out.

Three questions, in this order: is it the relay's trouble (nobody's message is blamed), is it final, when is it due.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from campaigns.bounces import BounceClass, asks_to_slow_down, diagnose, spare
from campaigns.sending.phases import SESSION_PHASES, Answer, Phase, WireError
from compliance import policy

STEPS_SECONDS: Final = (300, 900, 1800, 3600)  # rules section 4: 5, 15, 30, 60 minutes, then every two hours
LATER_SECONDS: Final = 7200
FULL_SECONDS: Final = 86_400  # a full mailbox is asked once a day
BACK_OFF_SECONDS: Final = (3600, 7200, 14_400)  # rules section 4, block-reputation: 1 h, 2 h, 4 h
JITTER: Final = 0.2  # share of the wait that is added at random, so that a burst does not come back as one
MAX_AGE_SECONDS: Final = policy.RETRY_MAX_H * 3600


class Kind(StrEnum):
    """What to do with the delivery."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RETRY = "deferred"
    IN_DOUBT = "in_doubt"
    PUT_BACK = "put_back"  # as if never tried


class Relay(StrEnum):
    """What the conversation says about the relay itself."""

    FINE = "fine"
    BUSY = "busy"  # leave it alone for a while
    FAULT = "fault"  # a person must look: sign-in, certificate, refused sender


@dataclass(frozen=True)
class Decision:
    """What follows; `wait` in seconds for a retry, `rule` names what decided, for the stored outcome."""

    kind: Kind
    relay: Relay = Relay.FINE
    bounce_class: str = ""
    wait: float = 0.0
    rule: str = ""
    slows: bool = False  # the provider is left alone for this organization, others go on


def of_answer(answer: Answer, *, attempt: int, age: float, random: Random) -> Decision:
    """Decide on a reply; `attempt` is 1-based, `age` the seconds since the first attempt."""
    reply = answer.reply
    if answer.is_accepted:
        return Decision(Kind.ACCEPTED)
    if answer.phase in (Phase.MAIL, Phase.RESET):
        return _sender_trouble(answer)
    if age < MAX_AGE_SECONDS and asks_to_slow_down(reply.code, reply.enhanced, reply.text):
        wait = max(wait_seconds(attempt, BounceClass.BLOCK_REPUTATION, random), BACK_OFF_SECONDS[0])
        return Decision(Kind.RETRY, Relay.FINE, BounceClass.BLOCK_REPUTATION, wait, "slow down", slows=True)
    if reply.code == 421 and answer.phase is not Phase.DOT:
        return Decision(Kind.PUT_BACK, Relay.BUSY, rule="421")
    diagnosis = diagnose(reply.code, reply.enhanced, reply.text)
    if answer.phase is Phase.DOT:
        diagnosis = spare(diagnosis)
    if not reply.is_temporary:
        return Decision(Kind.REJECTED, bounce_class=diagnosis.bounce_class, rule=diagnosis.rule)
    is_full = diagnosis.bounce_class == BounceClass.FULL  # a full mailbox is its owner's, not the relay's trouble
    is_busy = reply.code == 421 or (not is_full and (reply.code == 452 or reply.enhanced.startswith("4.3.")))
    busy = Relay.BUSY if is_busy else Relay.FINE
    if is_busy and reply.code == 452 and answer.phase is Phase.RCPT:
        return Decision(Kind.PUT_BACK, busy, rule="452")
    if age >= MAX_AGE_SECONDS:
        expired = BounceClass.FULL if is_full else BounceClass.SOFT
        return Decision(Kind.REJECTED, busy, expired, rule="expired")
    return Decision(
        Kind.RETRY, busy, diagnosis.bounce_class, wait_seconds(attempt, diagnosis.bounce_class, random), diagnosis.rule
    )


def of_error(error: WireError) -> Decision:
    """Decide on a broken conversation: behind the dot doubt, before it nothing happened."""
    if error.phase is Phase.DOT:
        return Decision(Kind.IN_DOUBT, Relay.BUSY, rule=error.reason)
    fault = error.fault and error.phase in SESSION_PHASES
    return Decision(Kind.PUT_BACK, Relay.FAULT if fault else Relay.BUSY, rule=error.reason)


def wait_seconds(attempt: int, bounce_class: str, random: Random) -> float:
    """Return seconds to wait behind attempt `attempt` (1-based); RFC 5321 section 4.5.4.1, rules section 4."""
    index = attempt - 1
    base = STEPS_SECONDS[index] if index < len(STEPS_SECONDS) else LATER_SECONDS
    if bounce_class == BounceClass.FULL:
        base = FULL_SECONDS
    return base * (1 + JITTER * random.random())


def _sender_trouble(answer: Answer) -> Decision:
    """A refusal of MAIL FROM or RSET is between the relay and us; only a size limit is about the message."""
    reply = answer.reply
    if reply.enhanced == "5.3.4" or (reply.code == 552 and answer.phase is Phase.MAIL):
        return Decision(Kind.REJECTED, bounce_class=BounceClass.SOFT, rule="too large for the relay")
    return Decision(Kind.PUT_BACK, Relay.BUSY if reply.is_temporary else Relay.FAULT, rule=reply.text)
