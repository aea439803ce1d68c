"""Everybody else who sends to the two sinks: smtp-source, the blaster, the naive loop. Runs must come out exactly."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from campaigns.bench import processes
from campaigns.bench.errors import BenchError
from campaigns.bench.product import Run
from campaigns.bench.samples import Sample
from campaigns.bench.sinks import Pair
from campaigns.bench.tools import Tools

PATIENCE: Final = 900.0  # seconds for one run


@dataclass(frozen=True)
class Field:
    """Where the contenders meet: the same sinks and sessions for all."""

    tools: Tools
    sinks: Pair
    sessions: int  # on both sinks together
    folder: Path

    def source(self, sample: Sample, messages: int) -> Run:
        """Let one smtp-source a sink send the pattern, connections kept."""
        counts, cpu = self.sinks.counts(), self._cpu()
        begun = time.monotonic()
        running = [self._start_source(sample, messages // 2, port) for port in self.sinks.ports]
        try:
            codes = [process.wait(PATIENCE) for process in running]
        finally:
            for process in running:
                processes.end(process)
        ended = time.monotonic()
        if any(codes):
            raise BenchError("smtp-source failed.")
        return self._finish(messages, counts, cpu, ended - begun)

    def _start_source(self, sample: Sample, messages: int, port: int) -> subprocess.Popen[bytes]:
        sending = ["-d", "-s", str(self.sessions // 2), "-m", str(messages), "-F", str(sample.lines)]
        envelope = ["-M", "bench.example", "-f", sample.sender, "-t", sample.recipient % 1]
        with (self.folder / "source.log").open("ab") as log:
            return processes.spawn(
                [str(self.tools.source), *sending, *envelope, f"127.0.0.1:{port}"],
                env=self.tools.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def blaster(self, sample: Sample, messages: int, *, workers: int) -> Run:
        """Let our pipelining client send the pattern from one or two processes."""
        orders = [
            {
                "sender": sample.sender,
                "recipient": sample.recipient,
                "message": str(sample.message),
                "ports": self.sinks.ports,
                "sessions": self.sessions // workers,
                "messages": messages // workers,
                "first": 1 + worker * (messages // workers),
            }
            for worker in range(workers)
        ]
        return self._helpers("campaigns.bench.blaster", orders, messages)

    def naive(self, sample: Sample, messages: int) -> Run:
        """Let two processes of the naive loop send; one connection each, which is all that loop has."""
        orders = [
            {
                "sender": sample.sender,
                "recipient": sample.recipient,
                "content": str(sample.naive),
                "port": port,
                "messages": messages // 2,
                "first": 1 + worker * (messages // 2),
            }
            for worker, port in enumerate(self.sinks.ports)
        ]
        return self._helpers("campaigns.bench.naive", orders, messages)

    def _helpers(self, module: str, orders: Sequence[dict[str, Any]], messages: int) -> Run:
        counts, cpu = self.sinks.counts(), self._cpu()
        answers = processes.run_helpers(module, orders, PATIENCE)
        if sum(answer["sent"] for answer in answers) != messages:
            raise BenchError(f"{module} did not send everything.")
        seconds = max(answer["ended"] for answer in answers) - min(answer["begun"] for answer in answers)
        return self._finish(messages, counts, cpu, seconds)

    def _cpu(self) -> list[float]:
        return [processes.cpu_of(sink.pid) for sink in self.sinks.sinks]

    def _finish(self, messages: int, counts: Sequence[int], cpu: Sequence[float], seconds: float) -> Run:
        self.sinks.wait_for(counts, messages)
        spent = [now - then for now, then in zip(self._cpu(), cpu, strict=True)]
        return Run(messages, seconds, {f"sink-{n}": one for n, one in enumerate(spent, start=1)})


def signing_rate(seconds: float) -> float:
    """Return bare RSA-2048 signatures a second of two processes together."""
    answers = processes.run_helpers("campaigns.bench.signing", [{"seconds": seconds}] * 2)
    return float(sum(answer["rate"] for answer in answers))
