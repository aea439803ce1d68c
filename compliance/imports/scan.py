"""The first reading: counts what would happen to every row, writes nobody to a list.

Consent step, check step and the staff rules live on these counts, so they are known before anything is signed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final

from django.db import connection

from compliance import policy, roots
from compliance.consent import months_before
from compliance.countries import STRICT
from compliance.errors import FileRefusedError
from compliance.imports import files, lifecycle, reading, staging
from compliance.imports.columns import Plan, plan_of
from compliance.imports.rows import Claim, Refused, Taken, judge
from compliance.models import ImportJob, ImportState
from compliance.models.lists import ConsentBasis
from sendserver.lib import clock

PIECE: Final = 20_000  # rows at once
BEAT_SECONDS: Final = 2.0
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
    """Yield the rows of a job's file behind its header."""
    found = reading.rows(files.path_of(job.stored_name), reading.Dialect(job.encoding, job.delimiter))
    return islice(found, 1 if plan.has_header else 0, None)


def scan(job: ImportJob) -> Counts | None:
    """Count a job's file and keep the result with it; None when the file cannot be read (the job has then failed)."""
    plan, counts = plan_of(job), Counts()
    try:
        with staging.table("import_scan", "line bigint, key text, hash bytea"):
            _read(job, plan, counts)
            counts.rows_root = roots.collect(job)
            _ask(job, counts)
    except FileRefusedError as error:
        fail(job, error)
        return None
    counts.done = True
    _keep(job, counts)
    return counts


def _read(job: ImportJob, plan: Plan, counts: Counts) -> None:
    now, rows, dates = clock.now(), data_rows(job, plan), Counter[str]()
    claim = Claim(basis=ConsentBasis.EXPRESS_SOI)
    last_beat = time.monotonic()
    while piece := list(islice(rows, PIECE)):
        judged = [judge(row, plan, claim, now) for row in piece]
        taken = [row for row in judged if isinstance(row, Taken)]
        _tally(counts, dates, judged, now)
        staging.copy("import_scan", ("line", "key", "hash"), ((t.line, t.key, staging.hash_of(t.key)) for t in taken))
        if time.monotonic() - last_beat > BEAT_SECONDS:
            _keep(job, counts)
            last_beat = time.monotonic()
    if dates:
        counts.same_date = max(dates.values())
        counts.first_date, counts.last_date = min(dates)[:10], max(dates)[:10]


def _tally(counts: Counts, dates: Counter[str], judged: list[Taken | Refused], now: datetime) -> None:
    idle = months_before(now, policy.IDLE_SKIP_MONTHS)
    hold = months_before(now, policy.NEVER_MAILED_HOLD_MONTHS)
    bad, places = Counter(counts.bad), Counter(counts.places)
    counts.rows += len(judged)
    for row in judged:
        if isinstance(row, Refused):
            bad[row.reason] += 1
            continue
        counts.good += 1
        places[row.country] += 1
        counts.confirmed += row.confirmed_at is not None
        counts.unconfirmed_strict += row.country in STRICT and bool(row.country) and row.confirmed_at is None
        if row.consent_at is not None:
            dates[row.consent_at.isoformat()] += 1
            counts.dated += 1
            counts.older_than_idle += row.consent_at < idle
            counts.older_than_hold += row.consent_at < hold
    counts.bad, counts.places = dict(bad), dict(places)


def _ask(job: ImportJob, counts: Counts) -> None:
    """Ask the database what it knows of these addresses."""
    names = {"organization": job.organization_id, "list": job.contact_list_id}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) - count(DISTINCT key) FROM import_scan")
        counts.duplicates = cursor.fetchone()[0]
        cursor.execute("DELETE FROM import_scan a USING import_scan b WHERE a.key = b.key AND a.line < b.line")
        counts.said_no = staging.take_suppressed(cursor, "import_scan", names)
        cursor.execute(
            """SELECT count(*) FILTER (WHERE here.id IS NOT NULL), count(*)
               FROM import_scan s JOIN compliance_contact c ON c.organization_id = %(organization)s
                 AND c.address_key = s.key
               LEFT JOIN compliance_listmembership here
                 ON here.contact_id = c.id AND here.contact_list_id = %(list)s""",
            names,
        )
        counts.on_list, known = cursor.fetchone()
        counts.on_other_lists = known - counts.on_list


def _keep(job: ImportJob, counts: Counts) -> None:
    """Write what is counted so far, unless the file is read another way by now: then these counts say nothing."""
    job.scan = asdict(counts)
    same = {name: getattr(job, name) for name in ("columns", "encoding", "delimiter")}
    rows = ImportJob.objects.filter(pk=job.pk, state__in=lifecycle.OPEN, **same)
    rows.update(scan=job.scan, row_count=counts.rows, heartbeat_at=clock.now())
    job.row_count = counts.rows


def fail(job: ImportJob, error: FileRefusedError) -> None:
    """End a job whose file cannot be read, with the sentence that says why and where."""
    now = clock.now()
    if lifecycle.move(job, ImportState.FAILED, actor=None, reason=str(error), error=str(error), finished_at=now):
        files.forget(job.stored_name)
