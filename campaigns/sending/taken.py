"""The commonest results, written down together: accepted at the first attempt, all of one chunk.

Such a result is the same as that of the next message but for five values. So no `Result` is made for each: the journal
line and the row of COPY are what `Result.to_json` and `outcomes.row` would give, with the rest put together once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from campaigns.sending.claim import Item
from campaigns.sending.outcomes import Result, State, quoted, result_of, texts_of
from campaigns.sending.replies import KNOWN_MAX, Reply

_ATTEMPT: Final = 1


class One(NamedTuple):
    """One message: when in ISO 8601, and octets without the dot."""

    delivery_id: int
    at: str
    reply: Reply
    octets: int


class Taken:
    """Messages of one campaign that a relay took at the first attempt, in order."""

    def __init__(self, item: Item, relay: str, host: str) -> None:
        """Begin for the campaign of `item`."""
        self.campaign_id, self.organization_id = item.campaign_id, item.organization_id
        self.relay, self.host = relay, host
        self.ones: list[One] = []
        self._who = f"{item.campaign_id},{item.organization_id},{_ATTEMPT},{quoted(str(State.ACCEPTED))}"
        self._how = f"{quoted(relay)},{quoted('planned')}"
        self._where = quoted(host)

    def __len__(self) -> int:
        return len(self.ones)

    def add(self, delivery_id: int, at: str, reply: Reply, octets: int) -> str:
        """Keep one and return it as the journal keeps a `Result`."""
        self.ones.append(One(delivery_id, at, reply, octets))
        said = _said(reply.code, reply.enhanced, reply.text, reply.queue_id)
        return f'[{delivery_id},{self._who},"{at}","{at}",{self._how},{said},"",{self._where},{octets},0.0,null,0]'

    def emptied(self) -> Taken:
        """Return what is here as another one, and begin anew."""
        full = object.__new__(Taken)
        full.__dict__.update(self.__dict__)
        self.ones = []
        return full

    def rows(self) -> Iterator[str]:
        """Yield lines of COPY's text format, as outcomes.row."""
        before = f"\t{self.campaign_id}\t{_ATTEMPT}\t{State.ACCEPTED}\t{self.relay}\t"
        for delivery_id, at, reply, octets in self.ones:
            texts = _texts(reply.enhanced, reply.text, reply.queue_id, self.host)
            yield f"{delivery_id}{before}{at}\t{reply.code}\t{texts}\t{octets}\n"

    def results(self) -> list[Result]:
        """Return each by itself."""
        return [self._result(one) for one in self.ones]

    def _result(self, one: One) -> Result:
        reply = one.reply
        item = Item(one.delivery_id, self.campaign_id, self.organization_id, "", "{}")
        return result_of(
            item,
            State.ACCEPTED,
            relay=self.relay,
            at=datetime.fromisoformat(one.at).astimezone(UTC),
            code=reply.code,
            enhanced=reply.enhanced,
            reply=reply.text,
            queue_id=reply.queue_id,
            host=self.host,
            wire_bytes=one.octets,
        )


@lru_cache(maxsize=KNOWN_MAX)
def _said(code: int, enhanced: str, text: str, queue_id: str) -> str:
    return f"{code},{quoted(enhanced)},{quoted(text)},{quoted(queue_id)}"


@lru_cache(maxsize=KNOWN_MAX)
def _texts(enhanced: str, text: str, queue_id: str, host: str) -> str:
    return texts_of(enhanced, text, queue_id, "", host)
