"""Who did what, when and why: the audit log, append-only and chained over the whole platform.

Holds ids and counts only: no addresses, no networks, no message texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts.ledger import BrokenLink, append_chained, first_broken
from accounts.models import AuditEntry, Organization, User
from sendserver.lib import clock


def record(  # noqa: PLR0913 (one row, keywords only)
    action: str,
    *,
    actor: User | None,
    subject: str,
    organization: Organization | None = None,
    reason: str = "",
    detail: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Write one audit row and return it; `actor` None is the system, `subject` reads "campaign:<uuid>".

    Call it last in the transaction that does the act, so that both stand or fall together.
    """
    fields = {
        "at": clock.now(),
        "actor_uid": actor.uid if actor else None,
        "organization_id": organization.pk if organization else None,
        "action": action,
        "subject": subject,
        "reason": reason,
        "detail": dict(detail or {}),
    }
    return append_chained(AuditEntry, fields)


def verify() -> BrokenLink | None:
    """Return the first audit row that was altered, removed or slipped in, or None."""
    return first_broken(AuditEntry)
