"""What the figures were taken on, without names or places: processor, cores, versions, load."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import redis
from django.conf import settings
from django.db import connection

from campaigns.bench.tools import Tools


def portal() -> list[str]:
    """Return one line a fact, of what a run without mail needs."""
    return [
        f"{cores()} cores, {_processor()}, Linux {platform.release().partition('-')[0]}",
        f"PostgreSQL {_postgres()}, Python {platform.python_version()}, psycopg {version('psycopg')}; "
        "everything on one machine",
        f"load average {load()} (1, 5 and 15 minutes)",
    ]


def _postgres() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str(cursor.fetchone()[0])


def describe(tools: Tools) -> list[str]:
    """Return one line a fact."""
    broker = redis.Redis.from_url(settings.REDIS_URL).info("server")
    packages = ", ".join(f"{name} {version(name)}" for name in ("celery", "uvloop", "psycopg", "cryptography"))
    return [
        f"{cores()} cores, {_processor()}, Linux {platform.release().partition('-')[0]}",
        f"PostgreSQL {_postgres()}, Valkey {broker.get('valkey_version', broker['redis_version'])}, "
        f"Postfix {tools.version} (smtp-sink, smtp-source), Python {platform.python_version()}",
        f"{packages}; everything on loopback, two sinks sharing the cores with the rest",
        f"load average {load()} (1, 5 and 15 minutes)",
    ]


def cores() -> int:
    """Return how many cores we may use."""
    return len(os.sched_getaffinity(0))


def load() -> str:
    """Return the load averages."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
