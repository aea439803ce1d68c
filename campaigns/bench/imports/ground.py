"""One import of the product in its own process, and raw COPY of what it wrote: both timed, in the same tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from celery import Celery
from django.db import connection, connections

from accounts import documents
from accounts.models import Membership, Role, User
from campaigns.bench import processes
from campaigns.bench.errors import BenchError
from campaigns.bench.imports import sample
from campaigns.bench.world import Customer
from compliance import attestations
from compliance.attestations import Signer
from compliance.imports import files, reading, receive
from compliance.models import ImportJob, ImportState
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, suppression_hash, suppression_key_id

TABLES: Final = ("compliance_contact", "compliance_listmembership")
QUEUE: Final = "imports"
STUCK: Final = 60.0  # seconds without a sign of life
POLL: Final = 0.05
ANSWERS: Final = {
    "source": "website_form",
    "earliest": "2026-01",
    "latest": "2026-11",
    "page_url": "https://larkfield.example/news",
    "wording": "Yes, send me planting tips.",
    "last_mailed": "",
    "prohibited": dict.fromkeys(
        ("bought", "rented", "swapped", "third_party", "harvested", "guessed", "employer", "directory"), "no"
    ),
    "statements": ["agreed", "not_bought", "proof"],
    "background": {"minors": "no"},
    "signer_name": "Dana Whitlock",
}


@dataclass
class Timed:
    """One import: people added, seconds of counting and of reading, peak MiB, longest stillness of its figures.

    `stood` says behind which figure that was.
    """

    kept: int
    counting: float
    reading: float
    rss: float
    gap: float
    stood: str = ""


@dataclass
class Importer:
    """The product's process for lists."""

    pid: int

    @classmethod
    @contextmanager
    def start(cls, log: Path) -> Iterator[Importer]:
        """Start the process and end it whatever happens."""
        with log.open("wb") as output:
            process = processes.spawn([sys.executable, "-m", "sendserver.importer"], stdout=output, stderr=output)
            try:
                processes.wait_until(
                    lambda: b" ready." in log.read_bytes(), seconds=30, what="The importer was not ready"
                )
                yield cls(process.pid)
            finally:
                processes.end(process)


def customer() -> tuple[Customer, User]:
    """Return an organization that may mail, and its owner."""
    made = Customer.make()
    owner = User.objects.create_user("dana@larkfield.example", name="Dana Whitlock")
    Membership.objects.create(organization=made.organization, user=owner, role=Role.OWNER)
    documents.accept_missing(owner, made.organization, owner=True)  # else its pages lead there
    return made, owner


def suppress(made: Customer, rows: int) -> None:
    """Put the people who said no on the organization's do-not-mail list."""
    now, key_id = clock.now(), suppression_key_id()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE said_no (hash bytea)")
        with cursor.copy("COPY said_no FROM STDIN") as copy:
            for text in sample.said_no(rows):
                copy.write_row((suppression_hash(AddressKey(text)),))
        cursor.execute(
            f"INSERT INTO compliance_suppression ({CROWD_COLUMNS}) "  # noqa: S608 (own words)
            "SELECT %s, hash, %s, gen_random_uuid(), 'unsubscribe', 'page', %s, '' FROM said_no",
            [made.organization.pk, key_id, now],
        )
        cursor.execute("DROP TABLE said_no")


CROWD_COLUMNS: Final = "organization_id, address_hash, key_id, act, reason, source, created_at, lifted_reason"


def crowd(people: int) -> None:
    """Put so many strangers on the whole platform's do-not-mail list, and as many marks of uploads beside them.

    Indexes are built anew behind them: row by row into each the same would take a quarter of an hour.
    """
    _said_no(people)
    _marked(people)


def _marked(people: int) -> None:
    """Remember so many people as uploaded by some hundred other customers."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE compliance_listmark DROP CONSTRAINT compliance_listmark_pkey")
        cursor.execute(
            "INSERT INTO compliance_listmark (mark, organization_id) "
            "SELECT provenance_mark(sha256(n::text::bytea)), -1 - n %% 100 FROM generate_series(1, %s) n",
            [people],
        )
        cursor.execute("SET maintenance_work_mem = '512MB'")
        cursor.execute("ALTER TABLE compliance_listmark ADD PRIMARY KEY (mark, organization_id)")
        cursor.execute("VACUUM ANALYZE compliance_listmark")


def _said_no(people: int) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes "
            "WHERE tablename = 'compliance_suppression' AND indexname NOT LIKE '%pkey'"
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        cursor.execute(
            f"INSERT INTO compliance_suppression ({CROWD_COLUMNS}) "  # noqa: S608 (own words)
            "SELECT NULL, sha256(n::text::bytea), %s, gen_random_uuid(), 'complaint', 'arf', now(), '' "
            "FROM generate_series(1, %s) n",
            [suppression_key_id(), people],
        )
        cursor.execute("SET maintenance_work_mem = '512MB'")
        for _, definition in indexes:
            cursor.execute(definition)
        cursor.execute("VACUUM ANALYZE compliance_suppression")


def uploaded(made: Customer, owner: User, path: Path) -> ImportJob:
    """Return the upload of a file with its columns chosen, as a customer's clicks leave it."""
    with path.open("rb") as file:
        job = receive.start(
            made.organization,
            owner,
            iter(lambda: file.read(1 << 20), b""),
            file_name="people.csv",
            list_name="Readers",
        )
    first = receive.first_rows(files.path_of(job.stored_name), reading.Dialect("utf-8", ","))
    receive.choose(job, receive.proposal(job, first), actor=owner)
    return job


@dataclass
class Watched:
    """Seconds until something ended, the longest stillness of its figure, and the figure that stood still."""

    seconds: float = 0.0
    gap: float = 0.0
    figure: int = 0

    def still(self, gap: float, figure: int) -> None:
        """Note how long a figure stood still."""
        if gap > self.gap:
            self.gap, self.figure = gap, figure


def count(job: ImportJob) -> Watched:
    """Have the importer count."""
    _poke("compliance.scan_import", job)
    return _watched(job, lambda now: bool(now.scan.get("done")), _counted)


def read(job: ImportJob, owner: User) -> Watched:
    """Sign and have the importer read."""
    ImportJob.objects.filter(pk=job.pk).update(answers=ANSWERS, declared_country="GB", state=ImportState.ANSWERED)
    job.refresh_from_db()
    attestations.submit(job, Signer(owner, "Owner", "totp", clock.now(), "192.0.2.7", "Bench"))
    _poke("compliance.run_import", job)
    ended = (ImportState.DONE, ImportState.HELD)
    seconds = _watched(job, lambda now: now.state in ended, lambda now: now.rows_read + now.settled_count)
    job.refresh_from_db()
    return seconds


def _counted(now: ImportJob) -> int:
    """Return the figure that the page shows while a file is counted: rows, then those compared."""
    return int(now.scan.get("rows", 0)) + int(now.scan.get("compared", 0))


def _poke(task: str, job: ImportJob) -> None:
    """Ask the importer as a page does: by a message into its queue."""
    application = Celery("bench", set_as_current=False)
    application.config_from_object("django.conf:settings", namespace="CELERY")
    application.send_task(task, args=[job.pk], queue=QUEUE, ignore_result=True)


def _watched(job: ImportJob, ends: Callable[[ImportJob], bool], figure: Callable[[ImportJob], int]) -> Watched:
    begun = moved = time.monotonic()
    last, watched = -1, Watched()
    while True:
        now = ImportJob.objects.get(pk=job.pk)
        if now.state == ImportState.FAILED:
            raise BenchError(f"The import failed: {now.error}")
        seen, still = figure(now), time.monotonic() - moved
        if seen != last or ends(now):
            watched.still(still, last)
            moved, last = time.monotonic(), seen
        if ends(now):
            watched.seconds = time.monotonic() - begun
            return watched
        if still > STUCK:
            raise BenchError(f"The import stands still at row {seen}.")
        time.sleep(POLL)


def import_once(made: Customer, owner: User, path: Path, folder: Path) -> Timed:
    """Count and read one list with a fresh importer."""
    with Importer.start(folder / "importer.log") as importer:
        job = uploaded(made, owner, path)
        counted, done = count(job), read(job, owner)
        rss = processes.peak_rss(importer.pid)
        longest, step = max((counted, "counting"), (done, "reading"), key=lambda one: one[0].gap)
        stood = f"{step}, behind {longest.figure:,}"
        return Timed(job.added_count, counted.seconds, done.seconds, rss, longest.gap, stood)


def export(folder: Path) -> dict[str, Path]:
    """Write what stands in the tables as COPY's own text, one file a table."""
    files = {}
    for table in TABLES:
        files[table] = folder / f"{table}.copy"
        statement = f"COPY {table} TO STDOUT"
        with files[table].open("wb") as file, connection.cursor() as cursor, cursor.copy(statement) as copy:
            for block in copy:
                file.write(block)
    return files


def empty() -> None:
    """Empty both tables as their owner, and have written to disk what any earlier step left to be written."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
        cursor.execute("VACUUM ANALYZE compliance_contact, compliance_listmembership")
        cursor.execute("CHECKPOINT")


def raw_copy(table: str, path: Path) -> float:
    """Return the seconds of a raw COPY of a file into a table with all its indexes and references, as the app."""
    begun = time.monotonic()
    with path.open("rb") as file, connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        while block := file.read(1 << 18):
            copy.write(block)
    return time.monotonic() - begun
