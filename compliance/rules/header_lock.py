"""Nothing a customer types or a contact's data holds can begin a header of its own."""

from __future__ import annotations

import re

from compliance.gate import BLOCK, Proposal
from compliance.rules import Finding, fine, rule

UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # also what turns the direction of text
ONCE = ("from", "to", "subject", "date", "message-id", "mime-version", "content-type", "list-unsubscribe", "reply-to")
NEVER = ("bcc", "cc", "sender", "return-path", "disposition-notification-to", "return-receipt-to", "x-mailer")


@rule(
    "ID-HEADER-LOCK",
    version=1,
    label="Headers built by us",
    source="15 U.S.C. 7704(a)(1) (unconfirmed); RCW 19.190.020(1)(a) [P]; RFC 5322 section 3.6",
    duty="A customer sets subject, preview line, From and reply address by choice; every other header is ours.",
    policy_rule="4.1",
    order=14,
)
def judge(proposal: Proposal) -> Finding:
    """Refuse control characters in what becomes a header, and doubled or forbidden headers; RFC 5322 section 3.6."""
    typed = (proposal.subject, proposal.preheader, proposal.from_.display_name, proposal.from_.reply_to)
    merged = tuple(sample.subject for sample in proposal.samples)
    if any(UNSAFE.search(text) for text in typed + merged):
        return Finding(BLOCK, "Subject, preview line or a field in them holds a line break. Write it in one line.", {})
    names = [name.lower() for name, _ in proposal.headers]
    wrong = [name for name in NEVER if name in names] + [name for name in ONCE if names.count(name) > 1]
    if wrong:
        return Finding(
            BLOCK, "The header of this message is not as it must be. Our staff sees it too.", {"headers": wrong}
        )
    return fine("Subject and sender stand in one line each.")
