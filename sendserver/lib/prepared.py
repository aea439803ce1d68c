"""Statements that PostgreSQL plans once a connection, for what a process asks again and again in the same words.

Django binds values on the client's side, so each statement is new to the server and is planned anew; for a join of
eight tables that takes as long as running it. One plan serves all values, from the first time on: whoever asks this
way sees to it that the statement has one good plan. A pooler between here and the server must keep sessions apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakSet

import psycopg
from django.db import connection
from psycopg.rows import dict_row, tuple_row

_set_up: Final[WeakSet[psycopg.Connection[Any]]] = WeakSet()


def ask(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a prepared statement.

    Raises django.db.Error as a cursor of Django would. Values are bound by the server: where the words around a value
    do not tell its type, the statement has to.
    """
    return _ask(statement, values, tuple_row)


def ask_named(statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a prepared statement by the names of their columns; as `ask` otherwise."""
    return _ask(statement, values, dict_row)


def _ask(statement: str, values: Mapping[str, Any], row: Any) -> list[Any]:
    connection.ensure_connection()
    wire: psycopg.Connection[Any] = connection.connection
    with connection.wrap_database_errors, psycopg.Cursor(wire, row_factory=row) as cursor:
        if wire not in _set_up:
            wire.prepare_threshold = 5  # (without one psycopg prepares nothing, and Django sets none)
            cursor.execute("SET plan_cache_mode = force_generic_plan")
            _set_up.add(wire)
        return cursor.execute(statement, values, prepare=True).fetchall()
