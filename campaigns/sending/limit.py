"""A limit on the time of writing messages: a pathological one fails, alone when it is tried alone, and the lane lives.

A timer looks four times a second, so a message costs two assignments. It counts the thread's processor time: a host
that was stopped or is overloaded blames nobody's message. Python hands signals to the main thread only, which is where
a worker runs its lane; in another thread nothing is limited. One long call into C is ended when it returns.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Final

from campaigns.errors import RenderError
from campaigns.sending import mime

TICK_SECONDS: Final = 0.25


class WritingLimit:
    """Use as a context around a slice; `write` raises RenderError when it takes longer than `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_on = False
        self._is_writing = False
        self._number = self._seen = 0  # which message: the one in work, and the one in work at the last look
        self._since = 0.0

    def __enter__(self) -> WritingLimit:
        """Start looking, in the main thread."""
        self.is_on = threading.current_thread() is threading.main_thread()
        if self.is_on:
            self._before = signal.signal(signal.SIGALRM, self._look)
            signal.setitimer(signal.ITIMER_REAL, TICK_SECONDS, TICK_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        if self.is_on:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)

    def write(self, letter: mime.Letter, recipients: Sequence[mime.Addressed]) -> list[mime.Written]:
        """Return the message of each; raises RenderError naming the field, or "message" when they are slow together."""
        self._number += 1
        self._is_writing = True
        try:
            return mime.write_all(letter, recipients)
        finally:
            self._is_writing = False

    def settled(self) -> None:
        """Note that an exception has left `write`: it may have struck in the very line that says so."""
        self._is_writing = False

    def _look(self, _number: int, _frame: FrameType | None) -> None:
        if not self._is_writing:
            return
        used = time.thread_time()
        if self._seen != self._number:
            self._seen, self._since = self._number, used
        elif used - self._since >= self.seconds:
            self._since = used  # should something swallow this, it is said again after as long
            raise RenderError("message", f"writing it took more than {self.seconds:g} s")
