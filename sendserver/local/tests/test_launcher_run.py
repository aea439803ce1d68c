"""Whole starts of the launcher: real services, real processes, real signals; only what the processes do is small."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendserver.local import ports
from sendserver.local.tests.launcher_project import Start, left_of, make_project, open_folder

ANSWERS = "Ctrl-C ends everything"


@pytest.fixture(scope="module")
def project() -> Iterator[Path]:
    """A checkout in a folder with a space and letters beyond ASCII, made under a narrow umask."""
    with open_folder() as folder:
        before = os.umask(0o077)
        root = make_project(folder / "Büro 1")
        os.umask(before)
        root.chmod(0o711)
        yield root
        Start.end_all()
        assert left_of(root) == []


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    yield
    Start.end_all()


@pytest.fixture
def port() -> int:
    return ports.free_port()


def test_first_start_tells_the_story_and_a_second_one_keeps_it(project: Path, port: int) -> None:
    first = Start(project, port)
    text = first.wait_for(ANSWERS)
    assert f"http://localhost:{port}" in text
    assert "nina@kestrel.example, code 123456" in text
    assert first.page() == "told 1"
    assert first.end(signal.SIGINT) == 0
    assert left_of(project) == []

    second = Start(project, port)
    text = second.wait_for(ANSWERS)
    assert "Loading the demo story" not in text
    assert second.page() == "told 1"
    assert second.end(signal.SIGHUP) == 0
    assert left_of(project) == []


def test_second_at_once_says_where_the_first_is_and_a_third_shares_nothing(project: Path, port: int) -> None:
    first = Start(project, port)
    first.wait_for(ANSWERS)

    second = Start(project, ports.free_port())

    assert second.process.wait(60) == 1
    assert f"already runs at http://localhost:{port} (process {first.process.pid})" in second.text()
    assert f"kill {first.process.pid}" in second.text()
    assert Start(project, port, "reset").process.wait(60) == 1
    assert first.page() == "told 1"
    assert first.end(signal.SIGTERM) == 0
    assert left_of(project) == []


def test_killed_supervisor_leaves_nothing_that_hinders_the_next(project: Path, port: int) -> None:
    first = Start(project, port)
    first.wait_for(ANSWERS)
    first.process.kill()
    first.process.wait()

    second = Start(project, port)  # at once: the port may still be held by what is ending
    second.wait_for(ANSWERS)
    pids = {entry["pid"] for entry in json.loads((project / "var" / "run" / "processes.json").read_text())}

    assert second.page() == "told 1"
    assert len(pids) == 12  # two services, names, relays, web, two lanes, work, lists, inbound, beat, people
    assert second.end() == 0
    assert left_of(project) == []


def test_callers_variables_do_not_reach_the_portal(project: Path, port: int, tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong one')")
    foreign = {
        "PYTHONPATH": str(tmp_path),
        "VIRTUAL_ENV": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "other.settings",
        "PGPORT": "1",
        "PGOPTIONS": "-c nonsense=1",
        "CELERY_BROKER_URL": "amqp://nobody",
        "GUNICORN_CMD_ARGS": "--nonsense",
        "LC_ALL": "tr_TR.UTF-8",
        "DEBUG": "1",
        "PIP_INDEX_URL": "https://index.example/simple",
    }

    start = Start(project, port, **foreign)
    start.wait_for(ANSWERS)
    shown = {name: show(project, name) for name in foreign}

    assert start.page() == "told 1"
    assert shown["DJANGO_SETTINGS_MODULE"] == "sendserver.settings"
    assert shown["DEBUG"] == "off"
    assert shown["PIP_INDEX_URL"] == "https://index.example/simple"
    assert {shown[name] for name in ("PYTHONPATH", "VIRTUAL_ENV", "PGPORT", "GUNICORN_CMD_ARGS")} == {""}
    assert start.end() == 0


def test_make_needs_nothing_of_the_callers_python_and_ends_with_its_signal(
    project: Path, port: int, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('the wrong one')")

    start = Start(project, port, by_make=True, PYTHONPATH=str(tmp_path), PYTHONHOME="/nowhere")
    start.wait_for(ANSWERS)

    assert start.page() == "told 1"
    assert start.end(signal.SIGTERM) != 0  # make's own answer to a signal
    assert left_of(project) == []


def show(project: Path, name: str) -> str:
    """Return a variable as a management command in the portal's environment sees it."""
    argv = [sys.executable, "-m", "sendserver.local", "manage", "show", name]
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    return subprocess.run(argv, cwd=project, env=environ, capture_output=True, text=True, check=True).stdout.strip()


def test_taken_port_is_one_sentence_before_anything_starts(project: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        start = Start(project, port)
        assert start.process.wait(60) == 1

    assert f"Port {port} on 127.0.0.1 is taken" in start.text()
    assert "Traceback" not in start.text()
    assert "PostgreSQL" not in start.text()


def test_failed_migration_shows_its_log_and_leaves_nothing(project: Path, port: int) -> None:
    manage = (project / "manage.py").read_text()
    (project / "manage.py").write_text("raise SystemExit('no such table: letters')")
    try:
        start = Start(project, port)
        assert start.process.wait(60) == 1
    finally:
        (project / "manage.py").write_text(manage)

    assert "no such table: letters" in start.text()
    assert "Traceback" not in start.text()
    assert left_of(project) == []


def test_web_server_that_cannot_start_ends_the_run(project: Path, port: int) -> None:
    application = (project / "sendserver" / "wsgi.py").read_text()
    (project / "sendserver" / "wsgi.py").write_text("raise SystemExit('no application')")
    try:
        start = Start(project, port)
        assert start.process.wait(60) == 1
    finally:
        (project / "sendserver" / "wsgi.py").write_text(application)

    assert "no application" in start.text()
    assert left_of(project) == []


def test_reset_starts_the_story_anew_and_keeps_the_keys(project: Path, port: int) -> None:
    told = Start(project, port)
    told.wait_for(ANSWERS)
    told.end()
    keys = (project / "var" / "secrets" / "suppression_keys").read_text()
    refused = Start(project, port, "reset", DATABASE_URL="postgresql://real.example/portal")
    assert refused.process.wait(60) == 1
    assert (project / "var" / "demo-told").exists()

    assert Start(project, port, "reset").process.wait(60) == 0

    assert not (project / "var" / "demo-told").exists()
    assert not (project / "var" / "postgres").exists()
    assert (project / "var" / "secrets" / "suppression_keys").read_text() == keys


def test_ending_while_it_starts_leaves_nothing(project: Path, port: int) -> None:
    for words in ("Starting PostgreSQL", "Migrating the database", "Starting the portal"):
        start = Start(project, port)
        start.wait_for(words)
        assert start.end(signal.SIGTERM) == 0, start.text()
        assert left_of(project) == []


def test_unknown_command_and_arguments_are_refused(project: Path, port: int) -> None:
    unknown = Start(project, port, "fly")

    assert unknown.process.wait(60) == 2
    assert "usage:" in unknown.text()
    assert shutil.which("make") is None or "run:" in (project / "Makefile").read_text()
