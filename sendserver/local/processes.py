"""Start, recognise and end operating-system processes. Knows nothing of what they are for."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG = 1  # prctl(2), Linux only
STOPPING = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM)
POLL = 0.02  # seconds between looks at a process that should end


_started: dict[int, tuple[subprocess.Popen[bytes], "Spec"]] = {}  # by process id, until `end`


@dataclass(frozen=True)
class User:
    """Whom a process runs as; None in `Spec.user` means: as ourselves."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Spec:
    """How to start one process, and how it is asked to end.

    `stop_signals` are sent one after another, each with its patience in seconds; SIGKILL follows by itself.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    user: User | None = None
    stdin: str | None = field(default=None, repr=False)  # may hold a password
    stop_signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 15.0),)
    death_signal: signal.Signals = signal.SIGTERM
    may_end_early: bool = True  # False: others depend on it, so it is asked only when they are gone


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """Return what the child does before it becomes the program: reset signals, wish for `death_signal` with our death.

    The latter on Linux only; elsewhere the ledger of the next start cleans up. Must run after the change of user,
    since the kernel forgets the wish when the user id changes.
    """
    parent = os.getpid()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def in_child() -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)  # a shell's `&` leaves INT ignored, and that is inherited
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, int(death_signal))
            if os.getppid() != parent:  # it died between fork and prctl
                os.kill(os.getpid(), signal.SIGKILL)

    return in_child


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Hold signals back: one that comes between the start of a process and the note of it would lose the process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def spawn(spec: Spec) -> subprocess.Popen[bytes]:
    """Start the process in a session of its own; its output is appended to `spec.log`."""
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    with spec.log.open("ab") as log, undisturbed():
        process = subprocess.Popen(
            list(spec.argv),
            env=dict(spec.env),
            cwd=spec.cwd,
            stdin=subprocess.PIPE if spec.stdin is not None else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C at the terminal reaches the supervisor alone
            preexec_fn=die_with_parent(spec.death_signal),
            user=spec.user.uid if spec.user else None,
            group=spec.user.gid if spec.user else None,
            extra_groups=[] if spec.user else None,
        )
        _started[process.pid] = (process, spec)
    if spec.stdin is not None and process.stdin is not None:
        process.stdin.write(spec.stdin.encode())
        process.stdin.close()
    return process


def end(process: subprocess.Popen[bytes], spec: Spec, *, asked: bool = False) -> None:
    """End the process as its spec asks, then whatever is left of its group. Idempotent.

    `asked`: the first signal was sent already, and a second would mean hurry to some.
    """
    for number, (stop_signal, patience) in enumerate(spec.stop_signals):
        if process.poll() is not None:
            break
        if number or not asked:
            process.send_signal(stop_signal)
        _wait(process, patience)
    if process.poll() is None:
        process.kill()
        process.wait()
    kill_group(process.pid)
    _started.pop(process.pid, None)


def started() -> set[int]:
    """Return the ids of the processes that were started here and not ended."""
    return set(_started)


def end_strays(others: set[int]) -> None:
    """End what was started here, except `others`: a signal came before its starter could note it."""
    for pid in started() - others:
        end(*_started[pid])


def _wait(process: subprocess.Popen[bytes], patience: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)


def kill_group(group: int) -> None:
    """Kill every process that is left in the group; none left is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def start_time(pid: int) -> str:
    """Return what tells this process from a later one with the same number; "" when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]  # field 22 of proc(5), counted after the name
    except (FileNotFoundError, ProcessLookupError):
        return "" if Path("/proc/self").exists() else _start_time_by_ps(pid)


def _start_time_by_ps(pid: int) -> str:
    """Where there is no /proc (macOS)."""
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def is_same(pid: int, started: str) -> bool:
    """Return whether the process that we once started as `pid` still runs."""
    return bool(started) and start_time(pid) == started


def wait_until_gone(pid: int, started: str, patience: float) -> bool:
    """Return whether the process ended within `patience` seconds."""
    deadline = time.monotonic() + patience
    while is_same(pid, started):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def tail(log: Path, lines: int = 12) -> str:
    """Return the last lines of a log, for the message that explains a failure."""
    try:
        text = log.read_bytes()[-8000:].decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
