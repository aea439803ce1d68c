"""One attempt at one recipient: the conversation, journalled before the dot, and what follows from its answer."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from campaigns.sending import claim as claims
from campaigns.sending import retry
from campaigns.sending.claim import Item
from campaigns.sending.journal import Journal
from campaigns.sending.mime import Written
from campaigns.sending.retry import Decision
from campaigns.sending.smtp import SmtpConnection, WireError
from sendserver.lib import clock


class LeaseOverError(RuntimeError):
    """This process slept past its lease with the message half sent; others may have taken it, so no dot follows."""


async def attempt(  # noqa: PLR0913 (one attempt is all of this)
    connection: SmtpConnection,
    item: Item,
    written: Written,
    *,
    journal: Journal,
    random: Random,
    is_held: Callable[[], bool],
) -> tuple[Decision, dict[str, Any]]:
    """Talk SMTP; return the decision with what the outcome row keeps of the reply.

    `is_held` is asked right before the dot; raises LeaseOverError, with nothing journalled, when it says no.
    """

    def on_dot() -> None:
        if not is_held():
            connection.abort()
            raise LeaseOverError(f"delivery {item.delivery_id} was not finished: the lease is over")
        journal.started(item.delivery_id, item.attempt)

    try:
        answer = await connection.send(written.envelope, written.message, on_dot)
    except WireError as error:
        known = {"code": error.reply.code, "enhanced": error.reply.enhanced} if error.reply else {}
        return retry.of_error(error), {**known, "reply": str(error)[:300]}
    reply = answer.reply
    age = (clock.now() - claims.first_time(item)).total_seconds()
    return retry.of_answer(answer, attempt=item.attempt, age=age, random=random), {
        "code": reply.code,
        "enhanced": reply.enhanced,
        "reply": reply.text,
        "queue_id": reply.queue_id if answer.is_accepted else "",
    }
