"""A message is small enough to be shown whole."""

from __future__ import annotations

from compliance.gate import BLOCK, WARN, Proposal
from compliance.policy import HTML_MAX_KB, HTML_WARN_KB, MSG_MAX_KB
from compliance.rules import Finding, fine, rule

KB = 1_000


@rule(
    "CONTENT-SIZE",
    version=1,
    label="Size",
    source="OURS; Gmail clips near 102 KB (unconfirmed)",
    duty="The HTML part stays small, so that no mail program cuts off the footer.",
    policy_rule="4.3",
    order=33,
)
def judge(proposal: Proposal) -> Finding:
    """Measure the largest sample; OURS, because Gmail clips near 102 KB (unconfirmed)."""
    if not proposal.samples:
        return Finding(BLOCK, "There is no message to look at yet.", {})
    html = max(len(sample.html.encode()) for sample in proposal.samples)
    whole = max(sample.size for sample in proposal.samples)
    figures = {"html": html, "message": whole}
    if html > HTML_MAX_KB * KB or whole > MSG_MAX_KB * KB:
        return Finding(BLOCK, f"The page is {html // KB} KB, and {HTML_MAX_KB} KB is the most. Shorten it.", figures)
    if html > HTML_WARN_KB * KB:
        return Finding(WARN, f"The page is {html // KB} KB. Above {HTML_MAX_KB} KB it cannot be sent.", figures)
    return fine(f"{max(1, html // KB)} KB.", **figures)
