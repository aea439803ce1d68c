"""The head of the ledger, signed and carried out of the database: kept, appended to a file, logged, mailed.

The file (VAR_DIR/ledger/heads.jsonl) is for backups on another machine; the daily letter is in somebody's mailbox, and
the public page shows the latest. Each of them names a place in the chain that nobody can rewrite unnoticed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts import notices
from accounts.models import LedgerEntry, LedgerHead
from sendserver.lib import clock, heads, ratelimit
from sendserver.lib.heads import Head

log = logging.getLogger(__name__)
DAY: Final = 86_400  # seconds


def export() -> Head | None:
    """Sign the newest entry and write it out; None when nothing was added since the last head."""
    last = LedgerEntry.objects.order_by("-position").first()
    if last is None or LedgerHead.objects.filter(pk__gte=last.position).exists():
        return None
    head = heads.signed(last.position, bytes(last.entry_hash), clock.now())
    try:
        with transaction.atomic():
            LedgerHead.objects.create(
                position=head.position,
                entry_hash=head.entry_hash,
                at=head.at,
                key_id=head.key_id,
                signature=head.signature,
            )
    except IntegrityError:
        return None  # another worker was faster
    _append(head.as_line())
    log.info("ledger head: %s signature %s", head.text, head.signature.hex())
    return head


def file() -> Path:
    """Return where heads are appended, one JSON object a line."""
    return Path(settings.VAR_DIR) / "ledger" / "heads.jsonl"


def _append(line: str) -> None:
    path = file()
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as out:
        out.write(line + "\n")
        out.flush()
        os.fsync(out.fileno())


def read(path: Path) -> Iterator[Head]:
    """Yield the heads of an exported file; ValueError names the line that is none."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield heads.from_line(line)
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}, line {number}: not a ledger head") from error


def of_row(row: LedgerHead) -> Head:
    """Return a kept head."""
    return Head(row.pk, bytes(row.entry_hash), row.at, row.key_id, bytes(row.signature))


def latest(count: int) -> list[Head]:
    """Return the newest heads, newest first."""
    return [of_row(row) for row in LedgerHead.objects.order_by("-pk")[:count]]


def mail_daily() -> int:
    """Mail the newest head to the person on duty, once a day; return how many letters were queued."""
    newest = latest(1)
    today = f"{clock.now():%Y-%m-%d}"
    if not newest or not ratelimit.allow("ledger-head", today, limit=1, seconds=2 * DAY):
        return 0
    context = {"head": newest[0], "keys": heads.public_keys()}
    subject = f"Ledger head {newest[0].position:,} of {today}"
    return notices.send_notice(
        [settings.ONCALL_EMAIL], subject=subject, template="emails/ledger_head.txt", context=context
    )
