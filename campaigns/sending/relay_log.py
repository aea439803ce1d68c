# ruff: noqa: S608 (the pieces put together are our own SQL, never data)
"""The relays' own logs as evidence: read on, settle doubt by them, and find what a restored database has forgotten.

Taken by the relay: settled as accepted, with the line as evidence. Not in a log that covers the whole time: said so,
and no more; it is sent again on a person's order only (architecture rule 4). Sends nothing, opens no connection.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction

from accounts import audit
from campaigns.inbound import addresses
from campaigns.models import Brake, Campaign, Delivery, Outcome, RelayLog, RelayTrace, Retry
from campaigns.sending import log_files, postfix_log
from campaigns.sending.log_files import Piece, Place
from campaigns.sending.outcomes import Result, State, copy_in, settle
from campaigns.sending.postfix_log import Entry, Queue, Trace
from campaigns.sending.record import write
from campaigns.sending.relays import KEYS, config
from sendserver.lib import clock
from sendserver.lib.tokens import Purpose, open_token

log = logging.getLogger(__name__)
PIECE_OCTETS: Final = 8 * 1024 * 1024  # read in one transaction: some 50,000 lines, about a second
PIECES_MAX: Final = 8  # in one run; the next goes on
MARGIN_SECONDS: Final = 300  # of a log that goes on, behind a doubt, before silence means anything
SLACK_SECONDS: Final = 2  # a log tells whole seconds, and clocks differ a little
KEPT_DAYS: Final = 30
BATCH: Final = 500
ABSENT: Final = "Not in the relay's log"
_DOUBT: Final = """
FROM campaigns_outcome o JOIN campaigns_campaign c ON c.id = o.campaign_id
WHERE o.state = 'in_doubt' AND o.relay = %(relay)s
  AND o.campaign_id IN (SELECT campaign_id FROM campaigns_tally WHERE state = 'in_doubt' AND count > 0)
  AND NOT EXISTS (SELECT 1 FROM campaigns_outcome x WHERE x.delivery_id = o.delivery_id AND x.id > o.id)
"""
# Older than its campaign's plan it speaks of another message: numbers come again behind a restored database.
_TAKEN: Final = f"""
SELECT t.id FROM campaigns_relaytrace t WHERE t.delivery_id = o.delivery_id AND t.relay = o.relay
  AND t.taken_at IS NOT NULL AND t.taken_at >= c.planned_at - interval '{SLACK_SECONDS} seconds'
ORDER BY t.taken_at LIMIT 1
"""
_PROVEN: Final = f"SELECT o.delivery_id, ({_TAKEN}) {_DOUBT} AND EXISTS ({_TAKEN}) ORDER BY o.id LIMIT {BATCH}"
_ABSENT: Final = f"""
SELECT o.delivery_id {_DOUBT} AND NOT EXISTS ({_TAKEN})
  AND c.planned_at >= %(from)s AND o.at <= %(to)s AND NOT starts_with(o.reply, %(said)s)
ORDER BY o.id LIMIT {BATCH}
"""
_FORGOTTEN: Final = f"""
SELECT DISTINCT ON (d.id) t.id, d.id, ch.id FROM campaigns_relaytrace t
JOIN campaigns_delivery d ON d.id = t.delivery_id
JOIN campaigns_campaign c ON c.id = d.campaign_id
JOIN campaigns_chunk ch ON ch.campaign_id = d.campaign_id AND d.seq BETWEEN ch.first_seq AND ch.last_seq
LEFT JOIN LATERAL (SELECT x.state FROM campaigns_outcome x WHERE x.delivery_id = d.id ORDER BY x.id DESC LIMIT 1)
  last ON true
WHERE t.relay = %(relay)s AND t.taken_at >= c.planned_at - interval '{SLACK_SECONDS} seconds'
  AND ch.state <> 'leased' AND (last.state IS NULL OR last.state = 'deferred')
ORDER BY d.id, t.taken_at LIMIT {BATCH}
"""


def read_logs() -> int:
    """Read on in every log that the settings name and use what it says; return how many deliveries were settled."""
    return sum(_read(key) for key in KEYS if config(key).log_file)


def _read(key: str) -> int:
    for _ in range(PIECES_MAX):
        if not read_piece(key):
            break
    return settle_doubts(key) + reconcile(key)


# --- reading
def read_piece(key: str) -> bool:
    """Read one piece of a relay's log and keep what it says; tell whether there is more to read at once."""
    RelayLog.objects.get_or_create(key=key)
    with transaction.atomic():
        mark = RelayLog.objects.select_for_update(skip_locked=True).filter(key=key).first()
        if mark is None:
            return False  # somebody else reads it now
        place = Place(mark.inode, mark.head, mark.offset) if mark.head else None
        mark.checked_at = clock.now()
        try:
            piece = log_files.read(Path(config(key).log_file), place, PIECE_OCTETS)
        except (OSError, EOFError) as error:
            mark.trouble = f"cannot be read: {error}"[:300]
            mark.save(update_fields=["trouble", "checked_at"])
            log.warning("the log of %s %s", key, mark.trouble)
            return False
        _take(mark, piece)
        if piece.at_end:
            RelayTrace.objects.filter(relay=key, seen_at__lt=clock.now() - timedelta(days=KEPT_DAYS)).delete()
    return not piece.at_end and bool(piece.lines)


def _take(mark: RelayLog, piece: Piece) -> None:
    now, zone = clock.now(), ZoneInfo(config(mark.key).log_zone)
    found = [postfix_log.parse(line, now=now, zone=zone) for line in piece.lines]
    entries = [entry for entry in found if entry is not None]
    if piece.gap:
        _note_gap(mark, piece.gap)
        read_to = mark.read_to
        entries = [entry for entry in entries if read_to is None or entry.at >= read_to]  # the rest was read before
    elif mark.trouble.startswith("cannot be read"):
        mark.trouble = ""
    queue = Queue(_ours, _returned, started_at=mark.started_at, stopped_at=mark.stopped_at)
    queue.remember(_open_traces(mark.key, entries))
    for entry in entries:
        if entry.kind == "lost":
            _note_gap(mark, f"the log says that lines are missing: {entry.text}")
            continue
        queue.apply(entry)
        mark.covered_from = mark.covered_from or entry.at
        mark.read_to = max(mark.read_to or entry.at, entry.at)
    _store(mark.key, queue.changed.values())
    mark.started_at, mark.stopped_at = queue.started_at, queue.stopped_at
    if piece.place is not None:
        mark.inode, mark.head, mark.offset = piece.place.inode, piece.place.head, piece.place.offset
    mark.at_end_at = clock.now() if piece.at_end else mark.at_end_at
    mark.save()


def _note_gap(mark: RelayLog, why: str) -> None:
    mark.covered_from, mark.trouble = None, f"{clock.now():%Y-%m-%d %H:%M} UTC: {why}"[:300]
    log.warning("the log of %s has a gap: %s", mark.key, why)


def _ours(message_id: str) -> int | None:
    """Return the delivery that a Message-ID names, None when it is not ours or of a test message."""
    token, _, host = message_id.rpartition("@")
    return (open_token(Purpose.DELIVERY, token) or None) if host.lower() == settings.PLATFORM.mail_domain else None


def _returned(sender: str) -> int | None:
    """Return the delivery that a return path names."""
    ours = addresses.read(sender)
    return (ours.delivery_id or None) if ours is not None and ours.kind is addresses.Kind.BOUNCE else None


def _open_traces(key: str, entries: Iterable[Entry]) -> list[Trace]:
    ids = {entry.queue_id for entry in entries if entry.queue_id}
    rows = RelayTrace.objects.filter(relay=key, queue_id__in=ids, removed_at=None).order_by("pk")
    names = ("queue_id", "delivery_id", "seen_at", "taken_at", "line", "status", "status_at", "status_text", "pk")
    return [Trace(**values) for values in rows.values(*names)]


def _store(key: str, traces: Iterable[Trace]) -> None:
    rows = [
        RelayTrace(
            pk=one.pk,
            relay=key,
            queue_id=one.queue_id,
            delivery_id=one.delivery_id,
            seen_at=one.seen_at,
            taken_at=one.taken_at,
            line=one.line,
            status=one.status,
            status_at=one.status_at,
            status_text=one.status_text,
            removed_at=one.removed_at,
        )
        for one in traces
    ]
    RelayTrace.objects.bulk_create([row for row in rows if row.pk is None], batch_size=1000)
    changing = ["taken_at", "line", "status", "status_at", "status_text", "removed_at"]
    RelayTrace.objects.bulk_update([row for row in rows if row.pk is not None], changing, batch_size=500)


# --- what it says of doubt
def settle_doubts(key: str) -> int:
    """Settle what the log proves taken, and say where it shows nothing; return how many were settled."""
    settled = _settle_proven(key)
    window = window_of(RelayLog.objects.filter(key=key).first())
    if window is not None:
        _say_absent(key, *window)
    return settled


def _settle_proven(key: str) -> int:
    total = 0
    while pairs := dict(_rows(_PROVEN, {"relay": key})):
        traces = RelayTrace.objects.in_bulk(pairs.values())
        with transaction.atomic():
            _lock_deliveries(pairs)
            done = [pk for pk in sorted(pairs) if settle(pk, _accepted(pk, traces[pairs[pk]]))]
            _audit("delivery.settled_from_log", key, done, "The relay's log shows that it took the message")
        total += len(done)
        if len(pairs) < BATCH or not done:
            break
    return total


def _accepted(delivery_id: int, trace: RelayTrace) -> Result:
    delivery = Delivery.objects.get(pk=delivery_id)
    return Result(
        delivery_id=delivery.pk,
        campaign_id=delivery.campaign_id,
        organization_id=delivery.organization_id,
        attempt=1,
        state=State.ACCEPTED,
        at=trace.taken_at or trace.seen_at,
        first_at=trace.seen_at,
        relay=trace.relay,
        previous=State.IN_DOUBT,
        reply=f"In the relay's log: {trace.line}"[:300],
        queue_id=trace.queue_id,
    )


def window_of(mark: RelayLog | None) -> tuple[datetime, datetime] | None:
    """Return from when and until when a message that the log does not show was not taken; None: it proves nothing.

    Until: well before its last line, and the relay has run all that time since its last start: what lay in its queue
    when it went down is named anew only then.
    """
    if mark is None or mark.covered_from is None or mark.read_to is None:
        return None
    is_down = mark.stopped_at is not None and (mark.started_at is None or mark.started_at < mark.stopped_at)
    until = mark.read_to - timedelta(seconds=MARGIN_SECONDS)
    if is_down or (mark.started_at is not None and mark.started_at > until):
        return None
    whole = timedelta(seconds=not mark.covered_from.microsecond)  # some time within the second that it names
    return mark.covered_from + whole, until


def _say_absent(key: str, start: datetime, until: datetime) -> None:
    values = {"relay": key, "from": start, "to": until, "said": ABSENT}
    said = f"{ABSENT}, which was read without a gap from {start:%Y-%m-%d %H:%M:%S} to {until:%Y-%m-%d %H:%M:%S} UTC"
    while rows := _rows(_ABSENT, values):
        with transaction.atomic():
            _lock_deliveries(pk for (pk,) in rows)
            done = [pk for (pk,) in rows if _add_evidence(pk, said)]
            _audit("delivery.not_in_log", key, done, said)
        if len(rows) < BATCH or not done:
            break


def _add_evidence(delivery_id: int, text: str) -> bool:
    """Append what is known to a delivery that stays in doubt; the caller has locked it."""
    last = Outcome.objects.filter(delivery_id=delivery_id).order_by("-pk").first()
    if last is None or last.state != State.IN_DOUBT or last.reply.startswith(ABSENT):
        return False  # another worker was here
    values = {name: getattr(last, name) for name in ("delivery_id", "campaign_id", "attempt", "state", "relay", "host")}
    reply = f"{text}. Before: {last.reply}"[:300]
    copy_in([Result(organization_id=0, at=clock.now(), first_at=last.at, reply=reply, **values)])
    return True


# --- what a restored database has forgotten
def reconcile(key: str) -> int:
    """While a restored database waits for a person: write down what the relay's log proves taken; return how many."""
    if not Brake.objects.filter(kind=Brake.Kind.EPOCH, lifted_at=None).exists():
        return 0
    total = 0
    while rows := _rows(_FORGOTTEN, {"relay": key}):
        done = _write_forgotten(key, rows)
        total += done
        if len(rows) < BATCH or not done:
            break
    if total:
        log.warning("%s: %d deliveries that the database had forgotten are accepted by the relay's log", key, total)
    return total


def _write_forgotten(key: str, rows: Sequence[tuple[int, int, int]]) -> int:
    """Write what the rows (trace, delivery, chunk) prove, but for what a lane holds or has written meanwhile."""
    traces = RelayTrace.objects.in_bulk([trace for trace, _, _ in rows])
    ids = [delivery for _, delivery, _ in rows]
    with transaction.atomic():  # locks in the order of a lane that writes: chunks, retries, deliveries, tallies
        _lock(
            "SELECT 1 FROM campaigns_chunk WHERE id = ANY(%s) ORDER BY id FOR UPDATE", [chunk for _, _, chunk in rows]
        )
        waiting = Retry.objects.select_for_update().filter(delivery_id__in=ids, lease_until=None).order_by("pk")
        retries = {retry.delivery_id: retry for retry in waiting}
        _lock_deliveries(ids)
        leased = set(
            Retry.objects.filter(delivery_id__in=ids).exclude(lease_until=None).values_list("delivery", flat=True)
        )
        still = {delivery for _, delivery, _ in _rows(_FORGOTTEN, {"relay": key})}
        results = [
            _remembered(_accepted(delivery, traces[trace]), retries.get(delivery))
            for trace, delivery, _ in rows
            if delivery in still - leased
        ]
        write(results)
        reason = "The database was restored; the relay's log shows that it took the message"
        _audit("delivery.settled_from_log", key, [result.delivery_id for result in results], reason)
    return len(results)


def _remembered(result: Result, retry: Retry | None) -> Result:
    last = Outcome.objects.filter(delivery_id=result.delivery_id).order_by("-pk").first()
    if last is None:
        return result._replace(previous="planned")
    return result._replace(previous=last.state, attempt=last.attempt + 1, retry_id=retry.pk if retry else None)


def is_caught_up(since: datetime) -> bool:
    """Tell whether every log that the settings name was read to its end after `since`."""
    keys = [key for key in KEYS if config(key).log_file]
    return RelayLog.objects.filter(key__in=keys, at_end_at__gt=since).count() == len(keys)


def taken_by_receivers(delivery_ids: Sequence[int]) -> dict[int, RelayTrace]:
    """Return the traces whose last word is `sent`: the only ground on which a page says "taken by the receiver"."""
    rows = RelayTrace.objects.filter(delivery_id__in=delivery_ids, status="sent").order_by("pk")
    return {row.delivery_id: row for row in rows}


def _audit(action: str, key: str, delivery_ids: Sequence[int], reason: str) -> None:
    """Write one audit row a campaign."""
    grouped = defaultdict(list)
    for pk, campaign_id in Delivery.objects.filter(pk__in=delivery_ids).values_list("pk", "campaign_id"):
        grouped[campaign_id].append(pk)
    for campaign in Campaign.objects.filter(pk__in=grouped).select_related("organization").order_by("pk"):
        audit.record(
            action,
            actor=None,
            organization=campaign.organization,
            subject=f"campaign:{campaign.uid}",
            reason=reason,
            detail={"relay": key, "deliveries": sorted(grouped[campaign.pk])},
        )


def _rows(statement: str, values: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def _lock(statement: str, ids: Iterable[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(ids)])


def _lock_deliveries(ids: Iterable[int]) -> None:
    """Lock these deliveries, all before any tally and by number, as lanes do: nobody waits in a circle."""
    _lock("SELECT 1 FROM campaigns_delivery WHERE id = ANY(%s) ORDER BY id FOR UPDATE", ids)
