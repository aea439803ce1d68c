"""The two servers of a proof, from the outside: started, asked for their logs, ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from campaigns.bench import processes
from campaigns.bench.errors import BenchError
from campaigns.bench.sinks import Pair


class Seen(NamedTuple):
    """One message in a sink's log; times in seconds on this machine's monotonic clock."""

    came: float  # its last byte was here
    answered: float
    session: int
    sender: str
    recipient: str
    sink: int  # 1 or 2


@dataclass
class ProofSink:
    """A running sendserver.testing.proof.sink."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    keep: Path | None
    number: int

    @classmethod
    def start(cls, folder: Path, number: int, *, keeps: bool = False, **order: Any) -> ProofSink:
        """Start one on a free port; it keeps whole messages if asked, and `order` goes to it as it is."""
        port = processes.free_port()
        log = folder / f"sink-{number}-{port}.log"
        log.touch()
        keep = folder / f"kept-{number}-{port}" if keeps else None
        if keep:
            keep.mkdir()
        words = json.dumps({"port": port, "log": str(log), "keep": str(keep or ""), **order})
        argv = [sys.executable, "-m", "sendserver.testing.proof.sink", words]
        with (folder / "sinks.out").open("ab") as out:
            process = processes.spawn(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        sink = cls(port, process, log, keep, number)
        processes.wait_until(
            lambda: not sink.is_alive() or processes.answers(port), seconds=30, what="A sink did not answer"
        )
        if not sink.is_alive():
            raise BenchError("A sink ended at once.")
        return sink

    @property
    def pid(self) -> int:
        """Return its process."""
        return self.process.pid

    def count(self) -> int:
        """Return how many messages it has taken."""
        return self.log.read_bytes().count(b"\n")

    def seen(self) -> Iterator[Seen]:
        """Yield what its log says, oldest first."""
        with self.log.open(encoding="ascii") as lines:
            for line in lines:
                if not line.endswith("\n"):
                    return  # being written
                came, answered, session, sender, recipient = line.split()
                yield Seen(float(came), float(answered), int(session), sender, recipient, self.number)

    def hand_over(self) -> None:
        """Ask for what it keeps and has not completed."""
        self.process.send_signal(signal.SIGUSR1)

    def is_alive(self) -> bool:
        """Tell whether it still runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End it."""
        processes.end(self.process)


@dataclass(frozen=True)
class Sinks:
    """Both."""

    one: ProofSink
    two: ProofSink

    @property
    def pair(self) -> Pair:
        """Return them as the lanes of a benchmark want them."""
        return Pair([self.one, self.two])

    def seen(self) -> list[Seen]:
        """Return both logs."""
        return [*self.one.seen(), *self.two.seen()]

    def counts(self) -> list[int]:
        """Return what each has taken."""
        return [self.one.count(), self.two.count()]

    def refuse_dead(self) -> None:
        """Raise BenchError when one has died."""
        if not (self.one.is_alive() and self.two.is_alive()):
            raise BenchError("A sink has died.")


@contextmanager
def two(folder: Path, *orders: dict[str, Any], keeps: bool = False) -> Iterator[Sinks]:
    """Give two sinks, with an order for each (one alone is for both)."""
    one, other = orders if len(orders) == 2 else (*orders, *orders) if orders else ({}, {})
    first = ProofSink.start(folder, 1, keeps=keeps, **one)
    try:
        second = ProofSink.start(folder, 2, keeps=keeps, **other)
        try:
            yield Sinks(first, second)
        finally:
            second.stop()
    finally:
        first.stop()
