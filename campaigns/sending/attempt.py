"""One attempt at one recipient: the conversation, journalled before the dot, and what follows from its answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from campaigns.sending import retry
from campaigns.sending.claim import Item, first_time
from campaigns.sending.journal import Journal
from campaigns.sending.mime import Written
from campaigns.sending.phases import Answer, Envelope, WireError
from campaigns.sending.retry import Decision, Kind
from campaigns.sending.slices import FRESH_SECONDS, Held
from campaigns.sending.smtp import SmtpConnection
from sendserver.lib import clock

ACCEPTED: Final = Decision(Kind.ACCEPTED)
Told = tuple[Decision, dict[str, Any]]  # what follows, and what the outcome row keeps of the reply


class LeaseOverError(RuntimeError):
    """This process slept past its lease with the message half sent; others may have taken it, so no dot follows."""


@dataclass(slots=True)
class Ready:
    """A recipient whose message is written; `looked_at` is when the database last said that it may be mailed."""

    held: Held
    item: Item
    written: Written
    looked_at: float

    @property
    def is_fresh(self) -> bool:
        """Tell whether the database need not be asked again."""
        return time.monotonic() - self.looked_at <= FRESH_SECONDS

    @property
    def envelope(self) -> Envelope:
        """Return the envelope."""
        return self.written.envelope


async def finish(connection: SmtpConnection, ready: Ready, journal: Journal, following: Ready | None) -> None:
    """Write the message, with the envelope of the `following` one behind it.

    The lease is looked at right before the dot; raises LeaseOverError, with nothing journalled, when it is over.
    """
    item = ready.item

    def on_dot() -> None:
        if not ready.held.is_leased():
            connection.abort()
            raise LeaseOverError(f"delivery {item.delivery_id} was not finished: the lease is over")
        journal.started(item.delivery_id, item.attempt)

    envelope = following.envelope if following else None
    await connection.finish(ready.written.message, on_dot, envelope, dots=False)


def of_answer(answer: Answer, item: Item, random: Random) -> Told:
    """Return what follows from a reply."""
    reply = answer.reply
    details = {"code": reply.code, "enhanced": reply.enhanced, "reply": reply.text}
    if answer.is_accepted:
        return ACCEPTED, {**details, "queue_id": reply.queue_id}
    age = (clock.now() - first_time(item)).total_seconds()
    return retry.of_answer(answer, attempt=item.attempt, age=age, random=random), details


def of_error(error: WireError) -> Told:
    """Return what follows from a conversation that broke."""
    known = {"code": error.reply.code, "enhanced": error.reply.enhanced} if error.reply else {}
    return retry.of_error(error), {**known, "reply": str(error)[:300]}
