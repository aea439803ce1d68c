"""The one task of a lane's process, apart from the others: their imports are most of a worker's memory."""

from __future__ import annotations

import gc
import logging
from typing import Any

from celery import shared_task
from celery.worker import state as worker

from campaigns.sending import deliver, poke
from sendserver.lib import memory

log = logging.getLogger(__name__)


@shared_task(name="campaigns.run_lane", bind=True)
def run_lane(self: Any, relay_key: str) -> None:
    """Serve one relay for a slice; a task that came through another relay's queue is refused."""
    queue = (self.request.delivery_info or {}).get("routing_key")
    if queue and queue != relay_key:
        log.error("a worker of %s was asked to serve %s", queue, relay_key)
        return
    report = deliver.run_lane(relay_key, should_end=_is_told_to_stop)
    gc.collect()  # a slice's parts know each other: without this the next slice comes on top of this one
    memory.give_back()
    if report.more:
        poke.poke(relay_key, by=self.app)
    elif report.attempted:
        poke.poke_sweep(by=self.app)  # whoever looks at the page need not wait for beat to see the report


def _is_told_to_stop() -> bool:
    """Tell whether this worker got SIGTERM: a slice is longer than the patience of whoever restarts us."""
    return worker.should_stop is not None or worker.should_terminate is not None
