"""Plant named faults one by one and see that a test catches each: `python -m sendserver.testing.mutants [name ...]`.

A fault is a small change of one file in a scratch copy of the tree; the tests named with it must fail then. Ends with
1 when a fault was missed, when its text is not in the file any more, or when the tests fail without any fault.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sendserver.testing.faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", ".*_cache", "__pycache__", "*.pyc")
PASSED, FAILED = 0, 1  # exit codes of pytest; anything else means that it could not run
PATIENCE = 300  # seconds for the tests of one fault
PATIENCE_FOR_ALL = 1800  # seconds for all of them together, without a fault


def main(names: Sequence[str]) -> int:
    """Plant the named faults, all without names, and print what came of each."""
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    unknown = set(names) - {fault.name for fault in FAULTS}
    if unknown or not chosen:
        print(f"No such fault: {', '.join(sorted(unknown))}. Known: {', '.join(fault.name for fault in FAULTS)}")
        return 1
    with services() as environ, scratch() as tree:
        lost = [fault.name for fault in chosen if not fault.fits(tree)]
        if lost:
            print(f"Not in the code any more, so mend the table: {', '.join(lost)}")
            return 1
        if not sound(tree, environ, chosen):
            return 1
        missed = [fault.name for fault in chosen if not catch(tree, environ, fault)]
    print(
        f"{len(chosen) - len(missed)} of {len(chosen)} faults caught."
        + (f" Missed: {', '.join(missed)}" if missed else "")
    )
    return 1 if missed else 0


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a copy of the tree, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="sendserver-mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT, symlinks=True)
        yield tree


@contextmanager
def services() -> Iterator[dict[str, str]]:
    """Give an environment with database and broker, shared by all runs; those of the caller when he names some."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ""}
    if "DATABASE_SUPERUSER_URL" in environ:
        yield environ
        return
    from sendserver.local.services import start_services

    with tempfile.TemporaryDirectory(prefix="sendserver-mutants-services-") as folder:
        running = start_services(Path(folder), durable=False)
        try:
            yield environ | {
                "DATABASE_URL": running.database_url,
                "DATABASE_OWNER_URL": running.database_owner_url,
                "DATABASE_SUPERUSER_URL": running.superuser_url,
                "REDIS_URL": running.redis_url,
            }
        finally:
            running.stop()


def run(
    tree: Path, environ: dict[str, str], tests: Sequence[str], patience: int = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Run tests in the scratch tree until the first failure."""
    argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        return subprocess.run(
            argv, cwd=tree, env=environ, capture_output=True, text=True, errors="replace", timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, FAILED, "the tests hang", "")


def sound(tree: Path, environ: dict[str, str], faults: Sequence[Fault]) -> bool:
    """Tell whether all the tests pass without a fault; else catching one would mean nothing."""
    tests = sorted({test for fault in faults for test in fault.tests})
    answer = run(tree, environ, tests, PATIENCE_FOR_ALL)
    if answer.returncode != PASSED:
        print(f"The tests fail without any fault:\n{answer.stdout[-3000:]}{answer.stderr[-1000:]}")
    return answer.returncode == PASSED


def catch(tree: Path, environ: dict[str, str], fault: Fault) -> bool:
    """Plant one fault, run its tests, take it out again; tell whether a test failed."""
    path = tree / fault.file
    original = path.read_text(encoding="utf-8")
    begun = time.monotonic()
    try:
        path.write_text(original.replace(fault.old, fault.new, 1), encoding="utf-8")
        answer = run(tree, environ, fault.tests)
    finally:
        path.write_text(original, encoding="utf-8")
    word = {PASSED: "MISSED", FAILED: "caught"}.get(answer.returncode, "BROKEN")
    print(f"{word}  {fault.name:<34} {time.monotonic() - begun:5.1f} s  {fault.file}", flush=True)
    if word == "BROKEN":
        print(answer.stdout[-1500:] + answer.stderr[-500:])
    return word == "caught"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
