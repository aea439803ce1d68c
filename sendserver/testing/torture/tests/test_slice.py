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


def torture(faults: str, **more: str) -> tuple[list[dict[str, object]], str]:
    """Run the command and return its lines and its complaints."""
    environ = {key: value for key, value in os.environ.items() if key not in OURS and not key.startswith("PYTEST_")}
    environ |= {"SEEDS": "1", "FAULTS": faults, **more}
    done = subprocess.run(
        [sys.executable, "-m", "sendserver.testing.torture"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_deaths_broken_conversations_and_a_lost_database_do_no_harm() -> None:
    rows, complaints = torture("1,15,22")
    assert [row["fault"] for row in rows] == [1, 15, 22], complaints[-3000:]
    for row in rows:
        assert row["ok"], complaints[-3000:]
        assert int(str(row["hits"])) >= 1
        assert (row["duplicates"], row["lost"]) == (0, 0)
        assert int(str(row["in_doubt_max"])) <= int(str(row["in_doubt_bound"]))


def test_a_lane_that_forgets_its_journal_is_found_out() -> None:
    rows, _ = torture("1", TORTURE_DEFECT="no journal")
    assert not rows[0]["ok"]
    assert int(str(rows[0]["duplicates"])) >= 1
