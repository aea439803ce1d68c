"""Make `.venv` and install what requirements.txt pins. Standard library only: nothing else stands yet.

A stamp in the environment says what was installed, so an unchanged project asks no package index anything.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sendserver.local.config import Config
from sendserver.local.console import say, step
from sendserver.local.errors import LauncherError

MB = 1024 * 1024
# Free space below which an installation is not begun, in bytes; measured sizes with room for pip's unpacking.
SPACE_FOR_RUN = 700 * MB
SPACE_FOR_TESTS = 1200 * MB
# Would send the packages elsewhere than into the environment. Index, proxy and certificate settings stay.
PIP_ELSEWHERE = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PIP_DRY_RUN")


def ensure(config: Config, *, for_tests: bool = False) -> None:
    """Bring the environment to what the requirement files ask for. Raises LauncherError."""
    name = "requirements-dev.txt" if for_tests else "requirements.txt"
    with _alone(config.root):
        if _is_whole(config, name) or (not for_tests and _is_whole(config, "requirements-dev.txt")):
            return
        _refuse_full_disk(config.root, SPACE_FOR_TESTS if for_tests else SPACE_FOR_RUN)
        if not _runs(config.python):
            with step("Making the environment in .venv"):
                _make(config)
        with step(f"Installing {name} (once; a few minutes at most)"):
            _install(config, name)
        _stamp_file(config, name).write_text(_wanted(config, name), encoding="ascii")


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Let one process at a time work on the environment; the lock goes with the process, so it cannot be stale."""
    handle = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("  Waiting for another start that is installing ...")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # a file system without locks: then only without this protection
            pass
        yield
    finally:
        os.close(handle)


def _stamp_file(config: Config, name: str) -> Path:
    return config.root / ".venv" / f".installed-{name}"


def _wanted(config: Config, name: str) -> str:
    """Return what the stamp says when nothing needs to be done: the files' hash and the Python version."""
    digest = hashlib.sha256()
    for file in sorted({"requirements.txt", name}):
        digest.update((config.root / file).read_bytes())
    return f"{digest.hexdigest()} {sys.version_info.major}.{sys.version_info.minor}"


def _is_whole(config: Config, name: str) -> bool:
    try:
        stamp = _stamp_file(config, name).read_text(encoding="ascii")
    except OSError:
        return False
    return stamp.split(" ")[0] == _wanted(config, name).split(" ")[0] and _runs(config.python)


def _runs(python: Path) -> bool:
    """Return whether the environment's interpreter starts (its base may have been removed) and is supported."""
    probe = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
    try:
        return subprocess.run([python, "-I", "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _make(config: Config) -> None:
    target = config.root / ".venv"
    if target.exists() and any(target.iterdir()) and not (target / "pyvenv.cfg").exists():
        raise LauncherError(f"{target} exists and is no Python environment. Move it away and start again.")
    answer = _call([sys.executable, "-m", "venv", "--clear", str(target)], config.environ, config.root)
    if answer.returncode != 0:
        shutil.rmtree(target, ignore_errors=True)
        raise LauncherError(
            f"Python could not make an environment in {target}; on Debian: apt-get install python3-venv\n"
            f"{answer.stdout.strip()[-800:]}"
        )


def _call(argv: list[str], environ: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        env=environ,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def _install(config: Config, name: str) -> None:
    """Run pip, print a line for each package it takes, and keep its whole output in `log/install.log`."""
    environ = {key: value for key, value in config.environ.items() if key not in PIP_ELSEWHERE}
    environ |= {"PIP_ROOT_USER_ACTION": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    argv = [str(config.python), "-I", "-m", "pip", "install", "-r", name]
    lines: list[str] = []
    log = config.var / "log" / "install.log"
    with log.open("w", encoding="utf-8") as keep:
        process = subprocess.Popen(
            argv,
            env=environ,
            cwd=config.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        try:
            for line in process.stdout or ():
                keep.write(line)
                lines.append(line.rstrip())
                _show_progress(line)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.wait() != 0:
        raise LauncherError(_explain(lines, log))


def _show_progress(line: str) -> None:
    words = line.split()
    if line.startswith("Collecting "):
        say(f"    {words[1]}")
    elif line.startswith("Installing collected packages"):
        say(f"    putting {line.count(',') + 1} packages in place")


def _explain(lines: list[str], log: Path) -> str:
    if any("No space left" in line for line in lines):
        return f"The disk is full: free about {SPACE_FOR_RUN // MB} MB and start again (TMPDIR counts too). Log: {log}"
    end = "\n".join(line for line in lines[-8:] if line)
    return f"pip could not install the packages. It says:\n{end}\nThe whole log: {log}. Then start again."


def _refuse_full_disk(folder: Path, needed: int) -> None:
    refuse_full_disk(folder, needed, "to install the packages")


def refuse_full_disk(folder: Path, needed: int, purpose: str) -> None:
    """Raise LauncherError when less than `needed` bytes are free at `folder`."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LauncherError(
            f"Only {free // MB} MB are free in {folder}; {purpose} takes {needed // MB} MB. Free some space."
        )
