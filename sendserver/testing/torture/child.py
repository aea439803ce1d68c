"""What runs in the processes that may be killed: a lane of its own, a real Celery worker, beat, a planner.

Forked from a server that has loaded Django already, so a worker stands again within a tenth of a second. An `Order`
carries settings, and failpoints that strike inside this process: nothing of the product is edited.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import OperationalError, close_old_connections

import sendserver.celery  # so that the forked processes have it
from campaigns import planning
from campaigns.inbound.door import serve
from campaigns.sending import deliver, journal, mime, owners
from sendserver.lib import clock
from sendserver.lib.relays import RelayConfig
from sendserver.testing import databases

log = logging.getLogger("torture")
PDEATHSIG = 1  # prctl(2)
_STARTED = ("Journal.started", "Journal.answered_and_started")
_ANSWERED = ("Journal.answered", "Journal.answered_and_started")
# name -> (module, attributes, before or after the call)
POINTS = {
    "after the claim": ("campaigns.sending.claim", ("claim_next",), "after"),
    "before the journal": ("campaigns.sending.journal", _STARTED, "before"),
    "behind the journal, before the dot": ("campaigns.sending.journal", _STARTED, "after"),
    "behind 250, before its journal line": ("campaigns.sending.journal", _ANSWERED, "before"),
    "behind the journal line of 250": ("campaigns.sending.journal", _ANSWERED, "after"),
    "before the flush": ("campaigns.sending.record", ("flush",), "before"),
    "behind the flush": ("campaigns.sending.record", ("flush",), "after"),
    "in mid-plan": ("campaigns.planning", ("_write_deliveries",), "after"),
    "writing a message": ("campaigns.sending.mime", ("write_all",), "before"),
}


@dataclass(frozen=True)
class Failpoint:
    """At the `nth` call of a point: `kill` this process, or `fail` as a database whose answer is lost."""

    point: str
    nth: int = 1
    act: str = "kill"


@dataclass(frozen=True)
class Order:
    """All that a child needs to know."""

    database: str
    relays: tuple[str, str]
    sending: Mapping[str, object]
    constants: Mapping[str, object]
    journal: str
    log: str
    failpoint: Failpoint | None = None
    host: str = ""  # pretend to be another host
    clock_jump: float = 0.0  # seconds, from `clock_jump_after` seconds of running on
    clock_jump_after: float = 0.0
    file_limit: int = 0  # octets a file may have: a disk that is full
    poison: str = ""  # an address: writing to it kills this process
    defect: str = ""  # one of DEFECTS, to see that torture finds it
    slices_to: str = ""  # a file that gets one line a slice
    broker: Mapping[str, object] = field(default_factory=dict)  # of the transport


def _forget_the_journal() -> None:
    for name in {*_STARTED, *_ANSWERED}:
        setattr(journal.Journal, name.rpartition(".")[2], lambda *_: None)


DEFECTS: Mapping[str, Callable[[], None]] = {"no journal": _forget_the_journal}


def lane(order: Order, key: str) -> None:
    """Serve a relay slice after slice, as a worker does that is poked again and again, until SIGTERM."""
    _prepare(order)
    told = _on_sigterm()
    while not told:
        more = False
        try:
            more = deliver.run_lane(key, should_end=lambda: bool(told)).more
        except Exception as error:
            log.exception("the slice failed")
            if order.file_limit and isinstance(
                error, OSError
            ):  # the disk stays full: not even a new file's first line fits
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        close_old_connections()
        time.sleep(0.02 if more else 0.15)


def worker(order: Order, queues: str) -> None:
    """Be a Celery worker, as the launcher starts it."""
    _prepare(order)
    words = ["worker", "-Q", queues, "-n", f"{queues.split(',', maxsplit=1)[0]}-{os.getpid()}@torture", "-l", "INFO"]
    sendserver.celery.app.worker_main([*words, "--pool", "solo", "--without-gossip", "--without-mingle"])


def door(order: Order, listen: str) -> None:
    """Be the inbound door."""
    _prepare(order)
    asyncio.run(serve(listen))


def beat(order: Order, schedule: str) -> None:
    """Be Celery's beat, with its schedule made short."""
    _prepare(order)
    for entry in sendserver.celery.app.conf.beat_schedule.values():
        if isinstance(entry["schedule"], float):
            entry["schedule"] = max(0.5, entry["schedule"] / 20)
    sendserver.celery.app.start(["beat", "-l", "INFO", "-s", schedule, "--pidfile="])


def plan(order: Order) -> None:
    """Plan what waits for planning, once."""
    _prepare(order)
    planning.start_due()


def _on_sigterm() -> list[int]:
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    return told


def _prepare(order: Order) -> None:
    ctypes.CDLL(None).prctl(PDEATHSIG, int(signal.SIGKILL))
    output = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    databases.use(order.database)
    settings.SENDING = dict(order.sending)
    settings.JOURNAL_DIR = Path(order.journal)
    settings.RELAYS = {f"relay-{n}": RelayConfig.from_url(n, url) for n, url in enumerate(order.relays, start=1)}
    sendserver.celery.app.conf.broker_transport_options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, **order.broker}
    for name, value in order.constants.items():
        _set(name, value)
    if order.host:
        _be_another_host(order.host)
    if order.clock_jump:
        _jump(order.clock_jump, order.clock_jump_after)
    if order.slices_to:
        _count_slices(order.slices_to)
    if order.file_limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.file_limit, resource.RLIM_INFINITY))
    if order.defect:
        DEFECTS[order.defect]()
    if order.poison:
        _poison(order.poison)
    if order.failpoint:
        _install(order.failpoint)


def _set(name: str, value: object) -> None:
    module, _, attribute = name.rpartition(".")
    owner = importlib.import_module(module)
    if not hasattr(owner, attribute):
        raise AttributeError(f"torture sets {name}, which is gone: mend the table of constants")
    setattr(owner, attribute, value)


def _be_another_host(name: str) -> None:
    owners.platform = type("Platform", (), {"node": staticmethod(lambda: name)})  # type: ignore[misc,assignment]
    owners._boot_id = lambda: f"boot-of-{name}"  # type: ignore[assignment]


def _jump(seconds: float, after: float) -> None:
    """Move this process's wall clock; the monotonic one goes on, as it does on a real host."""
    begun, wall = time.monotonic(), time.time

    def offset() -> float:
        return seconds if time.monotonic() - begun >= after else 0.0

    clock.now = lambda: datetime.now(UTC) + timedelta(seconds=offset())
    time.time = lambda: wall() + offset()


def _count_slices(path: str) -> None:
    run = deliver.run_lane

    def counted(key: str, **options: Any) -> Any:
        report = run(key, **options)
        with Path(path).open("a") as file:
            file.write(f"{key} {'busy' if report.busy else report.attempted}\n")
        return report

    deliver.run_lane = counted


def _poison(address: str) -> None:
    write = mime.write_all

    def deadly(letter: mime.Letter, recipients: Sequence[mime.Addressed]) -> list[mime.Written]:
        if any(one.address == address for one in recipients):
            os.kill(os.getpid(), signal.SIGKILL)
        return write(letter, recipients)

    mime.write_all = deadly


def _install(failpoint: Failpoint) -> None:
    """Wrap functions wherever they were imported to, or methods in their class."""
    module, attributes, when = POINTS[failpoint.point]
    calls = count(1)
    for attribute in attributes:
        holder: Any = importlib.import_module(module)
        *outer, name = attribute.split(".")
        for part in outer:
            holder = getattr(holder, part)
        original = getattr(holder, name)
        wrapped = _striking(original, failpoint, when, calls)
        setattr(holder, name, wrapped)
        for other in [m for key, m in sys.modules.items() if key.startswith("campaigns.")]:
            for alias, value in list(vars(other).items()):
                if value is original:
                    setattr(other, alias, wrapped)


def _striking(
    original: Callable[..., Any], failpoint: Failpoint, when: str, calls: Iterator[int]
) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        struck = next(calls) == failpoint.nth
        if struck and when == "before":
            _strike(failpoint)
        result = original(*arguments, **options)
        if struck and when == "after":
            _strike(failpoint)
        return result

    return wrapped


def _strike(failpoint: Failpoint) -> None:
    if failpoint.act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    log.error("torture: the answer of the database is lost")
    raise OperationalError("server closed the connection unexpectedly")
