"""Where the mail of a benchmark ends: exactly two servers at a time, each counted, each asked whether it still lives.

smtp-sink binds with SO_REUSEPORT, so a forgotten one would silently take half of the load: a port that already
answers is refused, and the counts must come out exactly.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from campaigns.bench import processes
from campaigns.bench.errors import BenchError
from campaigns.bench.tools import Tools

BACKLOG = 100


class Sink(Protocol):
    """One server that takes mail."""

    port: int

    @property
    def pid(self) -> int:
        """Return its process."""

    def count(self) -> int:
        """Return how many messages it has taken."""

    def is_alive(self) -> bool:
        """Tell whether it still runs."""

    def stop(self) -> None:
        """End it."""


@dataclass
class PostfixSink:
    """A running smtp-sink; it prints a counter after each message, of which the last one is read."""

    port: int
    process: subprocess.Popen[bytes]
    counter: Path

    @classmethod
    def start(cls, tools: Tools, folder: Path) -> PostfixSink:
        """Start one on a free port; run by root it lowers itself to nobody, as it demands."""
        port = _fresh_port()
        counter = folder / f"sink-{port}"
        argv = [str(tools.sink), "-c", *(["-u", "nobody"] if os.geteuid() == 0 else []), f"127.0.0.1:{port}"]
        with counter.open("ab") as out, (folder / "sinks.log").open("ab") as log:
            process = processes.spawn(
                [*argv, str(BACKLOG)], env=tools.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=log
            )
        sink = cls(port, process, counter)
        _wait(sink)
        return sink

    @property
    def pid(self) -> int:
        """Return its process."""
        return self.process.pid

    def count(self) -> int:
        """Return how many messages it has taken."""
        with self.counter.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 200))
            lines = file.read().split(b"\r")
        return int(lines[-2].rpartition(b"=")[2]) if len(lines) > 1 else 0

    def is_alive(self) -> bool:
        """Tell whether it still runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End it."""
        processes.end(self.process)
        self.counter.unlink(missing_ok=True)


@dataclass
class OwnSink:
    """A running campaigns.bench.own_sink: TLS or plain by the same code, and able to keep what it takes."""

    port: int
    process: subprocess.Popen[bytes]
    counter: Path

    @classmethod
    def start(cls, folder: Path, *, certificate: Path | None = None, keep: Path | None = None) -> OwnSink:
        """Start one; with `certificate` (PEM with its key) it speaks TLS from the first byte."""
        port = _fresh_port()
        counter = folder / f"own-sink-{port}"
        order = [str(port), str(counter), str(certificate or ""), str(keep or "")]
        with (folder / "sinks.log").open("ab") as log:
            process = processes.spawn(
                [sys.executable, "-m", "campaigns.bench.own_sink", *order],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        sink = cls(port, process, counter)
        _wait(sink)
        return sink

    @property
    def pid(self) -> int:
        """Return its process."""
        return self.process.pid

    def count(self) -> int:
        """Return how many messages it has taken."""
        return int(self.counter.read_bytes() or b"0")

    def is_alive(self) -> bool:
        """Tell whether it still runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End it."""
        processes.end(self.process)
        self.counter.unlink(missing_ok=True)


def _fresh_port() -> int:
    port = processes.free_port()
    if processes.answers(port):
        raise BenchError(f"Port {port} already answers.")
    return port


def _wait(sink: Sink) -> None:
    processes.wait_until(
        lambda: not sink.is_alive() or processes.answers(sink.port), seconds=20, what="A sink did not answer"
    )
    if not sink.is_alive():
        raise BenchError("A sink ended at once.")


@dataclass(frozen=True)
class Pair:
    """The two sinks of a run."""

    sinks: Sequence[Sink]

    @property
    def ports(self) -> list[int]:
        """Return the two ports."""
        return [sink.port for sink in self.sinks]

    def counts(self) -> list[int]:
        """Return what each has taken so far."""
        return [sink.count() for sink in self.sinks]

    def wait_for(self, before: Sequence[int], expected: int, *, seconds: float = 30.0) -> None:
        """Wait until `expected` messages more than `before` have come; both must have done work, none too many."""

        def gained() -> list[int]:
            return [now - then for now, then in zip(self.counts(), before, strict=True)]

        with contextlib.suppress(BenchError):
            processes.wait_until(lambda: sum(gained()) >= expected, seconds=seconds, what="")
        if not all(sink.is_alive() for sink in self.sinks):
            raise BenchError("A sink has died.")
        if sum(gained()) != expected or min(gained()) == 0:
            raise BenchError(f"The sinks took {gained()} messages where {expected} were sent.")

    def stop(self) -> None:
        """End both."""
        for sink in self.sinks:
            sink.stop()
