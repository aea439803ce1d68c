"""Early pytest plugin: real PostgreSQL and Valkey for the tests, before Django reads its settings.

Servers named by the caller's DATABASE_SUPERUSER_URL and REDIS_URL are used; else throw-away ones are started and
end with the run. Workers of a parallel run inherit the first process's servers through the environment.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
from pathlib import Path

import pytest

_KEYS = ("TOKEN_KEYS", "SUPPRESSION_KEYS", "FIELD_KEYS", "LEDGER_KEYS")


def _prepare() -> None:
    var = Path(tempfile.mkdtemp(prefix="sendserver-test-"))
    (var / "static").mkdir()  # WhiteNoise warns about a missing folder, and warnings are errors here
    os.environ.setdefault("SECRET_KEY", secrets.token_hex(32))
    for name in _KEYS:
        os.environ.setdefault(name, f"k1:{secrets.token_hex(32)}")
    os.environ["VAR_DIR"] = str(var)
    os.environ["LOCAL_WORLD"] = "off"
    os.environ["LIST_LOOKUPS"] = "off"  # made-up domains are no business of a real resolver
    os.environ["BASE_URL"] = "http://localhost:8000"
    os.environ["LOG_LEVEL"] = "WARNING"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        owner = os.getpid()
        atexit.register(lambda: os.getpid() == owner and shutil.rmtree(var, ignore_errors=True))
    if "DATABASE_SUPERUSER_URL" not in os.environ:
        _start_services(var)


def _start_services(var: Path) -> None:
    from sendserver.local.services import start_services

    services = start_services(var, durable=False)
    atexit.register(services.stop)
    os.environ["DATABASE_URL"] = services.database_url
    os.environ["DATABASE_OWNER_URL"] = services.database_owner_url
    os.environ["DATABASE_SUPERUSER_URL"] = services.superuser_url
    os.environ["REDIS_URL"] = services.redis_url


_prepare()


def pytest_configure(config: pytest.Config) -> None:
    """Load our fixtures after pytest-django's, so that ours win."""
    config.pluginmanager.import_plugin("sendserver.testing.plugin")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a browser when BROWSER=no says so; counted as deselected, never as passed."""
    if os.environ.get("BROWSER") == "no":
        left_out = [item for item in items if item.get_closest_marker("browser")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("browser")]
