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


def main() -> int:
    """Serve the queue until told to end; return the worker's exit code."""
    memory.save()
    return lane.serve(lane.made_worker(QUEUE, TASKS))


if __name__ == "__main__":
    sys.exit(main())
