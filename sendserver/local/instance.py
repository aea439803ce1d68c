"""One running installation per VAR_DIR: the lock, the ledger of its processes, and ending what a crash left."""

import fcntl
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sendserver.local import processes
from sendserver.local.console import say
from sendserver.local.errors import LauncherError

MARK = "SENDSERVER_INSTANCE"  # in every child's environment: whose it is, also after its parents are gone
PATIENCE = 20.0  # seconds given to what an earlier run left


@dataclass(frozen=True)
class Entry:
    """One line of the ledger; `started` tells the process from a later one with the same number."""

    name: str
    pid: int
    started: str
    stop_signal: int


class Instance:
    """The right to run on one VAR_DIR, held until the process ends (the kernel takes the lock back)."""

    def __init__(self, var: Path) -> None:
        self.lock = var / "run" / "lock"
        self.ledger = var / "run" / "processes.json"
        self.mark = str(var)
        self.entries: list[Entry] = []
        self.handle = -1

    def hold(self, base_url: str) -> None:
        """Take the lock and write into it who holds it. Raises LauncherError that says where the other is."""
        try:
            self.handle = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
            self._lock()
        except PermissionError as error:
            raise LauncherError(f"{self.lock} belongs to another user. Start as that user, or set VAR_DIR.") from error
        os.truncate(self.handle, 0)
        note = {"pid": os.getpid(), "started": processes.start_time(os.getpid()), "url": base_url}
        os.pwrite(self.handle, json.dumps(note).encode(), 0)

    def _lock(self) -> None:
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LauncherError(_who_holds(self._note(), self.lock)) from None
        except OSError:  # a file system without locks: go by the process that the note names
            note = self._note()
            if processes.is_same(int(note.get("pid", 0)), note.get("started", "")):
                raise LauncherError(_who_holds(note, self.lock)) from None

    def _note(self) -> dict[str, str]:
        try:
            note = json.loads(os.pread(self.handle, 4096, 0) or b"{}")
        except ValueError:
            return {}
        return note if isinstance(note, dict) else {}

    def release(self) -> None:
        """Give the lock back and empty the note, so that nobody reads of a run that has ended."""
        if self.handle >= 0:
            os.truncate(self.handle, 0)
            os.close(self.handle)
            self.handle = -1

    def record(self, name: str, pid: int, stop_signal: int) -> None:
        """Write a started process into the ledger, before anything else happens to it."""
        self.entries.append(Entry(name, pid, processes.start_time(pid), stop_signal))
        self._write()

    def forget(self, pid: int) -> None:
        """Strike an ended process from the ledger."""
        self.entries = [entry for entry in self.entries if entry.pid != pid]
        self._write()

    def _write(self) -> None:
        draft = self.ledger.with_suffix(".new")
        draft.write_text(json.dumps([vars(entry) for entry in self.entries]), encoding="utf-8")
        draft.replace(self.ledger)

    def end_leftovers(self) -> None:
        """End what an earlier run of this VAR_DIR left behind, the last started first. Call while holding the lock."""
        left = [entry for entry in self._read() if processes.is_same(entry.pid, entry.started)]
        if left:
            say(f"  The last run ended without cleaning up; ending {', '.join(entry.name for entry in left)} ...")
        for entry in reversed(left):
            _end(entry)
        self.sweep()
        self.entries = []
        self._write()

    def _read(self) -> list[Entry]:
        try:
            return [Entry(**line) for line in json.loads(self.ledger.read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError):
            return []

    def sweep(self) -> None:
        """Kill every process that carries our mark: children of children, whoever became their parent. Linux only."""
        for pid in marked(self.mark):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        deadline = time.monotonic() + PATIENCE
        while marked(self.mark) and time.monotonic() < deadline:
            time.sleep(0.02)


def marked(mark: str) -> list[int]:
    """Return the processes whose environment carries our mark, without this one. A zombie has no environment."""
    if sys.platform != "linux":
        return []
    wanted, found = f"{MARK}={mark}".encode(errors="surrogateescape"), []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                environ = (folder / "environ").read_bytes()
            except OSError:
                continue
            if wanted in environ.split(b"\0"):
                found.append(int(folder.name))
    return found


def _end(entry: Entry) -> None:
    try:
        os.kill(entry.pid, entry.stop_signal)
    except OSError:
        return
    if not processes.wait_until_gone(entry.pid, entry.started, PATIENCE):
        try:
            os.kill(entry.pid, signal.SIGKILL)
        except OSError:
            return
        processes.wait_until_gone(entry.pid, entry.started, PATIENCE)


def _who_holds(note: dict[str, str], lock: Path) -> str:
    if not note.get("pid"):
        return f"Another start is under way in this folder (lock: {lock}). Wait for it, or end it."
    return (
        f"Sendserver already runs at {note.get('url')} (process {note['pid']}). "
        f"End it there with Ctrl-C or with: kill {note['pid']}. For a second one set VAR_DIR and PORT."
    )
