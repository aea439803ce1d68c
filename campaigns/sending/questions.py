# ruff: noqa: S608 (the pieces put together are our own SQL, never data)
"""What the database is asked about recipients at the claim: who is in a chunk, who is due again, what keeps each back.

SQL only. Put together when it is asked and kept by the allowed bases, which are a setting: a lane follows the setting
of its own process, and nothing is frozen at import.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from django.conf import settings

from campaigns.sending.turns import RETRYABLE_SQL
from compliance.consent import mailable_sql
from compliance.suppression import live_suppression_sql

_PEOPLE: Final = """
LEFT JOIN compliance_listmembership m ON m.id = d.membership_id
LEFT JOIN compliance_contact k ON k.id = m.contact_id
LEFT JOIN compliance_contactlist l ON l.id = m.contact_list_id
"""


@lru_cache(maxsize=8)
def _reason(allowed: tuple[str, ...]) -> str:
    """Return why a delivery may not go now, '' when it may; `allowed` are the bases that mailable_sql reads."""
    return f"""CASE WHEN {live_suppression_sql("d.address_hash", "d.organization_id")} THEN 'suppressed'
  WHEN m.id IS NULL THEN 'removed' ELSE {mailable_sql("m", "k", "l")} END"""


def _reason_now() -> str:
    return _reason(tuple(settings.ALLOWED_BASES))


def fetch() -> str:
    """Return the question for a chunk's people without an outcome, in order."""
    return f"""
SELECT d.id, d.address, d.merge, {_reason_now()} AS reason, d.seq
FROM campaigns_delivery d {_PEOPLE}
WHERE d.campaign_id = %(campaign)s AND d.seq BETWEEN %(first)s AND %(last)s
  -- Asked for each, not joined: without fresh statistics a join reads these growing tables whole, at every claim.
  AND (SELECT x.id FROM campaigns_outcome x WHERE x.delivery_id = d.id LIMIT 1) IS NULL
  AND (SELECT r.id FROM campaigns_retry r WHERE r.delivery_id = d.id LIMIT 1) IS NULL -- put off
ORDER BY d.seq LIMIT %(limit)s
"""


def retries(deaths: str) -> str:
    """Return the statement that leases retries that are due; `deaths` is the condition on them, "= 0" or "> 0"."""
    return f"""
WITH due AS (
  SELECT r.id FROM campaigns_retry r
  JOIN campaigns_campaign c ON c.id = r.campaign_id
  JOIN accounts_organization o ON o.id = r.organization_id
  WHERE r.relay = %(from)s AND r.campaign_id = %(campaign)s AND r.due_at <= now() AND r.lease_until IS NULL
    AND r.deaths {deaths} AND {RETRYABLE_SQL}
  ORDER BY r.due_at LIMIT %(limit)s FOR UPDATE OF r SKIP LOCKED
), taken AS (
  UPDATE campaigns_retry r SET lease_until = now() + make_interval(secs => %(seconds)s), fence = fence + 1,
    owner = %(owner)s, relay = %(relay)s -- whoever holds it answers for it: recovery asks by relay and owner
  FROM due WHERE r.id = due.id RETURNING r.*
)
SELECT t.id AS retry_id, t.fence, t.attempt, t.first_at, d.id, d.campaign_id, d.organization_id, d.address, d.merge,
       {_reason_now()} AS reason,
       (SELECT x.state FROM campaigns_outcome x WHERE x.delivery_id = d.id ORDER BY x.id DESC LIMIT 1) AS previous
FROM taken t JOIN campaigns_delivery d ON d.id = t.delivery_id {_PEOPLE}
"""


def recheck() -> str:
    """Return the question what now keeps some deliveries back."""
    return f"SELECT d.id, {_reason_now()} FROM campaigns_delivery d {_PEOPLE} WHERE d.id = ANY(%s)"
