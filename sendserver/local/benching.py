"""`bench` and `proof`: a database and a broker of their own, thrown away afterwards. Measures nothing itself."""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql

from sendserver.local import keys, places, postgres
from sendserver.local.config import Config
from sendserver.local.console import step
from sendserver.local.errors import LauncherError
from sendserver.local.services import Services, start_services
from sendserver.local.world import INTERPRETER, OPERATOR

Call = Callable[[list[str], Config, dict[str, str] | None], int]


def run(settings: Config, arguments: list[str], call: Call, *, module: str = "campaigns.bench") -> int:
    """Run `module` with `arguments` and return its exit code."""
    home = settings.var / "bench"
    home.mkdir(mode=0o711, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LauncherError("Another bench or proof is running here; both would be wrong.") from None
        return _measure(settings, home / "data", [module, *arguments], call)


def _measure(settings: Config, data: Path, program: list[str], call: Call) -> int:
    _throw_away(data)  # what a killed run left
    with step("Starting PostgreSQL and Valkey"):
        services = start_services(data, durable=True)
        _let_owner_checkpoint(services)
    try:
        environ = environment(settings, data, services)
        with step("Migrating the database"):
            migrate = [str(settings.python), "manage.py", "migrate", "--database", "owner", "--noinput", "-v", "0"]
            code = call(migrate, settings, environ)
        if code != 0:
            raise LauncherError("The database could not be migrated.")
        environ["BENCH_TOOLS"] = str(settings.var / "bench-tools")
        return call([sys.executable, "-m", *program], settings, environ)
    finally:
        services.stop()
        _throw_away(data)


def _let_owner_checkpoint(services: Services) -> None:
    """What one round left in memory shall not be written to disk while the next is timed."""
    with psycopg.connect(services.superuser_url, autocommit=True) as connection:
        connection.execute(sql.SQL("GRANT pg_checkpoint TO {}").format(sql.Identifier(postgres.OWNER)))


def _throw_away(data: Path) -> None:
    if data.exists():
        home = places.remembered_home(data)
        if home != data:  # as root: where PostgreSQL's user could reach it
            shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(data, ignore_errors=True)


def environment(settings: Config, data: Path, services: Services) -> dict[str, str]:
    """Return what every process of the benchmark gets; relays are named by the benchmark itself."""
    made = {
        **keys.application_keys(data / "secrets"),
        **OPERATOR,
        "VAR_DIR": str(data),
        "BASE_URL": "http://localhost:8000",
        "DATABASE_URL": services.database_url,
        "DATABASE_OWNER_URL": services.database_owner_url,
        "REDIS_URL": services.redis_url,
        "LOCAL_WORLD": "off",
        "DEBUG": "off",
        **INTERPRETER,
    }
    return {"PATH": settings.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **made}
