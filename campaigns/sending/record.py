"""Writing down what happened: outcomes by COPY together with chunk, tally, retries and allowance, in one transaction.

The fence is checked under the chunk's lock. A lane that lost its chunk may not change the chunk, yet what it knows of
messages that left is not thrown away: it settles doubt. Nothing here talks SMTP or decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django.db import connection, transaction

from campaigns.bounces import BounceClass
from campaigns.events import EventData, record_event
from campaigns.models import Delivery, EventKind
from campaigns.sending.claim import Claim
from campaigns.sending.later import Later, add_usage, write_later
from campaigns.sending.outcomes import FINAL, Result, State, add_tallies, before, copy_in, settle
from campaigns.sending.taken import Taken

# Counted against the allowance of the day of the first attempt: waiting neither enlarges a day nor counts again.
USED: Final = frozenset({State.ACCEPTED, State.REJECTED, State.IN_DOUBT, State.DEFERRED})
UNRESERVED: Final = frozenset({State.SUPPRESSED, State.SKIPPED})


def flush(  # noqa: PLR0913 (the three kinds of what happened, and what follows for the claim)
    claim: Claim,
    results: Sequence[Result],
    *,
    taken: Taken | None = None,
    later: Sequence[Later] = (),
    finished: bool = False,
    released: bool = False,
) -> bool:
    """Write results of one claim; with `finished` the chunk is done, with `released` it is ready for anybody again.

    `taken` are the commonest results, besides; who is in `later` is put off.

    False when the claim was taken over meanwhile: the chunk is left alone, doubt is settled by what we know.
    """
    with transaction.atomic():
        if not _holds(claim):
            settle_late([*results, *(taken.results() if taken else ())])
            return False
        if claim.chunk_id is None:
            results = _only_held(results)
        write(results, taken)
        write_later(claim, later)
        if claim.chunk_id is not None:
            reserved = sum(result.state not in UNRESERVED for result in results) + len(later) + len(taken or ())
            _move_chunk(claim, reserved, finished=finished, released=released)
        elif released:
            _release_retries(claim)
    return True


def write(results: Sequence[Result], taken: Taken | None = None) -> None:
    """Append outcomes and everything that follows from them; the caller holds the lock that makes this once only."""
    if not results and not taken:
        return
    left = before(results)
    copy_in(results, taken.rows() if taken else ())
    _write_retries(results)
    deltas = _deltas(results, left)
    used = _used(results)
    if taken:
        deltas[taken.campaign_id, "", "planned"] -= len(taken)
        deltas[taken.campaign_id, taken.relay, State.ACCEPTED] += len(taken)
        used[taken.organization_id] += len(taken)
    add_tallies(deltas)
    add_usage(used)
    _record_bounces([result for result in results if result.state == State.REJECTED])


def _holds(claim: Claim) -> bool:
    if claim.chunk_id is None:
        return True  # each retry row carries its own fence
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM campaigns_chunk WHERE id = %s AND fence = %s AND state = 'leased' FOR UPDATE",
            [claim.chunk_id, claim.fence],
        )
        return cursor.fetchone() is not None


def _only_held(results: Sequence[Result]) -> list[Result]:
    """Return the results whose retry row is still ours, locked; late ones settle doubt."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.id FROM campaigns_retry r JOIN unnest(%s::bigint[], %s::int[]) AS mine(id, fence)"
            " ON r.id = mine.id AND r.fence = mine.fence WHERE r.lease_until IS NOT NULL FOR UPDATE OF r",
            [[r.retry_id for r in results], [r.retry_fence for r in results]],
        )
        held = {row[0] for row in cursor.fetchall()}
    settle_late([result for result in results if result.retry_id not in held])
    return [result for result in results if result.retry_id in held]


def _write_retries(results: Sequence[Result]) -> None:
    """Plan the next attempt of what is deferred, by the database's clock; drop the rows of what ended."""
    if not results:
        return
    deferred = [result for result in results if result.state == State.DEFERRED]
    ended = [result.delivery_id for result in results if result.retry_id and result.state in FINAL]
    with connection.cursor() as cursor:
        if ended:
            cursor.execute("DELETE FROM campaigns_retry WHERE delivery_id = ANY(%s)", [ended])
        for result in deferred:
            cursor.execute(
                "INSERT INTO campaigns_retry (delivery_id, campaign_id, organization_id, relay, attempt, first_at,"
                " due_at, reason, lease_until, fence, owner, deaths)"
                " VALUES (%s, %s, %s, %s, %s, %s, now() + make_interval(secs => %s), %s, NULL, 0, '', 0)"
                " ON CONFLICT (delivery_id) DO UPDATE SET attempt = excluded.attempt, due_at = excluded.due_at,"
                " reason = excluded.reason, relay = excluded.relay, lease_until = NULL, owner = '',"
                " deaths = 0",
                _retry_values(result),
            )


def _retry_values(result: Result) -> list[Any]:
    return [
        result.delivery_id,
        result.campaign_id,
        result.organization_id,
        result.relay,
        result.attempt + 1,
        result.first_at,
        result.wait,
        result.reply[:200],
    ]


def _deltas(results: Iterable[Result], left: Mapping[int, tuple[str, str]]) -> Counter[tuple[int, str, str]]:
    deltas: Counter[tuple[int, str, str]] = Counter()
    for result in results:
        state, relay = left.get(result.delivery_id, ("planned", ""))
        deltas[result.campaign_id, relay, state] -= 1
        deltas[result.campaign_id, result.relay, result.state] += 1
    return deltas


def _used(results: Iterable[Result]) -> Counter[int]:
    return Counter(result.organization_id for result in results if result.state in USED and _is_first(result))


def _is_first(result: Result) -> bool:
    """Tell a first attempt. Who was put off was counted then; of what was set aside nothing had left."""
    return (result.previous == "planned" and result.retry_id is None) or result.previous == State.RENDER_FAILED


def _move_chunk(claim: Claim, written: int, *, finished: bool, released: bool) -> None:
    state = "done" if finished else "ready" if released else "leased"
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE campaigns_chunk SET state = %s,"
            " reserved = CASE WHEN %s = 'leased' THEN GREATEST(reserved::int - %s, 0) ELSE 0 END,"
            " lease_until = CASE WHEN %s = 'leased' THEN lease_until END,"
            " trial_seq = CASE WHEN %s = 'leased' THEN trial_seq END WHERE id = %s",
            [state, state, written, state, state, claim.chunk_id],
        )


def _release_retries(claim: Claim) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE campaigns_retry r SET lease_until = NULL, owner = ''"
            " FROM unnest(%s::bigint[], %s::int[]) AS mine(id, fence) WHERE r.id = mine.id AND r.fence = mine.fence",
            [[i.retry_id for i in claim.items], [i.retry_fence for i in claim.items]],
        )


def _record_bounces(refused: Sequence[Result]) -> None:
    """A refusal is an event as well: hard ones suppress the address at once (rules section 4)."""
    deliveries = Delivery.objects.in_bulk([result.delivery_id for result in refused])
    for result in refused:
        record_event(
            EventData(
                kind=EventKind.BOUNCED,
                source="smtp",
                dedupe=f"smtp:{result.delivery_id}:{result.attempt}",
                at=result.at,
                delivery=deliveries[result.delivery_id],
                bounce_class=result.bounce_class or BounceClass.UNKNOWN,
                detail={"code": result.code, "enhanced": result.enhanced, "text": result.reply},
            )
        )


def settle_late(results: Sequence[Result]) -> None:
    """Use what a lane knows that lost its claim: a definite answer ends the doubt that its taker wrote down."""
    for result in results:
        if result.state not in (State.ACCEPTED, State.REJECTED):
            continue
        settle(result.delivery_id, result)
