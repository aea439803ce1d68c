"""Processes of a benchmark: started, heard, ended; what they cost in CPU and memory, read from /proc (Linux only)."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from campaigns.bench.errors import BenchError

_TICK: Final = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG: Final = 1
_PORTS: Final = (20_000, 32_000)  # below the range of outgoing connections
_MIB: Final = 1024.0


def spawn(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process that dies with this one."""
    return subprocess.Popen(list(argv), preexec_fn=_die_with(os.getpid()), **options)  # noqa: S603, PLW1509


def _die_with(parent: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None)

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return in_child


def end(process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """Ask a process to end, then make it."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    if process.poll() is None:
        process.kill()
    process.wait()


def run_helpers(module: str, orders: Sequence[Mapping[str, Any]], patience: float = 600.0) -> list[dict[str, Any]]:
    """Run one process of `module` for each order, all at once, and return what each prints; raises BenchError.

    An order is JSON on the command line. A helper prints "ready", waits for a line, works, prints one JSON object.
    """
    processes = [
        spawn(
            [sys.executable, "-m", module, json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for order in orders
    ]
    try:
        for process in processes:
            assert process.stdout
            if process.stdout.readline() != b"ready\n":
                raise BenchError(f"{module} did not start.")
        for process in processes:
            assert process.stdin
            process.stdin.write(b"go\n")
            process.stdin.flush()
        return [json.loads(process.communicate(timeout=patience)[0]) for process in processes]
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise BenchError(f"{module} did not end well ({type(error).__name__}).") from error
    finally:
        for process in processes:
            end(process)


def serve_order(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Be a helper: read the order, say "ready", wait for the start, work and print what came of it."""
    order = json.loads(sys.argv[1])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    begun = time.monotonic()
    answer = work(order)
    usage = os.times()
    answer |= {"begun": begun, "ended": time.monotonic(), "cpu": usage.user + usage.system}
    sys.stdout.write(json.dumps(answer) + "\n")


def free_port() -> int:
    """Return a port of loopback where nobody answers now."""
    for _ in range(200):
        port = random.randint(*_PORTS)  # noqa: S311
        if not answers(port):
            return port
    raise BenchError("No free port was found on loopback.")


def answers(port: int) -> bool:
    """Tell whether somebody takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(holds: Callable[[], bool], *, seconds: float, what: str, every: float = 0.005) -> None:
    """Wait until `holds`; raises BenchError naming `what` did not happen."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise BenchError(f"{what} within {seconds:.0f} s.")
        time.sleep(every)


def _fields(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat behind the name; index 0 is the state (proc(5) field 3)."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process, ended threads included; 0 when it is gone."""
    try:
        fields = _fields(pid)
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def cpu_of_family(pid: int) -> float:
    """Return the CPU seconds of a process, its living children and those it has reaped: PostgreSQL's backends."""
    fields = _fields(pid)
    reaped = (int(fields[13]) + int(fields[14])) / _TICK
    return cpu_of(pid) + reaped + sum(cpu_of(child) for child in _children(pid))


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def parent_of(pid: int) -> int:
    """Return the parent of a process."""
    return int(_fields(pid)[1])


def peak_rss(pid: int) -> float:
    """Return the peak resident memory in MiB since the start or `forget_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / _MIB
    return 0.0


def forget_peak(pid: int) -> None:
    """Let the peak count anew from what the process holds now (proc(5), clear_refs 5)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
