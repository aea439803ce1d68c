"""A project with the real launcher and stand-ins for everything that it starts, so that a whole start takes seconds.

The two services, the processes, the signals and the files are real. Only what the processes do is small.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from sendserver.local import instance

LAUNCHER = [sys.executable, "-m", "sendserver.local"]
REAL = Path(__file__).resolve().parents[3]
FILES = {
    "manage.py": """
        import os, pathlib, signal, socket, sys, threading
        var = pathlib.Path(os.environ["VAR_DIR"])
        def note(text):
            with open(var / "log" / "calls", "a") as file:
                file.write(text + "\\n")
        command = sys.argv[1]
        if command == "migrate":
            import psycopg
            with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS kept (line text)")
            note("migrate")
        elif command == "demo_story":
            import psycopg
            with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
                connection.execute("INSERT INTO kept VALUES ('told')")
            note("demo")
        elif command == "demo_logins":
            print("demo person: nina@kestrel.example, code 123456")
        elif command == "inbound_door":
            host, port = os.environ["INBOUND_LISTEN"].split(":")
            with socket.create_server((host, int(port))):
                threading.Event().wait()
        elif command == "show":
            print(os.environ.get(sys.argv[2], ""))
        """,
    "sendserver/wsgi.py": """
        import os, psycopg
        def application(environ, start_response):
            with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
                count = connection.execute("SELECT count(*) FROM kept").fetchone()[0]
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [f"told {count}".encode()]
        """,
    "sendserver/settings.py": 'SECRET_KEY = "mini"',
    "sendserver/celery.py": """
        import os
        from celery import Celery
        app = Celery("mini", broker=os.environ["REDIS_URL"])
        """,
    "sendserver/lane.py": """
        import sys
        from sendserver.celery import app
        app.Worker(pool_cls="solo", queues=[sys.argv[1]], without_gossip=True, without_mingle=True).start()
        """,
    "sendserver/importer.py": """
        from sendserver.celery import app
        app.Worker(pool_cls="solo", queues=["imports"], without_gossip=True, without_mingle=True).start()
        """,
    "sendserver/local/dns.py": """
        import os, socket, threading
        numbers = [int(one.split(":")[1]) for one in os.environ["DNS_SERVERS"].split(",")]
        open_ports = [socket.create_server(("127.0.0.1", number)) for number in numbers]
        threading.Event().wait()
        """,
    "sendserver/local/relay.py": """
        import os, socket, threading
        from urllib.parse import urlsplit
        names = ("RELAY_1_URL", "RELAY_2_URL")
        open_ports = [socket.create_server(("127.0.0.1", urlsplit(os.environ[name]).port)) for name in names]
        threading.Event().wait()
        """,
    "sendserver/local/recipients.py": """
        import threading
        threading.Event().wait()
        """,
    "requirements.txt": "",
    "requirements-dev.txt": "-r requirements.txt\n",
    "sendserver/__init__.py": "",
}


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """Give a folder that every user may enter, as PostgreSQL's must; pytest closes its own to others."""
    folder = Path(tempfile.mkdtemp(prefix="sendserver-launcher-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def make_project(root: Path, *, environment: bool = True) -> Path:
    """Make the project at `root`; with its environment unless told otherwise."""
    (root / "sendserver" / "local").mkdir(parents=True)
    for source in (REAL / "sendserver" / "local").glob("*.py"):
        shutil.copy(source, root / "sendserver" / "local")
    shutil.copy(REAL / "Makefile", root)
    for name, text in FILES.items():
        lines = [line.removeprefix("        ") for line in text.splitlines()]
        (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    if environment:
        make_environment(root)
    return root


def make_environment(root: Path) -> None:
    """Make `.venv` see the packages of the running one, and stamp it as installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / ".venv")], check=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    site = root / ".venv" / "lib" / f"python{version}" / "site-packages"
    (site / "real.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    digest = hashlib.sha256((root / "requirements.txt").read_bytes()).hexdigest()
    (root / ".venv" / ".installed-requirements.txt").write_text(f"{digest} {version}", encoding="ascii")


def _hear_hangup() -> None:
    """Undo what a run under nohup hands down: the launcher keeps an ignored signal ignored, as it should."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Start:
    """One start of the launcher in the background."""

    running: ClassVar[list["Start"]] = []

    def __init__(self, root: Path, port: int, command: str = "run", *, by_make: bool = False, **environ: str) -> None:
        self.root, self.port = root, port
        self.output = root / f"output-{time.monotonic_ns()}"
        base = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                ["make", f"PYTHON={sys.executable}", command] if by_make else [*LAUNCHER, command],
                cwd=root,
                env={**base, "PORT": str(port), **environ},
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_hear_hangup,
            )
        Start.running.append(self)

    def text(self) -> str:
        """Return what it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, words: str, patience: float = 60.0) -> str:
        """Wait until it has printed `words`, and return everything."""
        deadline = time.monotonic() + patience
        while words not in self.text():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"never said {words!r}:\n{self.text()}{self.logs()}")
            time.sleep(0.05)
        return self.text()

    def logs(self) -> str:
        """Return the ends of all logs, for the message of a failed test."""
        logs = (self.root / "var" / "log").glob("*.log")
        return "".join(f"\n--- {log.name}\n{log.read_text(errors='replace')[-800:]}" for log in logs)

    def page(self) -> str:
        """Return the first page."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
            return str(answer.read().decode())

    @classmethod
    def end_all(cls) -> None:
        """End what a failed test has left running."""
        while cls.running:
            start = cls.running.pop()
            if start.process.poll() is None:
                start.end()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


def left_of(root: Path) -> list[str]:
    """Return the command lines of processes that work for this project, PostgreSQL's included."""
    found = []
    ours = set(instance.marked(str(root / "var")))
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                cwd = os.readlink(folder / "cwd")
            except OSError:
                continue
            if int(folder.name) in ours or cwd.startswith(str(root)):
                found.append(f"{folder.name} {command}")
    return found
