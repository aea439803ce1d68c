"""The commands of the launcher. Standard library only until the environment stands; then `running` takes over."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sendserver.local import bootstrap, checking, config, places, supervisor, world
from sendserver.local.config import Config
from sendserver.local.console import complain, say
from sendserver.local.errors import LauncherError
from sendserver.local.instance import Instance

USAGE = """\
usage: python3 -m sendserver.local COMMAND

  run      start the portal with everything it needs; Ctrl-C ends it     (PORT, HOST, VAR_DIR)
  reset    throw the data of this machine away; the next run tells the demo story anew
  test     install what tests need and run them; further arguments go to pytest   (BROWSER=no)
  check    lint, format, types, floors, migrations, deployment settings
  mutants  plant the named faults one by one and see that a test catches each
  torture  the fault table of sending against real processes      (SEEDS=n, FAULTS=1,6,21)
  postfix-pair  a campaign through two real Postfix instances; root    (PEOPLE=n, RATE=n, AWAY=seconds)
  proof    show with real lanes: messages as asked, fair turns, prompt stops, two hosts  (--only dump|fair|stop|groups)
  bench    measure how fast the lanes send; --full for all of it (docs/benchmarks.md)
  bench-import  measure how fast lists are read (ROWS=n; --rounds n, --crowd n)
  manage   run a management command in the environment of the portal
"""
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
KEPT_BY_RESET = ("secrets", "programs", "log", "run", config.MARKER)


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; a refusal is one sentence, never a traceback."""
    supervisor.listen()
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None:
        complain(USAGE)
        return 2
    try:
        settings = config.read(os.environ)
        for name in set(os.environ) - set(settings.environ):
            del os.environ[name]  # libraries of ours read the environment too: PGOPTIONS
        return command(settings, list(arguments[1:]))
    except LauncherError as error:
        complain(f"\nSendserver: {error}")
        return 1
    except supervisor.Stopped as stopped:
        complain(f"\n  {stopped}: stopped.")
        return 128 + stopped.number


def run(settings: Config, arguments: list[str]) -> int:
    """Start everything and stay until a signal."""
    _refuse_arguments("run", arguments)
    config.prepare_var(settings)
    instance = Instance(settings.var)
    instance.hold(settings.base_url)
    try:
        instance.end_leftovers()
        config.refuse_taken_port(settings)
        world.is_local(settings.environ)
        enter_environment(settings, "run", [])
        from sendserver.local import running

        return running.serve(settings, instance)
    finally:
        instance.release()


def enter_environment(settings: Config, command: str, arguments: list[str], *, for_tests: bool = False) -> None:
    """Install what is missing, then go on as the environment's Python; returns when we are that already.

    The process id stays, so what was told to the caller's shell stays true.
    """
    bootstrap.ensure(settings, for_tests=for_tests)
    if Path(sys.prefix).resolve() == (settings.root / ".venv").resolve():
        return
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    python = str(settings.python)
    sys.stdout.flush()
    os.execve(python, [python, "-m", "sendserver.local", command, *arguments], environ)


def reset(settings: Config, arguments: list[str]) -> int:
    """Throw away the embedded data. Keys stay: letters and do-not-mail entries out in the world rest on them."""
    _refuse_arguments("reset", arguments)
    if settings.environ.get("DATABASE_URL"):
        raise LauncherError(
            "DATABASE_URL names a server of your own; reset only empties the embedded one. Unset it first."
        )
    config.prepare_var(settings)
    instance = Instance(settings.var)
    instance.hold(settings.base_url)
    try:
        instance.end_leftovers()
        for path in _data_of(settings.var):
            _remove(path)
    finally:
        instance.release()
    say("The data is gone. The next `make run` tells the story from its beginning.")
    return 0


def _data_of(var: Path) -> list[Path]:
    """Return what reset removes; PostgreSQL's data may live elsewhere (see `places`)."""
    inside = [path for path in var.iterdir() if path.name not in KEPT_BY_RESET]
    home = places.remembered_home(var)
    return inside if home == var else [home / "postgres", *inside]


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise LauncherError(f"{path} cannot be removed ({error.strerror}). Reset as the user who ran it.") from error


def test(settings: Config, arguments: list[str]) -> int:
    """Run the tests. pytest's exit code is ours; `run/test-exit` keeps it, since make turns every failure into 2."""
    config.prepare_var(settings)
    _refuse_missing_browser(settings)
    enter_environment(settings, "test", arguments, for_tests=True)
    say("  Running the tests" + (", without those that need a browser" if _without_browser(settings) else "") + " ...")
    # All tests use every core and one process more, since many wait; a chosen few start at once in one process.
    processes = (os.cpu_count() or 1) + 1
    spread = ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]
    chosen = arguments or ["-q", *spread, "--durations=15"]
    code = _call([str(settings.python), "-m", "pytest", *chosen], settings)
    (settings.var / "run" / "test-exit").write_text(f"{code}\n", encoding="ascii")
    return code


def _without_browser(settings: Config) -> bool:
    return settings.environ.get("BROWSER") == "no"


def _refuse_missing_browser(settings: Config) -> None:
    if not _without_browser(settings) and not any(shutil.which(name) for name in CHROMIUMS):
        raise LauncherError(
            "The browser tests need Chromium, which this machine has not.\n"
            "  Install it:          apt-get update && apt-get install --no-install-recommends chromium\n"
            "  Or leave them out:   BROWSER=no make test"
        )


def check(settings: Config, arguments: list[str]) -> int:
    """Run every check, the failed ones included, and return 1 when one failed."""
    _refuse_arguments("check", arguments)
    config.prepare_var(settings)
    enter_environment(settings, "check", [], for_tests=True)
    return checking.run_all(settings, _call)


def mutants(settings: Config, arguments: list[str]) -> int:
    """Plant the named faults one by one and see that a test catches each."""
    config.prepare_var(settings)
    enter_environment(settings, "mutants", arguments, for_tests=True)
    return _call([str(settings.python), "-m", "sendserver.testing.mutants", *arguments], settings)


def bench(settings: Config, arguments: list[str]) -> int:
    """Measure how fast the lanes send; 1 when a bound was missed, 2 when Postfix's test programs cannot be had."""
    config.prepare_var(settings)
    enter_environment(settings, "bench", arguments)
    from sendserver.local import benching

    return benching.run(settings, arguments, _call)


def bench_import(settings: Config, arguments: list[str]) -> int:
    """Measure how fast lists are read; 1 when a bound was missed. ROWS comes from the environment."""
    config.prepare_var(settings)
    enter_environment(settings, "bench-import", arguments)
    from sendserver.local import benching

    rows = settings.environ.get("ROWS", "")
    given = ["--rows", rows] if rows.isdigit() else []
    return benching.run(settings, [*given, *arguments], _call, module="campaigns.bench.imports")


def proof(settings: Config, arguments: list[str]) -> int:
    """Show what the engine must show, one JSON line a point; 1 when something is not as it must be."""
    config.prepare_var(settings)
    enter_environment(settings, "proof", arguments, for_tests=True)
    from sendserver.local import benching

    return benching.run(settings, arguments, _call, module="sendserver.testing.proof")


def torture(settings: Config, arguments: list[str]) -> int:
    """Run the fault table of sending; one JSON line a fault."""
    _refuse_arguments("torture", arguments)
    config.prepare_var(settings)
    enter_environment(settings, "torture", arguments, for_tests=True)
    return _call([str(settings.python), "-m", "sendserver.testing.torture"], settings)


def postfix_pair(settings: Config, arguments: list[str]) -> int:
    """Send a campaign through two real Postfix instances of its own, one of which dies for a minute."""
    _refuse_arguments("postfix-pair", arguments)
    config.prepare_var(settings)
    enter_environment(settings, "postfix-pair", arguments, for_tests=True)
    cache = settings.var / "bench-tools"
    cache.mkdir(exist_ok=True)
    return _call([str(settings.python), "-m", "sendserver.testing.postfix", str(cache)], settings)


def manage(settings: Config, arguments: list[str]) -> int:
    """Run a management command as the running portal would; without one, with the keys alone."""
    config.prepare_var(settings)
    enter_environment(settings, "manage", arguments)
    kept = settings.var / "run" / "environment.json"
    environ = {**settings.environ, **world.application_environment(settings)}
    if kept.exists():
        environ |= json.loads(kept.read_text(encoding="utf-8"))
    return _call([str(settings.python), "manage.py", *arguments], settings, environ)


def _call(argv: list[str], settings: Config, environ: dict[str, str] | None = None) -> int:
    """Run a program in our terminal and return its exit code; wait for it when a signal asks us to end.

    TERM and HUP are passed on; a Ctrl-C has reached it already, and a second one would cut its tidying short.
    """
    process = subprocess.Popen(argv, cwd=settings.root, env=environ or dict(settings.environ))
    while True:
        try:
            code = process.wait()
            return code if code >= 0 else 128 - code
        except supervisor.Stopped as stopped:
            if process.poll() is None and stopped.number != signal.SIGINT:
                process.send_signal(stopped.number)


def _refuse_arguments(command: str, arguments: list[str]) -> None:
    if arguments:
        raise LauncherError(f"{command} takes no arguments; what it needs comes from PORT, HOST and VAR_DIR.")


COMMANDS: dict[str, Callable[[Config, list[str]], int]] = {
    "run": run,
    "reset": reset,
    "test": test,
    "check": check,
    "manage": manage,
    "mutants": mutants,
    "torture": torture,
    "postfix-pair": postfix_pair,
    "bench": bench,
    "bench-import": bench_import,
    "proof": proof,
}
