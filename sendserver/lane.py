"""A lane's process: `python -m sendserver.lane relay-1` is a Celery worker that knows one queue and one task.

The same worker as Celery's own command starts, begun without that command (its shell costs 8 MiB), without the
portal's other tasks, and without the checks that load every page. What of those checks concerns a lane is asked here.
"""

from __future__ import annotations

import gc
import logging.config
import os
import socket
import sys
from typing import Final

from celery import Celery
from celery.apps.worker import Worker
from celery.signals import setup_logging
from django.conf import settings
from kombu import Queue

from sendserver.lib import memory
from sendserver.lib.logs import keep_logging

TASKS: Final = "campaigns.lane_task"


def application(queue: str, tasks: str = TASKS) -> Celery:
    """Return the Celery application of one lane: its queue, its task, nothing else.

    `tasks` is the module of another process that stays as small (sendserver.importer).
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "sendserver.lane_settings"
    os.environ["CELERY_SKIP_CHECKS"] = "on"  # they load the URLs, and with them every view; see refuse_wrong_relays
    app = Celery("sendserver")
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.imports = (tasks,)
    logging.config.dictConfig(settings.LOGGING)
    setup_logging.connect(keep_logging)
    app.conf.task_queues = [Queue(queue)]
    app.conf.task_default_queue = queue
    return app


def refuse_wrong_relays() -> None:
    """End this process when the relays may not be used as they are set: the check that concerns a lane."""
    from campaigns.sending import relays

    problems = relays.problems()
    if problems:
        sys.exit("\n".join(problems))


def made_worker(queue: str, tasks: str = TASKS) -> Worker:
    """Return the Celery worker of one lane with all that it needs loaded, not yet started."""
    worker: Worker = application(queue, tasks).Worker(
        hostname=f"{queue}@{socket.gethostname()}",
        pool_cls="solo",
        queues=[queue],
        without_gossip=True,  # it need not know of other workers
        without_mingle=True,
    )
    return worker


def main(arguments: list[str]) -> int:
    """Serve the queue of the relay named until told to end; return the worker's exit code."""
    if len(arguments) != 1 or arguments[0] not in ("relay-1", "relay-2"):
        sys.exit("Say which relay: python -m sendserver.lane relay-1 (or relay-2).")
    memory.save()
    worker = made_worker(arguments[0])
    refuse_wrong_relays()
    return serve(worker)


def serve(worker: Worker) -> int:
    """Let a worker serve its queue until told to end; return its exit code."""
    gc.collect()
    gc.freeze()  # what is loaded by now stays: no later look for cycles walks it
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
