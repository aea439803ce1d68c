"""Threads in which a lane asks the database, so that its event loop never waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from django.db import connections

COUNT: Final = 2
Value = TypeVar("Value")


class DatabaseThreads:
    """A few threads, each with a database connection of its own."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(COUNT, thread_name_prefix=f"{name} db")

    async def run(self, function: Callable[..., Value], *arguments: Any, **options: Any) -> Value:
        """Run a database function in one of the threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*arguments, **options))

    async def close(self) -> None:
        """Close the connection of every thread and end them."""
        together = threading.Barrier(COUNT)

        def close() -> None:
            together.wait(30)
            connections.close_all()

        await asyncio.gather(*(self.run(close) for _ in range(COUNT)))
        self._threads.shutdown()
