"""One step ahead: a thread reads and judges the next rows while the database takes the last ones."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")
DEPTH: Final = 1  # pieces made or being made while one is with the database; each holds some megabytes


class _End:
    """The last thing in the queue: nothing more, or what went wrong."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


@contextmanager
def reading_ahead(make: Callable[[], Iterator[T]]) -> Iterator[Iterator[T]]:
    """Give what `make()` yields, made in a thread of its own; its errors come out here.

    Nothing made there may ask the database: connections belong to a thread. The thread ends with the block.
    """
    made: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
    room, stopped = threading.Semaphore(DEPTH), threading.Event()

    def work() -> None:
        try:
            things = make()
            while not stopped.is_set():
                if not room.acquire(timeout=0.1):
                    continue
                try:
                    made.put(next(things))
                except StopIteration:
                    made.put(_End())
                    return
        except BaseException as error:  # noqa: BLE001 (goes on to the other thread)
            made.put(_End(error))

    thread = threading.Thread(target=work, name="reading-ahead", daemon=True)
    thread.start()
    try:
        yield _taken(made, room)
    finally:
        stopped.set()
        thread.join()


def _taken(made: queue.SimpleQueue[T | _End], room: threading.Semaphore) -> Iterator[T]:
    while True:
        thing = made.get()
        room.release()
        if not isinstance(thing, _End):
            yield thing
            continue
        if thing.error is not None:
            raise thing.error
        return
