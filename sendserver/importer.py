"""The process that reads lists: `python -m sendserver.importer` is a Celery worker of the queue `imports` alone.

A list of five million rows keeps a process busy for minutes. Here it keeps nobody waiting but other lists, and its
memory stays that of a process that loads no page and no letter (compare sendserver.lane).
"""

from __future__ import annotations

import sys

from sendserver import lane
from sendserver.lib import memory

QUEUE = "imports"
TASKS = "compliance.tasks"
# Seconds after which a thread that judges rows lets the other one go on, which asks the database some thirty short
# questions a piece: with Python's own 5 ms the database waits for us a fifth of the time.
TURN = 0.0005


def main() -> int:
    """Serve the queue until told to end; return the worker's exit code."""
    memory.save()
    sys.setswitchinterval(TURN)
    return lane.serve(lane.made_worker(QUEUE, TASKS))


if __name__ == "__main__":
    sys.exit(main())
