"""Nothing is written that nobody can read."""

from __future__ import annotations

import re

from compliance.gate import HOLD, Proposal
from compliance.policy import HIDDEN_MAX_CHARS
from compliance.rules import Finding, fine, rule
from compliance.visible import hidden_characters

OVERLAY = re.compile(r"position\s*:\s*(fixed|absolute|sticky)", re.IGNORECASE)


@rule(
    "CONTENT-HIDDEN",
    version=1,
    label="No hidden text",
    source="Gmail sender guidelines (unconfirmed); OURS",
    duty="At most a preview line is invisible.",
    policy_rule="4.5",
    order=32,
)
def judge(proposal: Proposal) -> Finding:
    """Count invisible characters besides the preview line; Gmail sender guidelines (unconfirmed)."""
    if not proposal.samples:
        return Finding(HOLD, "There is no message to look at yet.", {})
    html = proposal.samples[0].html
    hidden = max(0, hidden_characters(html) - len(proposal.preheader))
    if hidden > HIDDEN_MAX_CHARS:
        text = f"{hidden:,} characters cannot be seen. Remove them, or our staff looks first."
        return Finding(HOLD, text, {"characters": hidden})
    if OVERLAY.search(html):
        return Finding(HOLD, "A block is laid over others. Remove its position, or our staff looks first.", {})
    return fine("Everything written can be read.")
