"""What only a lane sees and a person must know: no room for its journal, its log, or the database's rows.

Changes nothing about the slice: whatever ended it goes on up. Alarms are loaded when there is one to raise.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import psycopg
from django.db import DatabaseError

from sendserver.lib import disk, logs

Given = ParamSpec("Given")
Value = TypeVar("Value")
# PostgreSQL's appendix A: class 53, insufficient resources (disk full); 25006, a server that takes no writes.
NO_ROOM: Final = ("53", "25006")


def reported(run: Callable[Given, Value]) -> Callable[Given, Value]:
    """Let a slice, whose first argument is its relay, report what it cannot write; the error itself goes on."""

    @wraps(run)
    def watched(*given: Given.args, **options: Given.kwargs) -> Value:
        lost, relay_key = logs.lost_lines(), str(given[0])
        try:
            return run(*given, **options)
        except (OSError, DatabaseError, psycopg.Error) as error:  # Django does not wrap what COPY raises
            key, text = _words(relay_key, error)
            if key:
                _report(key, text)
            raise
        finally:
            if logs.lost_lines() > lost:
                _report(f"log:{_place(relay_key)}", f"The log of {_place(relay_key)} cannot be written. Mail goes on.")

    return watched


def _words(relay_key: str, error: OSError | DatabaseError | psycopg.Error) -> tuple[str, str]:
    """Return key and text of the alarm that an error is; empty for one that is none."""
    if isinstance(error, OSError):
        if not disk.takes_nothing(error):
            return "", ""
        text = f"The journal of {_place(relay_key)} cannot be written ({error.strerror}). This lane sends nothing."
        return f"journal:{_place(relay_key)}", text
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    state: Any = getattr(cause, "sqlstate", "") or ""
    if not state.startswith(NO_ROOM):
        return "", ""
    return "database:full", f"The database takes no rows ({state}): {str(error)[:200]}. Nothing is sent."


def _place(relay_key: str) -> str:
    return f"{relay_key}@{platform.node()}"[:50]


def _report(key: str, text: str) -> None:
    from campaigns import alarms  # a lane in order does without it

    alarms.report(key, text)
