"""The first reading: counts what would happen to every row, writes nobody to a list.

Consent step, check step and the staff rules live on these counts, so they are known before anything is signed.
"""

# ruff: noqa: S608 (names of our own temporary tables)

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice, pairwise
from typing import Any, Final

from django.db import connection, transaction

from compliance import policy, roots
from compliance.consent import months_before
from compliance.countries import STRICT
from compliance.errors import FileRefusedError
from compliance.imports import files, lifecycle, reading, staging, tagging
from compliance.imports.ahead import reading_ahead
from compliance.imports.columns import Plan, plan_of
from compliance.imports.rows import Claim, Judge, Refused, Taken
from compliance.models import ImportJob, ImportState
from compliance.models.lists import ConsentBasis
from compliance.provenance.collect import collect, trapped
from compliance.tags import key_of
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, suppression_hasher

PIECE: Final = 4_000  # rows at once
PARTS: Final = 32  # of a list of five million each holds 156,000
BEAT_SECONDS: Final = 1.0
CLAIM: Final = Claim(basis=ConsentBasis.EXPRESS_SOI)  # what is counted before the sender has said anything
ADDRESS_REASONS: Final = frozenset(
    (  # noqa: SIM905 (one word a line would be no reading)
        "empty no_at_sign not_one_address control_character quoted_or_literal non_ascii_local_part too_long "
        "bad_local_part bad_domain typo_domain"
    ).split()
)


@dataclass
class Counts:
    """What a file holds, in rows; `said_no` by reason of the do-not-mail list, `places` by country ("" unknown)."""

    done: bool = False
    rows: int = 0
    good: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    compared: int = 0  # good rows held against lists and do-not-mail list, once all are read
    duplicates: int = 0
    on_list: int = 0
    on_other_lists: int = 0
    said_no: dict[str, int] = field(default_factory=dict)
    dated: int = 0
    older_than_idle: int = 0
    older_than_hold: int = 0
    confirmed: int = 0
    unconfirmed_strict: int = 0  # own country Germany or Austria, without a second step
    places: dict[str, int] = field(default_factory=dict)
    same_date: int = 0  # rows that share the commonest sign-up instant
    first_date: str = ""
    last_date: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)  # compliance.provenance.traits, as JSON
    tags: int = 0  # tags that the organization would have, up to one more than it may
    rows_root: str = ""  # over the keyed hashes of all good addresses, compliance.roots

    @property
    def rejected(self) -> int:
        """Return how many rows have a problem."""
        return sum(self.bad.values())

    @property
    def left_out(self) -> int:
        """Return how many rows are left out on purpose."""
        return self.duplicates + sum(self.said_no.values())

    @property
    def added(self) -> int:
        """Return how many people would be new on the list."""
        return self.good - self.left_out - self.on_list

    @property
    def bad_addresses(self) -> int:
        """Return how many rows have a wrong address (not a wrong date or letters)."""
        return sum(count for reason, count in self.bad.items() if reason in ADDRESS_REASONS)


def counts_of(job: ImportJob) -> Counts:
    """Return what is counted of a job so far."""
    return Counts(**{name: value for name, value in job.scan.items() if name in Counts.__dataclass_fields__})


def data_rows(job: ImportJob, plan: Plan) -> Iterator[reading.Row]:
    """Yield the rows of a job's file below its head."""
    found = reading.rows(files.path_of(job.stored_name), reading.Dialect(job.encoding, job.delimiter))
    return islice(found, plan.head, None)


def scan(job: ImportJob) -> Counts | None:
    """Count a job's file and keep the result with it; None when the file cannot be read (the job has then failed).

    None too when the file is read another way by now: then these counts say nothing, and another scan is at it.
    """
    counts = Counts()
    try:
        with staging.table("import_scan", "(line bigint, key text, hash bytea) PARTITION BY RANGE (hash)"):
            _make_parts()
            _read(job, counts)
            blocks, traps = roots.Blocks(job), 0
            for part in _parts():
                with transaction.atomic():
                    _keep(job, counts)  # which holds the job: no other scan of it writes blocks meanwhile
                    blocks.add(part)
                _ask(job, part, counts)
                traps += trapped(part)
            with transaction.atomic():
                _keep(job, counts)
                counts.rows_root = blocks.finish()
            counts.provenance = collect(job, _parts(), traps)
        counts.done = True
        _keep(job, counts)
    except FileRefusedError as error:
        fail(job, error)
        return None
    except _OvertakenError:
        return None
    return counts


def _parts() -> list[str]:
    return [f"import_scan_{number}" for number in range(PARTS)]


def _make_parts() -> None:
    """Split the table by hash, so that each question is a short one, whatever the length of the list.

    The parts stand in the order of the hashes, which are as good as random: each holds as many.
    """
    bounds = [f"'\\x{number * 256 // PARTS:02x}'" for number in range(1, PARTS)]
    with connection.cursor() as cursor:
        for part, (low, high) in zip(_parts(), pairwise(["MINVALUE", *bounds, "MAXVALUE"]), strict=True):
            cursor.execute(
                f"CREATE TEMPORARY TABLE {part} PARTITION OF import_scan FOR VALUES FROM ({low}) TO ({high})"
            )


@dataclass
class _Piece:
    """Some rows judged: what they add to the counts, their sign-up instants, and lines for COPY."""

    counts: Counts = field(default_factory=Counts)
    dates: Counter[datetime] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)  # as compared; one more than may be is as many as are kept


def _pieces(job: ImportJob) -> Iterator[_Piece]:
    now, plan = clock.now(), plan_of(job)
    judge, limits = Judge(plan, CLAIM, now), _limits(now)
    rows, hash_of = data_rows(job, plan), suppression_hasher()
    while True:
        piece = _Piece()
        for row in map(judge, islice(rows, PIECE)):
            _tally(piece, row, hash_of, *limits)
        if not piece.counts.rows:
            return
        yield piece


def _limits(now: datetime) -> tuple[datetime, datetime]:
    return months_before(now, policy.IDLE_SKIP_MONTHS), months_before(now, policy.NEVER_MAILED_HOLD_MONTHS)


def _tally(
    piece: _Piece, row: Taken | Refused, hash_of: Callable[[AddressKey], bytes], idle: datetime, hold: datetime
) -> None:
    counts = piece.counts
    counts.rows += 1
    if isinstance(row, Refused):
        counts.bad[row.reason] = counts.bad.get(row.reason, 0) + 1
        return
    piece.lines.append(staging.line_of((row.key,), str(row.line), staging.bytes_of(hash_of(row.key))))
    counts.good += 1
    if row.tags and len(piece.tags) <= policy.TAGS_MAX:
        piece.tags.update(map(key_of, row.tags))
    counts.places[row.country] = counts.places.get(row.country, 0) + 1
    counts.confirmed += row.confirmed_at is not None
    counts.unconfirmed_strict += row.country in STRICT and bool(row.country) and row.confirmed_at is None
    if row.consent_at is not None:
        piece.dates[row.consent_at] += 1
        counts.dated += 1
        counts.older_than_idle += row.consent_at < idle
        counts.older_than_hold += row.consent_at < hold


class _Dates:
    """Sign-up instants in bounded memory: the first, the last, and how often the commonest comes.

    The count is exact up to MOST different instants; above, it is too low by at most one row in MOST (Misra and Gries
    1982), which is nothing beside the shares that rules ask for.
    """

    MOST: Final = 20_000

    def __init__(self) -> None:
        self._seen = Counter[datetime]()
        self._first = self._last = ""

    def add(self, dates: Counter[datetime]) -> None:
        """Add the instants of one piece."""
        if not dates:
            return
        days = [f"{moment:%Y-%m-%d}" for moment in (min(dates), max(dates))]
        self._first, self._last = min(self._first or days[0], days[0]), max(self._last, days[1])
        self._seen.update(dates)
        if len(self._seen) > self.MOST:
            least = sorted(self._seen.values(), reverse=True)[self.MOST]
            self._seen = Counter({moment: count - least for moment, count in self._seen.items() if count > least})

    def finish(self, counts: Counts) -> None:
        """Write what is known into the counts."""
        counts.same_date = max(self._seen.values(), default=0)
        counts.first_date, counts.last_date = self._first, self._last


def _read(job: ImportJob, counts: Counts) -> None:
    dates, tags = _Dates(), tagging.keys_so_far(job)
    last_beat = time.monotonic()
    with reading_ahead(lambda: _pieces(job)) as pieces:
        for piece in pieces:
            _add(counts, piece.counts)
            dates.add(piece.dates)
            tags.update(piece.tags if len(tags) <= policy.TAGS_MAX else ())
            staging.copy("import_scan", ("key", "line", "hash"), piece.lines)
            if time.monotonic() - last_beat > BEAT_SECONDS:
                _keep(job, counts)
                last_beat = time.monotonic()
    dates.finish(counts)
    counts.tags = min(len(tags), policy.TAGS_MAX + 1)
    _keep(job, counts)  # what follows next takes a second or two on a long list


def _add(counts: Counts, more: Counts) -> None:
    """Add the counts of a piece."""
    for name, value in vars(more).items():
        if isinstance(value, dict):
            mine = getattr(counts, name)
            for key, number in value.items():
                mine[key] = mine.get(key, 0) + number
        elif isinstance(value, int) and not isinstance(value, bool):
            setattr(counts, name, getattr(counts, name) + value)


def _ask(job: ImportJob, part: str, counts: Counts) -> None:
    """Ask the database what it knows of the addresses in one part."""
    names = {"organization": job.organization_id, "list": job.contact_list_id}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {part}")
        counts.compared += cursor.fetchone()[0]
        cursor.execute(
            f"""DELETE FROM {part} a USING (SELECT hash, max(line) AS last FROM {part} GROUP BY 1 HAVING count(*) > 1) b
                WHERE a.hash = b.hash AND a.line < b.last"""
        )
        counts.duplicates += cursor.rowcount
        cursor.execute(f"ANALYZE {part}")  # else the planner takes any list for a short one
        for reason, people in staging.take_suppressed(cursor, part, names).items():
            counts.said_no[reason] = counts.said_no.get(reason, 0) + people
        cursor.execute(
            f"""SELECT count(*) FILTER (WHERE here.id IS NOT NULL), count(*)
               FROM {part} s JOIN compliance_contact c ON c.organization_id = %(organization)s
                 AND c.address_key = s.key
               LEFT JOIN compliance_listmembership here
                 ON here.contact_id = c.id AND here.contact_list_id = %(list)s""",
            names,
        )
        here, known = cursor.fetchone()
        counts.on_list += here
        counts.on_other_lists += known - here


class _OvertakenError(Exception):
    """The file is read another way by now, or not at all."""


def _keep(job: ImportJob, counts: Counts) -> None:
    """Write what is counted so far; raises _OvertakenError, with nothing written, when it says nothing any more."""
    job.scan = asdict(counts)
    same = {name: getattr(job, name) for name in ("columns", "encoding", "delimiter")}
    rows = ImportJob.objects.filter(pk=job.pk, state__in=lifecycle.OPEN, **same)
    if not rows.update(scan=job.scan, row_count=counts.rows, heartbeat_at=clock.now()):
        raise _OvertakenError(str(job.uid))
    job.row_count = counts.rows


def fail(job: ImportJob, error: FileRefusedError) -> None:
    """End a job whose file cannot be read, with the sentence that says why and where."""
    now = clock.now()
    if lifecycle.move(job, ImportState.FAILED, actor=None, reason=str(error), error=str(error), finished_at=now):
        files.forget(job.stored_name)
