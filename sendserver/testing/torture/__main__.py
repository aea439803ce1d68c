"""`python -m sendserver.testing.torture`: SEEDS=n rounds of each fault, FAULTS=1,6,21 for some of them only.

Rounds mostly wait, so rows are dealt to JOBS processes (2), each with servers of its own; a line comes when its row is
done.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from sendserver.local.processes import die_with_parent
from sendserver.testing.torture.services import Machine, machine

ROWS = range(1, 40)
SEEDS = "3"


def main() -> int:
    """Run the table; 1 when a row is not ok."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and folders are tidied away
    chosen = _chosen(os.environ.get("FAULTS", "")) or list(ROWS)
    unknown = set(chosen) - set(ROWS)
    if unknown:
        print(f"No such fault: {sorted(unknown)}", file=sys.stderr)
        return 2
    jobs = min(len(chosen), int(os.environ.get("JOBS") or "2"))
    if jobs > 1:
        return _share(chosen, jobs)
    with machine() as servers:
        return _run(servers, int(os.environ.get("SEEDS") or SEEDS), chosen)


def _share(chosen: Sequence[int], jobs: int) -> int:
    """Deal the rows to processes; their lines are ours."""
    dealt = [",".join(map(str, chosen[job::jobs])) for job in range(jobs)]
    command = [sys.executable, "-m", "sendserver.testing.torture"]
    dies = die_with_parent(signal.SIGTERM)
    several = [
        subprocess.Popen(command, env={**os.environ, "JOBS": "1", "FAULTS": some}, preexec_fn=dies)  # noqa: PLW1509 (no threads yet)
        for some in dealt
    ]
    return max(one.wait() for one in several)


def _run(servers: Machine, seeds: int, chosen: Sequence[int]) -> int:
    import django

    django.setup()  # after the servers: its settings name them
    from sendserver.testing.torture import runner

    return runner.run(servers, seeds, chosen)


def _chosen(text: str) -> list[int]:
    return [int(word) for word in text.replace(" ", "").split(",") if word]


if __name__ == "__main__":
    sys.exit(main())
