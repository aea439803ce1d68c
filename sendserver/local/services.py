"""The two services of one machine, as one thing to start and stop. Used by the launcher and by the test plugin."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from sendserver.local import postgres, valkey
from sendserver.local.processes import Spec, end

MAX_CONNECTIONS = 120


@dataclass
class Services:
    """Running services and how to reach them; a URL that the operator gave has no process behind it here."""

    database_url: str = field(default="", repr=False)
    database_owner_url: str = field(default="", repr=False)
    superuser_url: str = field(default="", repr=False)
    redis_url: str = field(default="", repr=False)
    processes: list[tuple[subprocess.Popen[bytes], Spec]] = field(default_factory=list)
    throw_away: list[Path] = field(default_factory=list)  # folders of tests' data that lie outside of theirs

    def stop(self) -> None:
        """Stop what was started, the last first. Idempotent."""
        while self.processes:
            process, spec = self.processes.pop()
            end(process, spec)
        while self.throw_away:
            shutil.rmtree(self.throw_away.pop(), ignore_errors=True)


def start_services(var: Path, *, durable: bool, max_connections: int = MAX_CONNECTIONS) -> Services:
    """Start PostgreSQL and Valkey with their data below `var` and return their URLs.

    `durable=False` is for tests: nothing is synced to disk, and the owner's role may make databases. The processes
    die with the calling one (with the calling thread, on Linux: call it from the main thread). Raises LauncherError.
    """
    services = Services()
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        start_postgres(services, var, durable=durable, max_connections=max_connections)
        start_valkey(services, var, durable=durable)
    except BaseException:
        services.stop()
        raise
    return services


def start_postgres(services: Services, var: Path, *, durable: bool, max_connections: int = MAX_CONNECTIONS) -> None:
    """Make, start and provision PostgreSQL, and note its URLs in `services`."""
    server = postgres.find(var)
    home = server.data.parents[1]
    if not durable and home != var:
        services.throw_away.append(home)
    postgres.make(server, durable=durable)
    postgres.end_leftover(server)
    process, spec, port = postgres.start(server, durable=durable, max_connections=max_connections)
    services.processes.append((process, spec))
    postgres.provision(server, port, for_tests=not durable)
    services.database_url = server.url(port, postgres.APP)
    services.database_owner_url = server.url(port, postgres.OWNER)
    services.superuser_url = server.url(port, postgres.SUPERUSER, "postgres")


def start_valkey(services: Services, var: Path, *, durable: bool) -> None:
    """Start Valkey and note its URL in `services`."""
    process, spec, services.redis_url = valkey.start(var, durable=durable)
    services.processes.append((process, spec))
