"""Who holds a lane: host, boot, process and the start of that process, so that a reused pid is nobody we know.

Also the lane's lock: one lane a relay and host, held by flock, with a heartbeat by which a deaf holder is found.
"""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import signal
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings

DEAF_SECONDS: Final = 120.0  # a lane beats every half second; one silent for this long is stopped or stuck
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Owner:
    """A process on a boot of a host."""

    host: str
    boot: str
    pid: int
    started: str

    @classmethod
    def here(cls) -> Owner:
        """Return this process."""
        return cls(platform.node()[:120], _boot_id(), os.getpid(), _start_of(os.getpid()) or "0")

    def as_text(self) -> str:
        """Return the owner on one line."""
        return f"{self.host}|{self.boot}|{self.pid}|{self.started}"

    @classmethod
    def from_text(cls, text: str) -> Owner:
        """Read `as_text` back."""
        host, boot, pid, started = text.split("|")
        return cls(host, boot, int(pid), started)

    @property
    def is_same_boot(self) -> bool:
        """Tell whether this is our host since its last start, so that its journal can be believed."""
        return (self.host, self.boot) == (platform.node()[:120], _boot_id())

    @property
    def is_alive(self) -> bool:
        """Tell whether the very process still runs here."""
        return self.is_same_boot and _start_of(self.pid) == self.started


def end(owner: Owner) -> None:
    """End an old owner on this host for certain, before its work is taken; a reused pid is left alone."""
    if owner.pid == os.getpid():
        return
    for _ in range(100):
        if not owner.is_alive:
            return
        os.kill(owner.pid, signal.SIGKILL)
        time.sleep(0.05)
    raise RuntimeError(f"lane process {owner.pid} does not end")


@lru_cache(maxsize=1)
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _start_of(pid: int) -> str | None:
    """Return the start time of a process in clock ticks since boot (proc(5), field 22), None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]


class LaneLock:
    """One lane a relay and host."""

    def __init__(self, relay_key: str) -> None:
        self.path = Path(settings.JOURNAL_DIR) / f"{relay_key}.lock"
        self._file = -1

    def take(self, owner: Owner) -> bool:
        """Take the lock without waiting; a holder that has been deaf for DEAF_SECONDS is ended first."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        if not self._try() and not (self._end_deaf() and self._try()):
            os.close(self._file)
            self._file = -1
            return False
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, owner.as_text().encode(), 0)
        self.beat()
        return True

    def beat(self) -> None:
        """Show that the lane still moves."""
        os.utime(self._file)

    def release(self) -> None:
        """Give the lock back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _end_deaf(self) -> bool:
        text = os.pread(self._file, 400, 0).decode(errors="replace")
        silent = time.time() - os.fstat(self._file).st_mtime
        if silent < DEAF_SECONDS or text.count("|") != 3:
            return False
        log.error("lane %s has not moved for %d s: its process is ended", self.path.stem, silent)
        end(Owner.from_text(text))
        return True
