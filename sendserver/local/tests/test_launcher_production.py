"""A start as a real installation has it: real relays named, no local world, the servers of the operator."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from sendserver.local import checking, ports, processes
from sendserver.local.processes import Spec

ROOT = Path(__file__).resolve().parents[3]
HOST = "portal.sendserver.example"


def production(var: Path, **more: str) -> dict[str, str]:
    """Return a production environment on the servers and the database of this test run."""
    name = settings.DATABASES["default"]["NAME"]
    servers = {
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}",
        "DATABASE_OWNER_URL": os.environ["DATABASE_OWNER_URL"].rpartition("/")[0] + f"/{name}",
        "REDIS_URL": os.environ["REDIS_URL"],
    }
    base = {"PATH": os.environ["PATH"], "VAR_DIR": str(var)}
    return {**base, **checking.production_settings(), **servers, **more}


def manage(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a management command in that environment and nothing else."""
    argv = [sys.executable, "manage.py", *arguments]
    return subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def web(db: None, tmp_path: Path) -> Iterator[int]:
    """Start the web server of a production installation and return its port."""
    port = ports.free_port()
    argv = [sys.executable, "-m", "gunicorn", "sendserver.wsgi", "-b", f"127.0.0.1:{port}", "--no-control-socket"]
    spec = Spec("web", argv, production(tmp_path), ROOT, tmp_path / "web.log")
    process = processes.spawn(spec)
    deadline = time.monotonic() + 30
    while not ports.is_taken(port):
        assert time.monotonic() < deadline, processes.tail(spec.log)
        assert process.poll() is None, processes.tail(spec.log)
        time.sleep(0.05)
    yield port
    processes.end(process, spec)


def get(port: int, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": HOST, **headers})
    return connection.getresponse()


def test_production_start_serves_pages_and_no_local_world(web: int) -> None:
    secure = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}

    first = get(web, "/", **secure)
    answers = {
        path: get(web, path, **secure).status for path in ("/local/outbox/", "/local/people/", "/static/css/tokens.css")
    }

    assert first.status == 200
    assert first.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert "unsafe" not in first.headers["Content-Security-Policy"]
    assert b"/local/" not in first.read()
    assert answers == {"/local/outbox/": 404, "/local/people/": 404, "/static/css/tokens.css": 200}
    assert get(web, "/").status == 301
    assert get(web, "/", **{**secure, "Host": "other.example"}).status == 400


def test_deployment_check_is_clean(db: None, tmp_path: Path) -> None:
    answer = manage(production(tmp_path), "check", "--deploy", "--fail-level", "WARNING")

    assert answer.returncode == 0, answer.stderr
    assert "no issues" in answer.stdout + answer.stderr


def test_commands_that_need_no_service_work_with_nothing_running(tmp_path: Path) -> None:
    nothing = {
        "PATH": os.environ["PATH"],
        "VAR_DIR": str(tmp_path),
        "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{ports.free_port()}/none",
        "REDIS_URL": f"redis://127.0.0.1:{ports.free_port()}/0",
    }

    for arguments in (("check",), ("makemigrations", "--check", "--dry-run")):
        answer = manage(nothing, *arguments)
        assert answer.returncode == 0, answer.stderr
