"""What of reports is deleted when (rules DATA-RETENTION). Decisions are evidence and stay."""

from __future__ import annotations

from typing import Final

from compliance import policy
from compliance.retention import Rule, days, months

RULES: Final = (
    Rule(
        "report_sources",
        "Sources of reported messages, as they were pasted",
        f"{policy.RET_RAW_D} days",
        days(policy.RET_RAW_D),
        "SELECT id FROM abuse_complaint WHERE received_at < %(before)s AND raw IS NOT NULL",
        "UPDATE abuse_complaint SET raw = NULL WHERE id = ANY(%(keys)s)",
    ),
    Rule(
        "reporters",
        "Who reported, and in which words",
        f"{policy.RET_CASE_Y} years after the case closed",
        months(12 * policy.RET_CASE_Y),
        """SELECT r.id FROM abuse_complaint r LEFT JOIN abuse_case k ON k.id = r.case_id
           WHERE (r.reporter_email <> '' OR r.reporter_name <> '' OR r.text <> '' OR r.network <> '' OR r.found <> '{}')
           AND CASE WHEN k.id IS NULL THEN r.received_at ELSE k.decided_at END < %(before)s""",
        """UPDATE abuse_complaint SET reporter_email = '', reporter_name = '', text = '', network = '', found = '{}'
           WHERE id = ANY(%(keys)s)""",
    ),
)
