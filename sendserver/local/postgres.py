"""Embedded PostgreSQL: make its data, start it on a loopback port, provision the two roles.

Does not migrate and holds no tables. The SQL that a real server needs is the same and is printed in docs/operations.md.
"""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from sendserver.local import keys, places, ports
from sendserver.local.errors import LauncherError, ServiceError
from sendserver.local.processes import (
    Spec,
    User,
    die_with_parent,
    end,
    kill_group,
    spawn,
    start_time,
    tail,
    undisturbed,
    wait_until_gone,
)

SUPERUSER, OWNER, APP, DATABASE = "sendserver_super", "sendserver_owner", "sendserver_app", "sendserver"
EXTENSIONS = ("citext", "pg_trgm")
START_PATIENCE = 60.0  # seconds; crash recovery of a killed server is part of it
PORT_TRIES = 5
BUILTIN_LOCALE_SINCE = 17  # major version that knows the builtin provider
CLONE_NEWUSER = 0x10000000  # unshare(2)

# A real server is tuned by its operator. How much memory and disk: `size_settings`.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # no socket: their paths end at 107 bytes, a checkout's may not
    "dynamic_shared_memory_type": "mmap",  # /dev/shm is tiny or missing in many containers
    "huge_pages": "off",
    "min_wal_size": "32MB",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
MIB = 1024 * 1024
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # versions 2 and 1
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum_naptime": "10s"}


@dataclass(frozen=True)
class Postgres:
    """One server that may be started: its programs, its data and whom it runs as."""

    programs: Path
    data: Path
    user: User | None
    major: int
    secrets: Path
    log: Path

    def url(self, port: int, role: str, database: str = DATABASE) -> str:
        """Return the URL of `database` for `role`, with the role's password."""
        return f"postgresql://{role}:{self.password(role)}@127.0.0.1:{port}/{database}"

    def password(self, role: str) -> str:
        """Return the password of `role`, made on first use."""
        return keys.secret(self.secrets, f"postgres_{role}")


def find(var: Path) -> Postgres:
    """Return the server of `var`, not yet made or started. Raises LauncherError when none can run here."""
    user = places.lowered_user(places.remembered_home(var) / "postgres" / "data")
    home = places.data_home(var, user)
    programs = places.usable_programs(var, user)
    version = places.runs([str(programs / "postgres"), "--version"], user)
    found = re.search(r"(\d+)", version.partition(")")[2])
    major = int(found.group(1)) if found else 0
    return Postgres(
        programs, home / "postgres" / "data", user, major, var / "secrets", home / "postgres" / "server.log"
    )


def make(server: Postgres, *, durable: bool) -> None:
    """Run initdb unless the data is there; refuse data of another major version or another user."""
    written = server.data / "PG_VERSION"
    try:
        if written.exists():
            _refuse_foreign(server, written.read_text(encoding="ascii").strip())
            return
    except PermissionError as error:
        raise LauncherError(_not_ours(server)) from error
    for unfinished in (_draft(server), server.data):  # a first start that was cut off
        shutil.rmtree(unfinished, ignore_errors=True)
    folder = server.data.parent
    folder.mkdir(mode=0o700, exist_ok=True)
    if server.user:
        os.chown(folder, server.user.uid, server.user.gid)
    _initdb(server, folder, durable=durable)


def _refuse_foreign(server: Postgres, written: str) -> None:
    if written != str(server.major):
        raise LauncherError(
            f"The data in {server.data} was written by PostgreSQL {written}; this is PostgreSQL {server.major}, which "
            f"cannot open it. Run the old version, or carry the data over with pg_dump, or start anew: make reset"
        )
    if not server.user and server.data.stat().st_uid != os.geteuid():
        raise LauncherError(_not_ours(server))


def _not_ours(server: Postgres) -> str:
    return f"The data in {server.data} belongs to another user. Start as that user, or set VAR_DIR to another folder."


def _initdb(server: Postgres, folder: Path, *, durable: bool) -> None:
    password_file = folder / "password"
    password_file.unlink(missing_ok=True)
    handle = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(server.password(SUPERUSER))
    if server.user:
        os.chown(password_file, server.user.uid, server.user.gid)
    try:
        answer = _run_initdb(server, [*_initdb_arguments(server, durable=durable), f"--pwfile={password_file}"])
    finally:
        password_file.unlink(missing_ok=True)
    if answer.returncode != 0:
        shutil.rmtree(_draft(server), ignore_errors=True)
        raise ServiceError(f"PostgreSQL could not make its data in {server.data}:\n{answer.stdout.strip()[-1500:]}")
    _draft(server).rename(server.data)
    _sync(folder)


def _draft(server: Postgres) -> Path:
    """Return where initdb works: it writes PG_VERSION early, so what it has not ended must not look like data."""
    return server.data.with_name("data.draft")


def _sync(folder: Path) -> None:
    """Make the new name last through a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _initdb_arguments(server: Postgres, *, durable: bool) -> list[str]:
    arguments = [str(server.programs / "initdb"), "-D", str(_draft(server)), "-U", SUPERUSER]
    arguments += ["--encoding=UTF8", "--auth=scram-sha-256"]
    if server.major >= BUILTIN_LOCALE_SINCE:
        arguments += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
        arguments += ["-c", "dynamic_shared_memory_type=mmap"]
    else:
        arguments += ["--locale=C.UTF-8"]
    return arguments if durable else [*arguments, "--no-sync"]


def _run_initdb(server: Postgres, argv: list[str]) -> subprocess.CompletedProcess[str]:
    with undisturbed():
        process = subprocess.Popen(
            argv,
            user=server.user.uid if server.user else None,
            group=server.user.gid if server.user else None,
            extra_groups=[] if server.user else None,
            preexec_fn=_initdb_child(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            cwd=server.data.parent,
            env=_environment(),
        )
    try:
        output, _ = process.communicate()
    except BaseException:
        kill_group(process.pid)
        process.wait()
        raise
    return subprocess.CompletedProcess(argv, process.returncode, output)


def _initdb_child() -> Callable[[], None]:
    name, die = _named_user(), die_with_parent(signal.SIGKILL)

    def in_child() -> None:
        if name is not None:
            name()
        die()

    return in_child


def _named_user() -> Callable[[], None] | None:
    """Return what gives a nameless user (a container's arbitrary uid) a name for initdb, which insists on one.

    Linux only: a user namespace that shows us as `nobody`; files still get our real id. The server does not need it.
    """
    uid = os.geteuid()
    if uid == 0 or places.has_name(uid) or not Path("/proc/self/uid_map").exists():
        return None
    libc = ctypes.CDLL(None)

    def in_child() -> None:
        if libc.unshare(CLONE_NEWUSER) == 0:
            Path("/proc/self/uid_map").write_text(f"{places.NOBODY} {uid} 1", encoding="ascii")

    return in_child


def _environment() -> dict[str, str]:
    """PostgreSQL sees nothing of the caller: PGDATA, PGPORT, locale and language would change what it does."""
    return {"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"}


def memory() -> int:
    """Return how many octets of memory this machine has, or this container may use."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # (ValueError: "max")
            found = min(found, int(Path(name).read_text()))
    return found


def size_settings(memory_octets: int, free_octets: int) -> dict[str, str]:
    """Return how much a server keeps in memory, and how much it writes before a checkpoint, on such a machine.

    A sixteenth of the memory for its own pages, so that the portal, its workers and the system have room, 128 MiB to
    1 GiB; with too little the pages of a running campaign or of a large upload are read again and again. An eighth of
    the free disk for what a crash is made good from, 256 MiB to twice the pages.
    """
    buffers = min(max(memory_octets // 16 // MIB, 128), 1024)
    return {
        "shared_buffers": f"{buffers}MB",
        "effective_cache_size": f"{max(memory_octets // 4 // MIB, 256)}MB",
        "max_wal_size": f"{min(max(free_octets // 8 // MIB, 256), 2 * buffers)}MB",
    }


def specification(server: Postgres, port: int, *, durable: bool, max_connections: int) -> Spec:
    """Return how to start the server on `port`."""
    settings = {**SETTINGS, "port": str(port), "max_connections": str(max_connections)}
    if durable:
        settings |= size_settings(memory(), shutil.disk_usage(server.data).free)
    else:
        settings |= size_settings(0, 0) | FORGETFUL
    argv = [str(server.programs / "postgres"), "-D", str(server.data)]
    for name, value in settings.items():
        argv += ["-c", f"{name}={value}"]
    return Spec(
        name="postgres",
        argv=argv,
        env=_environment(),
        cwd=server.data,
        log=server.log,
        user=server.user,
        # fast shutdown, then immediate, which is a crash with recovery at the next start
        stop_signals=((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0)),
        death_signal=signal.SIGINT,
        may_end_early=False,
    )


def end_leftover(server: Postgres) -> None:
    """End a server that an earlier run left on this data; drop a pid file whose number now means somebody else.

    Call while holding the installation's lock. Without /proc PostgreSQL's own check must do.
    """
    pid_file = server.data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text(encoding="utf-8", errors="replace").split()[0])
        at_home = Path(f"/proc/{pid}/cwd").resolve(strict=True) == server.data.resolve()
    except (OSError, ValueError, IndexError):
        at_home, pid = False, 0
    if at_home:
        started = start_time(pid)
        os.kill(pid, signal.SIGINT)
        if not wait_until_gone(pid, started, START_PATIENCE):
            raise ServiceError(f"An earlier PostgreSQL (process {pid}) does not end. End it: kill -QUIT {pid}")
    elif Path("/proc/self").exists():
        pid_file.unlink(missing_ok=True)


def start(server: Postgres, *, durable: bool, max_connections: int) -> tuple[subprocess.Popen[bytes], Spec, int]:
    """Start the server and return its process, its spec and its port, once it answers."""
    for _ in range(PORT_TRIES):
        port = ports.free_port()
        spec = specification(server, port, durable=durable, max_connections=max_connections)
        process = spawn(spec)
        try:
            if wait_until_answering(process, server.url(port, SUPERUSER, "postgres")):
                return process, spec, port
        except BaseException:  # a signal: nobody else knows of the process yet
            end(process, spec)
            raise
        end(process, spec)
        if "Address already in use" not in tail(server.log, 6):
            break
    raise ServiceError(f"PostgreSQL did not start. The end of {server.log}:\n{tail(server.log)}")


def wait_until_answering(process: subprocess.Popen[bytes], url: str) -> bool:
    """Return whether the server took a connection before it ended or START_PATIENCE ran out."""
    deadline = time.monotonic() + START_PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    return False


def role_statements(owner_password: str, app_password: str, *, for_tests: bool) -> Iterator[sql.Composed]:
    """Yield the SQL for the two roles; run by a superuser of the server. Tests make databases of their own."""
    extra = "CREATEDB" if for_tests else "NOCREATEDB"
    for role, password, may in ((OWNER, owner_password, extra), (APP, app_password, "NOCREATEDB")):
        yield sql.SQL("ALTER ROLE {} WITH LOGIN NOSUPERUSER NOCREATEROLE {} PASSWORD {}").format(
            sql.Identifier(role), sql.SQL(may), sql.Literal(password)
        )


def database_statements() -> Iterator[sql.Composed]:
    """Yield the SQL inside one database: extensions, and what the application may do with what the owner makes.

    No TRUNCATE, no REFERENCES, no TRIGGER: the application's role changes rows and nothing else.
    """
    for extension in EXTENSIONS:
        yield sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension))
    yield sql.SQL("REVOKE CREATE ON SCHEMA public FROM PUBLIC").format()
    yield sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(sql.Identifier(APP))
    yield sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(sql.Identifier(OWNER))
    for rights, things in (("SELECT, INSERT, UPDATE, DELETE", "TABLES"), ("USAGE, SELECT", "SEQUENCES")):
        yield sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA public GRANT {} ON {} TO {}").format(
            sql.Identifier(OWNER), sql.SQL(rights), sql.SQL(things), sql.Identifier(APP)
        )


def provision(server: Postgres, port: int, *, for_tests: bool) -> None:
    """Make the two roles and the database, or bring them up to date; repeating it changes nothing.

    For tests the statements also go into `template1`, so that every database the tests make has them.
    """
    with psycopg.connect(server.url(port, SUPERUSER, "postgres"), autocommit=True) as connection:
        for role in (OWNER, APP):
            if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        for statement in role_statements(server.password(OWNER), server.password(APP), for_tests=for_tests):
            connection.execute(statement)
        fresh = not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", DATABASE)
        if fresh:
            name, owner = sql.Identifier(DATABASE), sql.Identifier(OWNER)
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))
    for database in (DATABASE, "template1") if for_tests else (DATABASE,):
        with psycopg.connect(server.url(port, SUPERUSER, database), autocommit=True) as connection:
            for statement in database_statements():
                connection.execute(statement)


def _exists(connection: psycopg.Connection, query: str, name: str) -> bool:
    return connection.execute(query, [name]).fetchone() is not None
