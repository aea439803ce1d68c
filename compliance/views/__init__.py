"""Pages of compliance: load, call one function, answer."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


def poke(task: Any, job_id: int) -> None:
    """Ask a worker to look at a job once the transaction is through; a silent broker only costs time, beat asks too."""

    def send() -> None:
        try:
            task.delay(job_id)
        except OperationalError:
            log.warning("broker did not answer; job %s waits for the beat", job_id)

    transaction.on_commit(send)
