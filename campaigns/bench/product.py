"""The product, measured from outside: real Celery workers on the two relay queues, poked as everybody pokes them.

A run lasts from the first claim (the lease's own time in the database) until the last outcome is committed and the
sinks have everything. Start-up of the workers and planning lie outside.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import redis
from django.conf import settings
from django.db import connection

from campaigns.bench import processes, world
from campaigns.bench.errors import BenchError
from campaigns.bench.sinks import Pair
from campaigns.models import Campaign
from campaigns.sending import poke
from campaigns.sending.relays import KEYS

START_PATIENCE: Final = 90.0  # seconds for a worker to say that it is ready
STUCK: Final = 40.0  # seconds without a single chunk done
_POLL: Final = 0.02
# As sendserver.local starts a lane, and the worker for everything else.
_LANE: Final = ("-m", "sendserver.lane")
_WORKER: Final = ("-m", "celery", "-A", "sendserver.celery", "worker", "--pool", "solo", "--without-mingle")
_CHUNKS: Final = """
SELECT count(*) FILTER (WHERE state = 'done'), count(*),
       extract(epoch FROM min(lease_until) FILTER (WHERE state = 'leased'))
FROM campaigns_chunk WHERE campaign_id = %s
"""
_BOOKS: Final = """
SELECT count(*) FILTER (WHERE state = 'accepted'), count(*), count(DISTINCT delivery_id),
       COALESCE(avg(wire_bytes), 0)::int
FROM campaigns_outcome WHERE campaign_id = %s
"""


@dataclass(frozen=True)
class Run:
    """One run of anybody: messages, seconds, and CPU seconds by who spent them."""

    messages: int
    seconds: float
    cpu: Mapping[str, float] = field(default_factory=dict)
    peak_rss: float = 0.0  # MiB, the larger of the two lanes
    wire_bytes: int = 0

    @property
    def rate(self) -> float:
        """Return messages a second."""
        return self.messages / self.seconds

    def cost(self, *names: str) -> float:
        """Return CPU microseconds a message of those named."""
        return sum(self.cpu.get(name, 0.0) for name in names) / self.messages * 1e6


@dataclass(frozen=True)
class Spent:
    """Whose CPU is counted: database and broker of this benchmark."""

    postmaster: int
    valkey: int

    @classmethod
    def find(cls) -> Spent:
        """Ask the servers who they are."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backend = cursor.fetchone()[0]
        broker = redis.Redis.from_url(settings.REDIS_URL)
        return cls(processes.parent_of(backend), int(broker.info("server")["process_id"]))

    def read(self, lanes: Sequence[int], sinks: Pair) -> dict[str, float]:
        """Return the CPU seconds so far."""
        one, two = sinks.sinks
        return {
            "worker": sum(map(processes.cpu_of, lanes)),
            "postgres": processes.cpu_of_family(self.postmaster),
            "valkey": processes.cpu_of(self.valkey),
            "sink-1": processes.cpu_of(one.pid),
            "sink-2": processes.cpu_of(two.pid),
        }


@dataclass(frozen=True)
class Setup:
    """How one pair of lanes is set up: a broker database and a folder of its own, and how its relays are reached."""

    name: str
    broker: int
    relay: str = "smtp://127.0.0.1:{port}?name=out{number}.sendserver.example"

    def urls(self, ports: Sequence[int]) -> dict[str, str]:
        """Return the relays' settings."""
        return {f"RELAY_{n}_URL": self.relay.format(port=port, number=n) for n, port in enumerate(ports, start=1)}


@dataclass
class Lanes:
    """The two workers of one setup (or one for each of `queues`), started once and idle between runs."""

    setup: Setup
    sinks: Pair
    folder: Path
    environ: Mapping[str, str]
    prefix: Sequence[str] = ()  # in front of each worker's command: another host name
    queues: Sequence[str] = KEYS
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def broker(self) -> str:
        """Return the URL of this setup's broker."""
        return settings.REDIS_URL.rpartition("/")[0] + f"/{self.setup.broker}"

    @property
    def pids(self) -> list[int]:
        """Return the processes of the lanes."""
        return [worker.pid for worker in self.workers]

    def start(self) -> None:
        """Start the workers and wait until they listen to their queues."""
        home = self.folder / self.setup.name
        (home / "static").mkdir(parents=True, exist_ok=True)
        told = {
            "REDIS_URL": self.broker,
            "VAR_DIR": str(home),
            "LOG_LEVEL": "INFO",
        }  # INFO: a worker says when it is ready
        environ = {**self.environ, **self.setup.urls(self.sinks.ports), **told}
        logs = [home / f"{key}.log" for key in self.queues]
        for key, log in zip(self.queues, logs, strict=True):
            started = [*_LANE, key] if key in KEYS else [*_WORKER, "-Q", key, "-n", f"{key}-{self.setup.name}@bench"]
            with log.open("ab") as out:
                argv = [*self.prefix, sys.executable, *started]
                worker = processes.spawn(argv, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            self.workers.append(worker)
        processes.wait_until(
            lambda: all(b" ready." in log.read_bytes() for log in logs) or not self.are_alive(),
            seconds=START_PATIENCE,
            what="The workers were not ready",
            every=0.05,
        )
        self.refuse_dead()

    def stop(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            processes.end(worker, 25.0)
        self.workers.clear()

    def are_alive(self) -> bool:
        """Tell whether all workers run."""
        return all(worker.poll() is None for worker in self.workers)

    def words(self) -> str:
        """Return the end of their logs."""
        logs = sorted((self.folder / self.setup.name).glob("*.log"))
        return "\n".join(log.read_bytes()[-2500:].decode(errors="replace") for log in logs)

    def refuse_dead(self) -> None:
        """Raise BenchError when a worker has ended."""
        if not self.are_alive():
            raise BenchError(f"A worker of the setup {self.setup.name} has ended. Their last words:\n{self.words()}")

    def poke(self) -> None:
        """Tell both lanes that there is work, through this setup's broker."""
        with poking(self.broker):
            for key in KEYS:
                poke.poke(key)

    def send(self, campaign: Campaign, people: int, spent: Spent) -> Run:
        """Send a planned campaign and return what it took; raises BenchError unless everybody got it exactly once."""
        for pid in self.pids:
            processes.forget_peak(pid)
        counts, before = self.sinks.counts(), spent.read(self.pids, self.sinks)
        self.poke()
        begun = self._wait(campaign)
        self.sinks.wait_for(counts, people)
        ended = time.time()
        after = spent.read(self.pids, self.sinks)
        size = _balance(campaign, people)
        return Run(
            people,
            ended - begun,
            {name: after[name] - before[name] for name in after},
            max(map(processes.peak_rss, self.pids)),
            size,
        )

    def _wait(self, campaign: Campaign) -> float:
        """Wait for the last chunk and return when the first one was claimed, on the database's clock."""
        begun, seen, moved = 0.0, 0, time.time()
        while True:
            with connection.cursor() as cursor:
                cursor.execute(_CHUNKS, [campaign.pk])
                done, total, lease = cursor.fetchone()
            now = time.time()
            if not begun and (lease or done):
                begun = min(now, float(lease) - settings.SENDING["lease_seconds"]) if lease else now
            if done == total:
                return begun
            seen, moved = (done, now) if done > seen else (seen, moved)
            if now - moved > STUCK:
                raise BenchError(
                    f"The lanes stand still at {done} of {total} chunks. Their last words:\n{self.words()}"
                )
            time.sleep(_POLL)


@contextmanager
def poking(broker: str) -> Iterator[None]:
    """Let pokes go to one setup's broker; otherwise they go where nobody listens, such as that of planning."""
    usual = settings.CELERY_BROKER_URL
    try:
        settings.CELERY_BROKER_URL = broker
        poke._broker.cache_clear()
        yield
    finally:
        settings.CELERY_BROKER_URL = usual
        poke._broker.cache_clear()


def _balance(campaign: Campaign, people: int) -> int:
    """Compare the books with what was asked; return the mean size of a message in octets."""
    with connection.cursor() as cursor:
        cursor.execute(_BOOKS, [campaign.pk])
        accepted, rows, different, size = cursor.fetchone()
    if (accepted, rows, different) != (people, people, people):
        raise BenchError(f"{accepted} of {people} messages were accepted, in {rows} rows for {different} people.")
    world.close(campaign)
    return int(size)
