"""What of sending is deleted when (rules DATA-RETENTION); compliance.retention does it.

A delivery loses address and merge values and keeps the keyed hash, so that its links work for ever: who unsubscribes
by a message of three years ago is put on the do-not-mail list by that hash.
"""

from __future__ import annotations

from typing import Final

from compliance import policy
from compliance.retention import Rule, days, months

RULES: Final = (
    Rule(
        "deliveries",
        "Addresses and merge values of messages; the keyed hash stays",
        f"{policy.RET_SENDLOG_MONTHS} months after the campaign",
        months(policy.RET_SENDLOG_MONTHS),
        """SELECT d.id FROM campaigns_delivery d JOIN campaigns_campaign c ON c.id = d.campaign_id
           WHERE d.address <> '' AND c.state IN ('sent', 'stopped')
           AND COALESCE(c.finished_at, c.updated_at) < %(before)s
           AND NOT EXISTS (SELECT 1 FROM campaigns_retry r WHERE r.delivery_id = d.id)""",
        "UPDATE campaigns_delivery SET address = '', merge = '{}' WHERE id = ANY(%(keys)s)",
    ),
    Rule(
        "raw_mail",
        "Mail that came back, as it came",
        f"{policy.RET_RAW_D} days",
        days(policy.RET_RAW_D),
        """SELECT id FROM campaigns_inboundmail
           WHERE received_at < %(before)s AND processed_at IS NOT NULL AND (raw <> '' OR mail_from <> '')""",
        "UPDATE campaigns_inboundmail SET raw = '', mail_from = '' WHERE id = ANY(%(keys)s)",
    ),
    Rule(
        "own_mail",
        "Our own letters and codes, after they were sent",
        f"{policy.RET_SMTP_D} days",
        days(policy.RET_SMTP_D),
        "SELECT id FROM campaigns_systemmail WHERE created_at < %(before)s AND state IN ('sent', 'failed')",
        "DELETE FROM campaigns_systemmail WHERE id = ANY(%(keys)s)",
    ),
    Rule(
        "relay_logs",
        "What the relays' logs said of each message",
        f"{policy.RET_SMTP_D} days",
        days(policy.RET_SMTP_D),
        "SELECT id FROM campaigns_relaytrace WHERE seen_at < %(before)s",
        "DELETE FROM campaigns_relaytrace WHERE id = ANY(%(keys)s)",
    ),
    Rule(
        "self_tests",
        "Messages of the relays' self-test",
        f"{policy.RET_SMTP_D} days",
        days(policy.RET_SMTP_D),
        "SELECT id FROM campaigns_relayprobe WHERE sent_at < %(before)s AND judged_at IS NOT NULL",
        "DELETE FROM campaigns_relayprobe WHERE id = ANY(%(keys)s)",
    ),
)
