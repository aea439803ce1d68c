"""Keep a set of processes running: start in order, start again what died, end all in the opposite order.

Knows specs, not what they mean. The one who calls `run` is the main thread, since the parent-death signal and
Python's signal handlers both belong to it.
"""

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

from sendserver.local import processes
from sendserver.local.console import complain, say
from sendserver.local.instance import Instance
from sendserver.local.processes import Spec

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_EVERY = 0.5  # seconds between looks at the children
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds before a process that died is started again
STEADY_AFTER = 60.0  # seconds after which an earlier death is forgotten
LOG_LIMIT = 5 * 1024 * 1024  # bytes; a longer log becomes `<name>.log.1` at the next start


class Stopped(BaseException):
    """A signal asks us to end. No Exception: no handler of faults may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@dataclass
class Child:
    """One process that is kept running."""

    spec: Spec
    process: subprocess.Popen[bytes]
    begun: float
    wait: float = FIRST_WAIT
    due: float | None = None  # when it is started again, on the monotonic clock
    asked: bool = field(default=False)


def raise_stopped(number: int, _frame: FrameType | None) -> NoReturn:
    """Turn a signal into Stopped; a second one interrupts the orderly ending and hurries it."""
    raise Stopped(number)


def listen() -> None:
    """Let INT, TERM and HUP raise Stopped. A HUP that the caller ignores (nohup) stays ignored."""
    for number in STOP_SIGNALS:
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue
        signal.signal(number, raise_stopped)


class Supervisor:
    """The children of one run."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.children: list[Child] = []
        self.others = processes.started()  # somebody else's in this process, such as the servers of a test run

    def adopt(self, process: subprocess.Popen[bytes], spec: Spec) -> None:
        """Keep a process running that somebody else has started."""
        self._record(process, spec)
        self.children.append(Child(spec, process, time.monotonic()))

    def start(self, spec: Spec) -> None:
        """Start a process and keep it running from now on."""
        rotate(spec)
        self.adopt(processes.spawn(spec), spec)

    def _record(self, process: subprocess.Popen[bytes], spec: Spec) -> None:
        self.instance.record(spec.name, process.pid, int(spec.stop_signals[0][0]))

    def once(self, spec: Spec) -> int:
        """Run a process to its end and return its exit code."""
        rotate(spec)
        process = processes.spawn(spec)
        self._record(process, spec)
        try:
            return process.wait()
        finally:
            processes.end(process, spec)
            self.instance.forget(process.pid)

    def watch(self, on_round: Callable[[], None] = lambda: None) -> NoReturn:
        """Start again what dies, until a signal raises Stopped."""
        while True:
            for child in self.children:
                self._look(child)
            on_round()
            time.sleep(LOOK_EVERY)

    def _look(self, child: Child) -> None:
        now = time.monotonic()
        if child.due is not None:
            if now >= child.due:
                self._again(child)
        elif child.process.poll() is not None:
            self.instance.forget(child.process.pid)
            processes.end(child.process, child.spec)  # what it left of its group
            child.wait = FIRST_WAIT if now - child.begun > STEADY_AFTER else min(child.wait * 2, LONGEST_WAIT)
            child.due = now + child.wait
            complain(
                f"  {child.spec.name} ended by itself ({describe(child.process.returncode)}) and is started again "
                f"in {child.wait:.0f} s. Its log: {child.spec.log}"
            )

    def _again(self, child: Child) -> None:
        child.process = processes.spawn(child.spec)
        child.begun, child.due = time.monotonic(), None
        self._record(child.process, child.spec)

    def end_all(self) -> None:
        """End every process, the last started first, and whatever carries our mark. A second signal kills at once."""
        try:
            self._end_in_order()
        except Stopped:
            say("  Ending at once ...")
            for child in reversed(self.children):
                child.process.kill()
                child.process.wait()
                processes.kill_group(child.process.pid)
        processes.end_strays(self.others)
        self.instance.sweep()
        for child in self.children:
            self.instance.forget(child.process.pid)
        self.children = []

    def _end_in_order(self) -> None:
        """Ask all of our own code at once, which saves waiting; then end one by one, the services last."""
        for child in reversed(self.children):
            if child.process.poll() is None and child.spec.may_end_early:
                child.process.send_signal(child.spec.stop_signals[0][0])
                child.asked = True
        for child in reversed(self.children):
            processes.end(child.process, child.spec, asked=child.asked)


def rotate(spec: Spec) -> None:
    """Put a log that has grown long aside."""
    try:
        if spec.log.stat().st_size > LOG_LIMIT:
            spec.log.replace(spec.log.with_name(spec.log.name + ".1"))
    except OSError:
        pass


def describe(code: int) -> str:
    """Return an exit code in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
