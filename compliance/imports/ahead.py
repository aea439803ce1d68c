"""One step ahead: a thread reads and judges the next rows while the database takes the last ones."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")
DEPTH: Final = 1  # finished pieces that may wait; each holds some megabytes


class _End:
    """The last thing in the queue: nothing more, or what went wrong."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


@contextmanager
def reading_ahead(make: Callable[[], Iterator[T]]) -> Iterator[Iterator[T]]:
    """Give what `make()` yields, made in a thread of its own; its errors come out here.

    Nothing made there may ask the database: connections belong to a thread. The thread ends with the block.
    """
    made: queue.Queue[T | _End] = queue.Queue(DEPTH)
    stopped = threading.Event()

    def put(thing: T | _End) -> bool:
        while not stopped.is_set():
            try:
                made.put(thing, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for thing in make():
                if not put(thing):
                    return
        except BaseException as error:  # noqa: BLE001 (goes on to the other thread)
            put(_End(error))
        else:
            put(_End())

    thread = threading.Thread(target=work, name="reading-ahead", daemon=True)
    thread.start()
    try:
        yield _taken(made)
    finally:
        stopped.set()
        thread.join()


def _taken(made: queue.Queue[T | _End]) -> Iterator[T]:
    while True:
        thing = made.get()
        if not isinstance(thing, _End):
            yield thing
            continue
        if thing.error is not None:
            raise thing.error
        return
