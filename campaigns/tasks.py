"""Thin tasks: pokes and beats. The work stands in PostgreSQL; losing or repeating any of these harms nothing."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from celery.worker import state as worker

from campaigns import planning
from campaigns.inbound import process
from campaigns.sending import deliver, poke, relay_log, relays, sweep

log = logging.getLogger(__name__)


@shared_task(name="campaigns.run_lane", bind=True)
def run_lane(self: Any, relay_key: str) -> None:
    """Serve one relay for a slice; a task that came through another relay's queue is refused."""
    queue = (self.request.delivery_info or {}).get("routing_key")
    if queue and queue != relay_key:
        log.error("a worker of %s was asked to serve %s", queue, relay_key)
        return
    report = deliver.run_lane(relay_key, should_end=_is_told_to_stop)
    if report.more:
        poke.poke(relay_key)
    elif report.attempted:
        poke.poke_sweep()  # whoever looks at the page need not wait for beat to see the report


def _is_told_to_stop() -> bool:
    """Tell whether this worker got SIGTERM: a slice is longer than the patience of whoever restarts us."""
    return worker.should_stop is not None or worker.should_terminate is not None


@shared_task(name="campaigns.poke_lanes")
def poke_lanes() -> None:
    """Poke both lanes."""
    for key in relays.KEYS:
        poke.poke(key)


@shared_task(name="campaigns.start_due")
def start_due() -> None:
    """Start and plan what is due."""
    planning.start_due()


@shared_task(name="campaigns.sweep")
def sweep_campaigns() -> None:
    """End what has ended."""
    sweep.sweep()


@shared_task(name="campaigns.read_relay_logs")
def read_relay_logs() -> None:
    """Read on in the relays' logs and use what they say."""
    relay_log.read_logs()


@shared_task(name="campaigns.process_inbound")
def process_inbound() -> None:
    """Read mail that came in."""
    process.process_waiting()
