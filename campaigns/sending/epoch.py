"""A restored copy asks before it sends (architecture rule 13): does the database still know what this host has seen?

The host remembers the highest numbers of three tables that only grow, and the timeline. A database behind them was
restored, or lost its last commits in a failover: it would send again what it has forgotten. All campaigns are braked
then until a person lifts the brake; our own mail goes on, since a sign-in code that comes twice harms nobody.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection

from campaigns import brakes
from campaigns.models import Brake

# Committed rows of tables without deletes of the newest: a crash of the server takes none of them back.
_SEEN: Final = """
SELECT (SELECT COALESCE(max(id), 0) FROM campaigns_outcome), (SELECT COALESCE(max(id), 0) FROM campaigns_event),
       (SELECT COALESCE(max(id), 0) FROM accounts_auditentry), left(pg_walfile_name(pg_current_wal_lsn()), 8)
"""
_REASON: Final = (
    "The database is older than what this server has seen, or was moved to another: it may have been restored."
    " Messages that it has forgotten would be sent again. Look at the relays' logs before you lift this."
)


def check() -> bool:
    """Compare the database with this host's memory and remember it anew; False, with a brake on, if it is behind.

    A host without a memory adopts what it finds; one whose memory cannot be read asks.
    """
    known = _read()  # before the database: another lane may remember more while we ask
    with connection.cursor() as cursor:
        cursor.execute(_SEEN)
        *numbers, timeline = cursor.fetchone()
    is_behind = known is not None and (
        any(now < then for now, then in zip(numbers, known["numbers"], strict=True)) or timeline != known["timeline"]
    )
    if is_behind:
        brakes.set_brake(Brake.Kind.EPOCH, _REASON)  # it stands in the database, so the memory may follow
    _write({"numbers": numbers, "timeline": timeline})
    return not is_behind


def path() -> Path:
    """Return where this host keeps its memory."""
    return Path(settings.JOURNAL_DIR) / "epoch.json"


def _read() -> dict[str, list[int]] | None:
    try:
        stored: dict[str, list[int]] = json.loads(path().read_text())
    except FileNotFoundError:
        return None
    except ValueError:  # the host went down while it was written
        return {"numbers": [2**63] * 3, "timeline": []}
    return stored


def _write(memory: dict[str, object]) -> None:
    draft = path().with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft.write_text(json.dumps(memory))
    draft.replace(path())
