"""Behind every list stands a signed statement."""

from __future__ import annotations

from compliance.gate import BLOCK, WARN, Proposal
from compliance.rules import Finding, fine, rule


@rule(
    "SRC-PROHIBITED",
    version=1,
    label="Consent on record for every list",
    source="15 U.S.C. 7704(b)(1)(A) (unconfirmed); Spam Act 2003 (AU) ss.20-22 [S]; PIPEDA s.7.1 (unconfirmed)",
    duty="No bought, rented, third-party or harvested lists: a person signed for each that it is none.",
    policy_rule="2.2",
    fix="lists",
    order=50,
)
def judge(proposal: Proposal) -> Finding:
    """Ask for a signed statement and no hold on each list; Anti-Spam Policy 2.1 and 2.2."""
    if not proposal.lists:
        return Finding(BLOCK, "Choose a list.", {})
    bare = [one.name for one in proposal.lists if not one.attested]
    if bare:
        text = f"“{bare[0]}” has no signed statement of where its addresses come from. Upload it and sign."
        return Finding(BLOCK, text, {"lists": len(bare)})
    held = [one for one in proposal.lists if one.held_reason]
    if held and len(held) == len(proposal.lists):
        return Finding(BLOCK, f"“{held[0].name}” waits for our staff: {held[0].held_reason}", {"lists": len(held)})
    if held:
        return Finding(WARN, f"“{held[0].name}” waits for our staff, so its people are left out.", {"lists": len(held)})
    return fine("Each list has a signed statement.", lists=len(proposal.lists))
