"""PostgreSQL and Valkey of this run alone, which the faults may kill and start again on the same ports.

`start` must run before Django reads its settings: it fills the environment. Commits are synchronous, so that a killed
server has what it confirmed; only the disk below it is not waited for.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from sendserver.local import postgres, valkey
from sendserver.local.processes import end, spawn
from sendserver.local.services import Services, start_services

_KEYS = ("TOKEN_KEYS", "SUPPRESSION_KEYS", "FIELD_KEYS", "LEDGER_KEYS")


class Machine:
    """The two servers, by name `postgres` and `valkey`."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.services, self.folder = services, folder

    def kill(self, name: str) -> None:
        """End a server at once, as a power cut of its machine would (its disk stays)."""
        process, spec = self._of(name)
        if name == "postgres":
            process.send_signal(signal.SIGQUIT)  # immediate: every backend dies, recovery at the next start
            process.wait(30)
        else:
            process.kill()
            process.wait(30)
        end(process, spec)

    def stop(self, name: str) -> None:
        """End a server in order."""
        end(*self._of(name))

    def copy_standby(self) -> None:
        """Copy PostgreSQL's data while it is down: a standby that hears of nothing committed later."""
        self.stop("postgres")
        shutil.rmtree(self._standby, ignore_errors=True)
        subprocess.run(["cp", "-a", self._data, self._standby], check=True)
        self.start("postgres")

    def fail_over(self) -> None:
        """Kill PostgreSQL and promote the standby in its place, on a timeline of its own."""
        self.kill("postgres")
        shutil.rmtree(self._data)
        self._standby.rename(self._data)
        (self._data / "standby.signal").touch()
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        self.start("postgres")
        with psycopg.connect(self.services.superuser_url, autocommit=True) as server:
            server.execute("SELECT pg_promote(true, 60)")

    @property
    def _data(self) -> Path:
        return Path(self._of("postgres")[1].cwd)

    @property
    def _standby(self) -> Path:
        return self._data.with_name("standby")

    def start(self, name: str) -> None:
        """Start it again on its port and data, and wait until it answers."""
        index, (_, spec) = self._place(name)
        for _ in range(3):
            process = spawn(spec)
            self.services.processes[index] = (process, spec)
            if self._answers(name, process):
                return
            end(process, spec)
        raise RuntimeError(f"{name} does not come back; see {spec.log}")

    def _answers(self, name: str, process: Any) -> bool:
        if name == "postgres":
            return postgres.wait_until_answering(process, self.services.superuser_url)
        url = urlsplit(self.services.redis_url)
        return valkey.wait_until_answering(process, url.port, url.password)

    def _of(self, name: str) -> tuple[Any, Any]:
        return self._place(name)[1]

    def _place(self, name: str) -> tuple[Any, Any]:
        for index, pair in enumerate(self.services.processes):
            if pair[1].name == name:
                return index, pair
        raise KeyError(name)


@contextmanager
def machine() -> Iterator[Machine]:
    """Give running servers and an environment that names them; both are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sendserver-torture-"))
    services = start_services(folder, durable=False)
    try:
        with psycopg.connect(services.superuser_url, autocommit=True) as connection:
            for role in (postgres.APP, postgres.OWNER):
                connection.execute(f"ALTER ROLE {role} SET synchronous_commit = on")
        _environment(services, folder)
        yield Machine(services, folder)
    finally:
        services.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _environment(services: Services, folder: Path) -> None:
    (folder / "static").mkdir()
    os.environ["SECRET_KEY"] = secrets.token_hex(32)
    for name in _KEYS:
        os.environ[name] = f"k1:{secrets.token_hex(32)}"
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "sendserver.settings",
        "VAR_DIR": str(folder),
        "LOCAL_WORLD": "off",
        "BASE_URL": "http://localhost:8000",
        "LOG_LEVEL": "INFO",
        "DEBUG": "off",
        "DATABASE_URL": services.database_url,
        "DATABASE_OWNER_URL": services.database_owner_url,
        "REDIS_URL": services.redis_url,
    }
