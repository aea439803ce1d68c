"""Outcomes: what became of one attempt, appended by COPY; tallies that follow them; doubt that is settled."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from campaigns.models import Delivery, Outcome, Retry
from campaigns.sending.claim import Item

State = Outcome.State
FINAL: Final = frozenset(set(State.values) - {State.DEFERRED})
_COLUMNS: Final = (
    *("delivery_id", "campaign_id", "attempt", "state", "relay", "at", "code", "enhanced", "reply", "queue_id"),
    *("bounce_class", "host", "wire_bytes"),
)
_COPY: Final = f"COPY campaigns_outcome ({', '.join(_COLUMNS)}) FROM STDIN"


quoted: Final = json.encoder.encode_basestring_ascii
_MARKS: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": ""})
_MARKED: Final = re.compile(r"[\\\n\r\0]")


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


class Result(NamedTuple):
    """What became of one attempt; `wait` is seconds until the next one, for deferred. (A tuple: one a message.)"""

    delivery_id: int
    campaign_id: int
    organization_id: int
    attempt: int
    state: str
    at: datetime
    first_at: datetime
    relay: str = ""
    previous: str = "planned"
    code: int | None = None
    enhanced: str = ""
    reply: str = ""
    queue_id: str = ""
    bounce_class: str = ""
    host: str = ""
    wire_bytes: int = 0
    wait: float = 0.0
    retry_id: int | None = None
    retry_fence: int = 0

    def to_json(self) -> str:
        """Return the result as the journal keeps it: a JSON list of its values in order."""
        (delivery, campaign, organization, attempt, state, at, first_at, relay, previous, code, enhanced, reply,
         queue_id, bounce_class, host, wire_bytes, wait, retry_id, retry_fence) = self  # fmt: skip
        when = at.isoformat()
        first = when if first_at is at else first_at.isoformat()
        return (
            f'[{delivery},{campaign},{organization},{attempt},"{state}","{when}","{first}","{relay}","{previous}",'
            f"{_number(code)},{quoted(enhanced)},{quoted(reply)},{quoted(queue_id)},{quoted(bounce_class)},"
            f"{quoted(host)},{wire_bytes},{wait},{_number(retry_id)},{retry_fence}]"
        )

    @classmethod
    def from_json(cls, stored: list[Any]) -> Result:
        """Read `to_json` back."""
        return cls(*stored[:5], *(datetime.fromisoformat(text) for text in stored[5:7]), *stored[7:])


def result_of(  # noqa: PLR0913 (the columns of a row)
    item: Item,
    state: str,
    *,
    relay: str,
    at: datetime,
    code: int | None = None,
    enhanced: str = "",
    reply: str = "",
    queue_id: str = "",
    bounce_class: str = "",
    host: str = "",
    wire_bytes: int = 0,
    wait: float = 0.0,
) -> Result:
    """Return the result of an attempt at `item`."""
    delivery, campaign, organization, _, _, attempt, previous, first_at, retry_id, retry_fence = item
    return Result(delivery, campaign, organization, attempt, state, at, first_at or at, relay, previous, code, enhanced,
                  reply, queue_id, bounce_class, host, wire_bytes, wait, retry_id, retry_fence)  # fmt: skip


def copy_in(results: Iterable[Result], rows: Iterable[str] = ()) -> None:
    """Append outcomes, `rows` being such that are lines of COPY already; the caller sees to tallies."""
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.write("".join([*map(row, results), *rows]))


def row(result: Result) -> str:
    """Return a line of COPY's text format for _COLUMNS."""
    (delivery, campaign, _, attempt, state, at, _, relay, _, code, enhanced, reply, queue_id, bounce_class, host,
     wire_bytes, *_) = result  # fmt: skip
    texts = texts_of(enhanced, reply, queue_id, bounce_class, host)
    number = "\\N" if code is None else code
    return f"{delivery}\t{campaign}\t{attempt}\t{state}\t{relay}\t{at.isoformat()}\t{number}\t{texts}\t{wire_bytes}\n"


def texts_of(*texts: str) -> str:
    """Return five columns of text side by side, what marks something to COPY escaped."""
    joined = "\t".join(texts)
    if joined.count("\t") != 4 or _MARKED.search(joined):
        return "\t".join(text.translate(_MARKS) for text in texts)
    return joined


def add_tallies(deltas: Counter[tuple[int, str, str]]) -> None:
    """Add to the counts that pages read; in one order, so that two lanes never wait for each other in a circle."""
    rows = [(*key, change) for key, change in sorted(deltas.items()) if change]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO campaigns_tally (campaign_id, relay, state, count) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (campaign_id, relay, state) DO UPDATE SET count = campaigns_tally.count + excluded.count",
            rows,
        )


def retally(campaign_id: int) -> None:
    """Count the tallies of a campaign anew from the deliveries: at its end and when it was stopped."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM campaigns_campaign WHERE id = %s FOR UPDATE", [campaign_id])
        # In the order of add_tallies, so that a lane's last words and this count never wait for each other in a circle.
        cursor.execute(
            "SELECT 1 FROM campaigns_tally WHERE campaign_id = %s"
            ' ORDER BY relay COLLATE "C", state COLLATE "C" FOR UPDATE',
            [campaign_id],
        )
        cursor.execute("DELETE FROM campaigns_tally WHERE campaign_id = %s", [campaign_id])
        cursor.execute(
            "INSERT INTO campaigns_tally (campaign_id, relay, state, count)"
            " SELECT campaign_id, COALESCE(relay, ''), state, count(*) FROM delivery_state WHERE campaign_id = %s"
            " GROUP BY campaign_id, COALESCE(relay, ''), state",
            [campaign_id],
        )


def before(results: Sequence[Result]) -> dict[int, tuple[str, str]]:
    """Return (state, relay) that each of these deliveries leaves, locked against whoever settles doubt meanwhile."""
    ids = sorted(result.delivery_id for result in results if result.previous != "planned")
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM campaigns_delivery WHERE id = ANY(%s) ORDER BY id FOR UPDATE", [ids])
        cursor.execute(
            "SELECT DISTINCT ON (delivery_id) delivery_id, state, relay FROM campaigns_outcome"
            " WHERE delivery_id = ANY(%s) ORDER BY delivery_id, id DESC",
            [ids],
        )
        return {pk: (state, relay) for pk, state, relay in cursor.fetchall()}


def settle(delivery_id: int, result: Result) -> bool:
    """Append `result` if the delivery is in doubt now, and move its tally; tell whether it was.

    An order to send it again that no lane has taken yet is taken back.
    """
    with transaction.atomic():
        Delivery.objects.select_for_update().only("pk").get(pk=delivery_id)
        last = Outcome.objects.filter(delivery_id=delivery_id).order_by("-pk").first()
        if last is None or last.state != State.IN_DOUBT:
            return False
        copy_in([result._replace(attempt=last.attempt, relay=last.relay)])
        deltas = Counter({(last.campaign_id, last.relay, str(State.IN_DOUBT)): -1})
        deltas[last.campaign_id, last.relay, result.state] += 1
        add_tallies(deltas)
        Retry.objects.filter(delivery_id=delivery_id, lease_until=None).delete()
    return True
