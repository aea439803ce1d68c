"""Thin tasks: pokes and beats. The work stands in PostgreSQL; losing or repeating any of these harms nothing."""

from __future__ import annotations

from celery import shared_task

from campaigns import alarms, lost_links, planning
from campaigns.breakdown import known as _breakdown  # noqa: F401 (a worker answers its questions once it is loaded)
from campaigns.inbound import process
from campaigns.lane_task import run_lane
from campaigns.sending import poke, relay_log, relays, sweep

__all__ = [
    "answer_lost_links",
    "poke_lanes",
    "process_inbound",
    "read_relay_logs",
    "run_lane",
    "start_due",
    "sweep_campaigns",
    "watch",
]


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


@shared_task(name="campaigns.answer_lost_links")
def answer_lost_links() -> None:
    """Mail the links that people asked for."""
    lost_links.answer_waiting()


@shared_task(name="campaigns.watch")
def watch() -> None:
    """Look whether a person must be called."""
    alarms.watch()
