"""Tell a lane that there is work. A poke may be lost or repeated: beat pokes again, the work stands in PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache, partial

from celery import Celery
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


def poke_after_commit(relay_keys: Iterable[str]) -> None:
    """Poke each lane once the open transaction has committed; without one, at once."""
    for key in sorted(set(relay_keys)):
        transaction.on_commit(partial(poke, key))


def poke(relay_key: str, *, by: Celery | None = None) -> None:
    """Put "this relay has work" into the relay's queue; a broker that is away is not an error (beat pokes again).

    `by` is an application that this process has already; without it one is made for all pokes.
    """
    _send("campaigns.run_lane", [relay_key], relay_key, by)


def poke_inbound() -> None:
    """Say that mail has come in."""
    _send("campaigns.process_inbound", [], "inbound")


def poke_planner() -> None:
    """Say that a campaign was approved and waits to be planned."""
    _send("campaigns.start_due", [], "work")


def poke_sweep(*, by: Celery | None = None) -> None:
    """Say that a lane has run dry: a campaign may have ended with it."""
    _send("campaigns.sweep", [], "work", by)


@lru_cache(maxsize=1)
def _broker() -> Celery:
    """Return a sender of our own: the application of the workers stands on the roof, and nobody imports the roof."""
    app = Celery("pokes", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    return app


def _send(task: str, arguments: list[str], queue: str, by: Celery | None = None) -> None:
    try:
        (by or _broker()).send_task(task, args=arguments, queue=queue, ignore_result=True, retry=False, expires=60)
    except (OperationalError, OSError):
        log.warning("no broker for a poke of %s", queue)
