"""The do-not-mail list as a file, for a sender that leaves with its duties: fingerprints only (rules UNSUB-TRANSFER).

Only the organization's own entries, never the platform's, never another sender's; by an owner, with a reason, written
down before the first row leaves.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from django.db.models import QuerySet

from accounts import audit
from accounts.models import Organization, User
from compliance.errors import ExportRefusedError
from compliance.models import Suppression
from sendserver.lib import clock

HEADER = ("fingerprint", "key", "reason", "source", "since", "until")
REASON_MIN = 10  # characters: a word is no reason


def export(organization: Organization, *, actor: User, reason: str) -> Iterator[str]:
    """Return the lines of a CSV file after the export was written down; ExportRefusedError without a reason.

    A fingerprint is HMAC-SHA256 of the lower-case address under the named key, in hexadecimal. Who is allowed to ask
    is the view's question (owners only).
    """
    if len(reason.strip()) < REASON_MIN:
        raise ExportRefusedError("Say in a sentence what the file is needed for. It is kept with your name.")
    rows = own_rows(organization)
    audit.record(
        "suppression.exported",
        actor=actor,
        organization=organization,
        subject=f"organization:{organization.uid}",
        reason=reason.strip(),
        detail={"entries": rows.count()},
    )
    return _lines(rows)


def own_rows(organization: Organization) -> QuerySet[Suppression]:
    """Return the organization's own entries in force, oldest first."""
    rows = Suppression.objects.filter(organization=organization, lifted_at=None)
    return rows.exclude(until__lte=clock.now()).order_by("pk")


def _lines(rows: QuerySet[Suppression]) -> Iterator[str]:
    yield _line(HEADER)
    for row in rows.iterator(chunk_size=2000):
        until = f"{row.until:%Y-%m-%d}" if row.until else ""
        yield _line(
            (bytes(row.address_hash).hex(), row.key_id, row.reason, row.source, f"{row.created_at:%Y-%m-%d}", until)
        )


def _line(cells: tuple[str, ...]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
