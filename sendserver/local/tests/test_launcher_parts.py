"""The launcher's small parts: ports, configuration, secrets, the environment, processes."""

import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sendserver.local import bootstrap, checking, commands, config, keys, ports, processes, supervisor, world
from sendserver.local.errors import LauncherError
from sendserver.local.instance import MARK, Instance, marked
from sendserver.local.processes import Spec
from sendserver.local.services import Services
from sendserver.local.tests.launcher_project import make_environment


def settings(root: Path, **environ: str) -> config.Config:
    return config.read({"VAR_DIR": str(root / "var"), "PATH": os.environ["PATH"], **environ}, root)


def specification(tmp_path: Path, name: str, script: str, **more: object) -> Spec:
    return Spec(name, [sys.executable, "-c", script], dict(os.environ), tmp_path, tmp_path / f"{name}.log", **more)


def wait_for(condition, patience: float = 10.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- ports


def test_port_with_a_listener_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ports.is_taken(server.getsockname()[1])


def test_found_ports_are_different_unprivileged_and_free() -> None:
    found = ports.free_ports(20)

    assert len(set(found)) == 20
    assert min(found) >= 1024
    assert not any(ports.is_taken(port) for port in found)


def test_port_taken_for_udp_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        taken = server.getsockname()[1]
        answers = iter([taken, taken, 23_456])
        monkeypatch.setattr(ports.random, "randint", lambda *_: next(answers))

        assert ports.free_port() == 23_456


def test_suggested_port_is_free_and_after_the_taken_one() -> None:
    with socket.create_server(("127.0.0.1", ports.free_port())) as server:
        taken = server.getsockname()[1]

        assert ports.free_from(taken, "127.0.0.1") > taken


# --- configuration


def test_base_url_names_localhost_since_passkeys_refuse_an_ip(tmp_path: Path) -> None:
    assert settings(tmp_path, PORT="8123").base_url == "http://localhost:8123"
    assert settings(tmp_path, HOST="0.0.0.0").base_url == "http://localhost:8000"
    assert settings(tmp_path, HOST="192.0.2.7").base_url == "http://192.0.2.7:8000"
    assert settings(tmp_path, BASE_URL="https://portal.example/").base_url == "https://portal.example"


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "8000 ", "٨٠٠٠"])
def test_port_that_is_none_is_refused_in_a_sentence(tmp_path: Path, port: str) -> None:
    with pytest.raises(LauncherError, match="PORT is"):
        settings(tmp_path, PORT=port)


def test_variables_of_other_programs_are_dropped_and_those_of_pip_kept(tmp_path: Path) -> None:
    foreign = {"PYTHONPATH": "/x", "VIRTUAL_ENV": "/x", "DJANGO_SETTINGS_MODULE": "x", "PGPORT": "1", "DEBUG": "1"}
    own = {"PIP_INDEX_URL": "https://index.example/simple", "HTTPS_PROXY": "http://proxy.example", "LOG_LEVEL": "DEBUG"}

    kept = settings(tmp_path, **foreign, **own).environ

    assert set(kept) == {"PATH", "VAR_DIR", *own}


def test_taken_port_names_a_free_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", ports.free_port())) as server:
        taken = server.getsockname()[1]
        with pytest.raises(LauncherError, match=rf"Port {taken} .* is taken .* PORT=(?!{taken})\d+ make run"):
            config.refuse_taken_port(settings(tmp_path, PORT=str(taken)))


def test_host_of_another_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LauncherError, match="no address of this machine"):
        config.refuse_taken_port(settings(tmp_path, HOST="192.0.2.7"))


def test_folder_with_foreign_files_is_not_taken_for_var(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letters.txt").touch()

    with pytest.raises(LauncherError, match="not Sendserver's"):
        config.prepare_var(settings(tmp_path, VAR_DIR=str(tmp_path / "home")))


def test_var_below_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(LauncherError, match="cannot be written"):
        config.prepare_var(settings(tmp_path, VAR_DIR=str(tmp_path / "file" / "var")))


# --- secrets


def test_secrets_are_made_once_and_for_us_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = keys.application_keys(tmp_path / "secrets")
    finally:
        os.umask(before)

    assert keys.application_keys(tmp_path / "secrets") == made
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "secrets").iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert len(set(made.values())) == 5
    assert len(bytes.fromhex(made["TOKEN_KEYS"].removeprefix("k1:"))) == 32


# --- environment of the children


def test_environment_gives_what_was_made(tmp_path: Path) -> None:
    made = Services("postgresql://a", "postgresql://o", "postgresql://s", "redis://r")

    env = world.environment(settings(tmp_path), made, world.LocalPorts(1, (2, 3), (4, 5)))

    assert env["DATABASE_URL"] == "postgresql://a"
    assert env["DATABASE_OWNER_URL"] == "postgresql://o"
    assert env["RELAY_1_URL"] == "smtp://127.0.0.1:2?name=out1.sendserver.example"
    assert env["DNS_SERVERS"] == "127.0.0.1:4,127.0.0.1:5"
    assert (env["LOCAL_WORLD"], env["DEBUG"]) == ("on", "off")
    assert env["TOKEN_KEYS"].startswith("k1:")


def test_operators_own_servers_win_and_real_relays_end_the_local_world(tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": "postgresql://real",
        "RELAY_1_URL": "smtps://one.example",
        "RELAY_2_URL": "smtps://two.example",
        "LOCAL_WORLD": "on",
        "TOKEN_KEYS": "k9:00",
    }

    env = world.environment(settings(tmp_path, **given), Services(), world.LocalPorts(1, (2, 3), (4, 5)))

    assert {name: env[name] for name in given} == {**given, "LOCAL_WORLD": "off"}
    assert "DNS_SERVERS" not in env
    assert "DATABASE_OWNER_URL" not in env  # an empty one would hide the settings' default


def test_one_real_relay_is_refused() -> None:
    with pytest.raises(LauncherError, match="RELAY_2_URL is not"):
        world.is_local({"RELAY_1_URL": "smtps://one.example"})


def test_no_local_process_runs_beside_real_relays(tmp_path: Path) -> None:
    given = settings(tmp_path, RELAY_1_URL="smtps://one.example", RELAY_2_URL="smtps://two.example")

    names = [spec.name for spec in world.World(given, {}, world.LocalPorts(1, (2, 3), (4, 5))).portal().specs]

    assert names == ["web", "relay-1", "relay-2", "work", "imports", "inbound", "beat"]


# --- bootstrap


def test_stamped_environment_asks_pip_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text("django\n")
    make_environment(tmp_path)
    monkeypatch.setattr(bootstrap, "_install", lambda *_: pytest.fail("pip was asked"))

    bootstrap.ensure(settings(tmp_path))


def test_stamp_is_the_same_whatever_the_order_of_sets(tmp_path: Path) -> None:
    """Sets of strings change their order from process to process, and two processes share the stamp."""
    (tmp_path / "requirements.txt").write_text("b\n")
    (tmp_path / "requirements-dev.txt").write_text("a\n")

    wanted = bootstrap._wanted(settings(tmp_path), "requirements-dev.txt")

    assert wanted.startswith(hashlib.sha256(b"a\nb\n").hexdigest())


def test_changed_requirements_are_installed_by_real_pip(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given = settings(tmp_path, PIP_NO_INDEX="1", PIP_USER="1", PIP_TARGET=str(tmp_path / "elsewhere"))
    config.prepare_var(given)
    (tmp_path / "requirements.txt").write_text("no-such-package-here==1\n")

    with pytest.raises(LauncherError, match=r"(?s)No matching distribution.*install\.log"):
        bootstrap.ensure(given)
    (tmp_path / "requirements.txt").write_text("")
    bootstrap.ensure(given)
    bootstrap.ensure(given)

    assert capfd.readouterr().out.count("Installing requirements.txt (once") == 3  # announced twice, finished once
    assert not (tmp_path / "elsewhere").exists()


def test_full_disk_is_told_before_anything_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text("django\n")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 9 * 10**8, 10**8))

    with pytest.raises(LauncherError, match="Only 95 MB are free"):
        bootstrap.ensure(settings(tmp_path))
    assert not (tmp_path / ".venv").exists()


def test_folder_that_is_no_environment_is_not_cleared(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "mine.txt").touch()

    with pytest.raises(LauncherError, match="no Python environment"):
        bootstrap.ensure(settings(tmp_path))
    assert (tmp_path / ".venv" / "mine.txt").exists()


def test_missing_browser_fails_with_the_command_unless_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(LauncherError, match="apt-get install"):
        commands._refuse_missing_browser(settings(tmp_path))
    commands._refuse_missing_browser(settings(tmp_path, BROWSER="no"))


# --- processes


def test_child_that_ignores_everything_is_killed_with_its_children(tmp_path: Path) -> None:
    script = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "open('pid', 'w').write(str(child.pid)); time.sleep(60)"
    )
    spec = specification(tmp_path, "stubborn", script, stop_signals=((signal.SIGTERM, 0.3),))
    process = processes.spawn(spec)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    grandchild = int((tmp_path / "pid").read_text())

    processes.end(process, spec)

    assert process.returncode == -signal.SIGKILL
    wait_for(lambda: not processes.start_time(grandchild))


def test_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib, time\n"
        "from sendserver.local.processes import Spec, spawn\n"
        "here = pathlib.Path('.')\n"
        "argv = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        "spec = Spec('x', argv, dict(os.environ), here, here / 'x.log')\n"
        "print(spawn(spec).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    root = Path(commands.__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, stdout=subprocess.PIPE
    )
    child = int(parent.stdout.readline())
    started = processes.start_time(child)

    parent.kill()
    parent.wait()

    assert processes.wait_until_gone(child, started, 10)


def test_signals_that_the_caller_ignores_reach_the_child(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for a command with `&`
    try:
        spec = specification(tmp_path, "sleeper", "import time; time.sleep(60)", stop_signals=((signal.SIGINT, 10.0),))
        process = processes.spawn(spec)
        processes.end(process, spec)
    finally:
        signal.signal(signal.SIGINT, before)

    assert process.returncode == -signal.SIGINT or process.returncode == 1  # before or after Python's own handler


def test_everything_ends_in_the_opposite_order(tmp_path: Path) -> None:
    script = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    open('order', 'a').write(NAME + ' ')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "open(NAME, 'w').close()\n"
        "time.sleep(60)\n"
    )
    held = Instance(tmp_path)
    (tmp_path / "run").mkdir()
    keeper = supervisor.Supervisor(held)
    for name, early in (("database", False), ("relay", False), ("lane", True)):
        keeper.start(specification(tmp_path, name, f"NAME = {name!r}\n{script}", may_end_early=early))
        wait_for((tmp_path / name).exists)

    keeper.end_all()

    assert (tmp_path / "order").read_text().split() == ["lane", "relay", "database"]
    assert held.entries == []


def test_process_that_nobody_noted_is_ended_and_an_older_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    older = processes.spawn(specification(tmp_path, "older", "import time; time.sleep(60)"))
    keeper = supervisor.Supervisor(Instance(tmp_path))
    spec = specification(tmp_path, "stray", "import time; time.sleep(60)")
    stray = processes.spawn(spec)

    keeper.end_all()

    assert stray.poll() is not None
    assert older.poll() is None
    processes.end(older, spec)


def test_what_dies_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_WAIT", 0.01)
    (tmp_path / "run").mkdir()
    keeper = supervisor.Supervisor(Instance(tmp_path))
    keeper.start(specification(tmp_path, "lane", "open('times', 'a').write('.'); import time; time.sleep(60)"))
    times = tmp_path / "times"
    wait_for(times.exists)
    keeper.children[0].process.kill()
    keeper.children[0].process.wait()
    keeper.children[0].wait = 0.01

    def look() -> None:
        if times.read_text() == "..":
            raise supervisor.Stopped(signal.SIGTERM)

    with pytest.raises(supervisor.Stopped):
        keeper.watch(look)
    keeper.end_all()

    assert times.read_text() == ".."


def test_process_without_parents_is_found_by_its_mark(tmp_path: Path) -> None:
    sleeper = "[sys.executable, '-c', 'import time; time.sleep(60)']"
    orphan = f"import subprocess, sys; subprocess.Popen({sleeper}, start_new_session=True)"
    subprocess.run([sys.executable, "-c", orphan], env={**os.environ, MARK: str(tmp_path)}, check=True)
    (tmp_path / "run").mkdir()
    assert len(marked(str(tmp_path))) == 1

    Instance(tmp_path).sweep()

    assert marked(str(tmp_path)) == []


def test_ledger_does_not_end_a_stranger_with_an_old_number(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    held = Instance(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        held.record("web", stranger.pid, int(signal.SIGTERM))
        text = held.ledger.read_text().replace(held.entries[0].started, "1")
        held.ledger.write_text(text)

        Instance(tmp_path).end_leftovers()

        assert stranger.poll() is None
        stranger.kill()


# --- check


def test_every_check_is_run_and_one_failure_counts(tmp_path: Path) -> None:
    seen = []

    def call(argv: list[str], _: config.Config, __: dict[str, str]) -> int:
        seen.append(argv[1:3])
        return 1 if "mypy" in argv else 0

    assert checking.run_all(settings(tmp_path), call) == 1
    assert len(seen) == 6
    assert checking.run_all(settings(tmp_path), lambda *_: 0) == 0
