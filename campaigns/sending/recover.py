"""After a death: end the old owner, replay its journal, then give its work back (architecture rule 4).

Started without an answer is in doubt. A journal of another host or an earlier boot cannot be believed, nor can one
that is gone: every unresolved delivery of what its owner held is in doubt then. Not started: put back.
"""

from __future__ import annotations

import logging
from typing import Final

from django.db import connection, transaction
from django.db.models import Max

from campaigns.models import Chunk, Delivery, Outcome, Retry
from campaigns.sending import aside, journal, owners
from campaigns.sending.journal import Entry
from campaigns.sending.outcomes import Result, State
from campaigns.sending.owners import Owner
from campaigns.sending.record import settle_late, write
from sendserver.lib import clock

log = logging.getLogger(__name__)
_NOTE: Final = "The sending process ended between our last byte and the answer"
_LOST: Final = "The machine that was sending is gone, and with it what it knew"


def recover(relay_key: str, me: Owner) -> int:
    """Take over what dead owners of this lane left; return how many deliveries came into doubt."""
    doubts = 0
    for path, owner in journal.left_behind(relay_key):
        if owner.is_same_boot:
            owners.end(owner)
        entries = journal.read(path) if owner.is_same_boot else None
        doubts += _take_over(relay_key, owner, entries, died=owner != me)  # our own slice only failed
        path.unlink(missing_ok=True)
    for owner in _expired_owners(relay_key, me):
        if owner.is_same_boot:
            owners.end(owner)
        doubts += _take_over(relay_key, owner, None)
    if doubts:
        log.warning("%s: %d deliveries are in doubt after a death", relay_key, doubts)
    return doubts


def _expired_owners(relay_key: str, me: Owner) -> set[Owner]:
    """Return owners whose leases ran out without a journal here: gone hosts, lost files."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT concat_ws('|', owner_host, owner_boot, owner_pid, owner_started) FROM campaigns_chunk"
            " WHERE state = 'leased' AND relay = %s AND lease_until < now() UNION SELECT DISTINCT owner"
            " FROM campaigns_retry WHERE relay = %s AND lease_until < now() AND owner <> ''",
            [relay_key, relay_key],
        )
        return {Owner.from_text(row[0]) for row in cursor.fetchall()} - {me}


def _take_over(relay_key: str, owner: Owner, entries: list[Entry] | None, *, died: bool = False) -> int:
    """Write what the journal knows and give the rest back; without a journal (None) all of it is in doubt.

    What a process held that `died` is tried more carefully from then on (campaigns.sending.aside).
    """
    with transaction.atomic():
        held = Chunk.objects.select_for_update().filter(
            state=Chunk.State.LEASED,
            owner_host=owner.host,
            owner_boot=owner.boot,
            owner_pid=owner.pid,
            owner_started=owner.started,
        )
        chunks = list(held.filter(relay=relay_key))
        retries = list(Retry.objects.select_for_update().filter(owner=owner.as_text(), relay=relay_key))
        known = _replayed(entries, relay_key) if entries is not None else _all_in_doubt(chunks, retries, relay_key)
        written = _written(known)
        results = [result for result in known if (written.get(result.delivery_id, 0) < result.attempt)]
        doubted = _doubted(known)
        write(results)
        # Somebody may have called it doubt before this journal could be read: an answer ends that.
        settle_late([r for r in known if r.delivery_id in doubted and written[r.delivery_id] == r.attempt])
        if died:
            aside.after_death(chunks, retries, relay_key)
        else:
            _give_back(chunks, retries)
    return sum(result.state == State.IN_DOUBT for result in results)


def _replayed(entries: list[Entry], relay: str) -> list[Result]:
    answered = [Result.from_json(entry.result) for entry in entries if entry.result is not None]
    started = [entry for entry in entries if entry.result is None]
    retries = {row.delivery_id: row for row in Retry.objects.filter(delivery_id__in=[e.delivery_id for e in started])}
    found = Delivery.objects.in_bulk([entry.delivery_id for entry in started])
    doubts = [
        _doubt(found[e.delivery_id], e.attempt, retries.get(e.delivery_id), relay, _NOTE)
        for e in started
        if e.delivery_id in found
    ]
    return answered + doubts


def _all_in_doubt(chunks: list[Chunk], retries: list[Retry], relay: str) -> list[Result]:
    results = []
    for chunk in chunks:
        resolved = Outcome.objects.filter(campaign_id=chunk.campaign_id).values("delivery_id")
        left = Delivery.objects.filter(campaign_id=chunk.campaign_id, seq__range=(chunk.first_seq, chunk.last_seq))
        put_off = Retry.objects.filter(campaign_id=chunk.campaign_id).values(
            "delivery_id"
        )  # a retry answers for itself
        left = left.exclude(pk__in=resolved).exclude(pk__in=put_off)
        results += [_doubt(delivery, 1, None, relay, _LOST) for delivery in left]
    return results + [_doubt(row.delivery, row.attempt, row, relay, _LOST) for row in retries]


def _doubt(delivery: Delivery, attempt: int, retry: Retry | None, relay: str, note: str) -> Result:
    last = Outcome.objects.filter(delivery_id=delivery.pk).order_by("-pk").first()
    now = clock.now()
    return Result(
        delivery_id=delivery.pk,
        campaign_id=delivery.campaign_id,
        organization_id=delivery.organization_id,
        attempt=attempt,
        state=State.IN_DOUBT,
        at=now,
        first_at=retry.first_at if retry else now,
        relay=retry.relay if retry else relay,
        previous=last.state if last else "planned",
        reply=note,
        retry_id=retry.pk if retry else None,
    )


def _written(results: list[Result]) -> dict[int, int]:
    """Return the last attempt of each delivery whose outcome stands already: the process died behind its commit."""
    outcomes = Outcome.objects.filter(delivery_id__in=[result.delivery_id for result in results])
    return dict(outcomes.values_list("delivery_id").annotate(Max("attempt")))


def _doubted(results: list[Result]) -> set[int]:
    """Return those of these deliveries that came into doubt at some time."""
    doubts = Outcome.objects.filter(delivery_id__in=[r.delivery_id for r in results], state=State.IN_DOUBT)
    return set(doubts.values_list("delivery_id", flat=True))


def _give_back(chunks: list[Chunk], retries: list[Retry]) -> None:
    Chunk.objects.filter(pk__in=[chunk.pk for chunk in chunks]).update(
        state=Chunk.State.READY, lease_until=None, reserved=0, trial_seq=None
    )
    ids = [row.pk for row in retries]
    Retry.objects.filter(pk__in=ids).update(lease_until=None, owner="")
