"""A slice of `make torture` with servers of its own: few faults, one seed, and a planted defect that it must find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
OURS = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_SUPERUSER_URL", "REDIS_URL", "VAR_DIR", "SECRET_KEY")

pytestmark = pytest.mark.slow


def start(faults: str, **more: str) -> subprocess.Popen[str]:
    """Start the command."""
    environ = {key: value for key, value in os.environ.items() if key not in OURS and not key.startswith("PYTEST_")}
    environ |= {"SEEDS": "1", "FAULTS": faults, "JOBS": "1", **more}
    command = [sys.executable, "-m", "sendserver.testing.torture"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    )


def lines(process: subprocess.Popen[str]) -> tuple[list[dict[str, object]], str]:
    """Return what it printed, and its complaints."""
    output, complaints = process.communicate(timeout=280)
    return [json.loads(line) for line in output.splitlines()], complaints


def test_deaths_and_broken_conversations_do_no_harm_and_a_planted_defect_is_found() -> None:
    both = start("1,15"), start("1", TORTURE_DEFECT="no journal")
    try:
        (rows, complaints), (defect, _) = lines(both[0]), lines(both[1])
    finally:
        for process in both:
            process.kill()
    assert [row["fault"] for row in rows] == [1, 15], complaints[-3000:]
    for row in rows:
        assert row["ok"], complaints[-3000:]
        assert int(str(row["hits"])) >= 1
        assert (row["duplicates"], row["lost"]) == (0, 0)
        assert int(str(row["in_doubt_max"])) <= int(str(row["in_doubt_bound"]))
    assert not defect[0]["ok"]  # a lane that keeps no journal sends twice
    assert int(str(defect[0]["duplicates"])) >= 1
