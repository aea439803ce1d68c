"""Test databases: one template a state of the migrations, copied for each process, never flushed.

A test that commits leaves its copy dirty, so the copy is thrown away and made again from the template: the
application's role, which tests run as, may not TRUNCATE (architecture rule 8).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent.parent
_LOCK = 7_316_201


@cache
def template_name() -> str:
    """Return the template's name: it changes with every migration, not while a run goes on."""
    digest = hashlib.sha256()
    files = [*ROOT.glob("*/migrations/*.py"), ROOT / "sendserver/lib/appendonly.py"]
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return f"template_{digest.hexdigest()[:16]}"


_copies: list[int] = []  # one entry a copy made
_old: list[str] = []  # copies to drop


def copy_name() -> str:
    """Return this process's own database."""
    return f"test_{os.getpid()}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{len(_copies)}"


def use(name: str) -> None:
    """Point both aliases at database `name`."""
    for alias in connections:
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = name
        settings.DATABASES[alias]["NAME"] = name


def keep_up() -> None:
    """Point connections that were made for an earlier copy at the present one.

    While a browser driver's event loop runs in this thread, Django keeps another set of connections for it than
    without (asgiref's Local), so a copy made under the one is news to the other.
    """
    for alias in connections:
        if not connections[alias].in_atomic_block:
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = settings.DATABASES[alias]["NAME"]


def owner_connection() -> psycopg.Connection[Any]:
    """Return an autocommit connection of the owner's role to the maintenance database."""
    return _connect("postgres")


def owner_of(database: str) -> psycopg.Connection[Any]:
    """Return an autocommit connection of the owner's role to a database."""
    return _connect(database)


def _connect(database: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        **{**connections["owner"].get_connection_params(), "dbname": database, "cursor_factory": psycopg.Cursor},
        autocommit=True,
    )


def ensure_template() -> str:
    """Make the template if this state of the migrations has none yet, under a lock; return its name."""
    name = template_name()
    with owner_connection() as server:
        server.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            _build(server, name)
    return name


def _build(server: psycopg.Connection[Any], name: str) -> None:
    draft = f"{name}_draft"
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(draft)))
    server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(draft)))
    app = settings.DATABASES["default"]["USER"]
    with _connect(draft) as fresh:
        for kind, rights in (("TABLES", "SELECT, INSERT, UPDATE, DELETE"), ("SEQUENCES", "USAGE, SELECT")):
            fresh.execute(
                sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {} ON {} TO {}").format(
                    sql.SQL(rights), sql.SQL(kind), sql.Identifier(app)
                )
            )
    use(draft)
    call_command("migrate", database="owner", verbosity=0, interactive=False)
    use("postgres")
    server.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(draft), sql.Identifier(name)))


def make_copy() -> None:
    """Make a new database for this process from the template and use it.

    Copies used before are dropped once nobody is connected to them: a thread of the live server or a process that a
    test started may still be, and ending its session in the middle of the run has met the next test's own.
    """
    _old.append(copy_name())
    _copies.append(len(_copies))
    name = copy_name()
    for alias in connections:
        connections[alias].close()
    with owner_connection() as server:
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(template_name())
            )
        )
        _drop_deserted(server)
    use(name)


def _drop_deserted(server: psycopg.Connection[Any]) -> None:
    rows = server.execute("SELECT DISTINCT datname FROM pg_stat_activity WHERE datname = ANY(%s)", [_old]).fetchall()
    busy = {row[0] for row in rows}
    for name in [name for name in _old if name not in busy]:
        with contextlib.suppress(psycopg.errors.ObjectInUse):  # somebody came back: next time
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
            _old.remove(name)


def _drop(name: str) -> None:
    _end_own_sessions(name)
    with owner_connection() as server:
        # Not WITH (FORCE): that needs the right to end autovacuum's worker, which a plain DROP ends by itself.
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def _end_own_sessions(name: str) -> None:
    """End what the live server's threads still hold open: the owner may not end another role's sessions."""
    params = {**connections["default"].get_connection_params(), "dbname": "postgres", "cursor_factory": psycopg.Cursor}
    with psycopg.connect(**params, autocommit=True) as session:
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user",
            [name],
        )


def drop_copy() -> None:
    """Drop this process's databases."""
    use("postgres")
    for name in [*_old, copy_name()]:
        _drop(name)
