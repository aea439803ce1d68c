"""Only a verified sender in good standing mails."""

from __future__ import annotations

from compliance.gate import BLOCK, HOLD, WARN, Proposal
from compliance.rules import Finding, fine, rule


@rule(
    "ID-LEGAL-ENTITY",
    version=1,
    label="Verified sender",
    source="Directive 2000/31/EC art 5(1)(a)-(g) (unconfirmed); SOR/2012-36 s.2(1) [S]; Spam Act 2003 (AU) s.17 [S]",
    duty="The sender is a real, named business that our staff has verified and that may send today.",
    policy_rule="4.1",
    fix="verify",
    order=5,
)
def judge(proposal: Proposal) -> Finding:
    """Ask standing and allowance; Directive 2000/31/EC art 5(1) (unconfirmed)."""
    sender = proposal.sender
    if not sender.may_send:
        words = "Your organization may not send yet. Finish the verification; tests to your own address work already."
        if sender.standing in ("suspended", "blocked"):
            words = "Sending is stopped for your organization. The standing page says why and how to answer."
        return Finding(BLOCK, words, {"standing": sender.standing})
    if sender.standing == "warned":
        words = "You are warned, so our staff read each campaign before it goes. The standing page says why."
        return Finding(HOLD, words, {"standing": sender.standing})
    if not proposal.audience.is_counted:
        return Finding(WARN, "Known when the people are counted: whether all of them fit into today.", {})
    if proposal.audience.mailable > sender.allowance_left:
        over = proposal.audience.mailable - sender.allowance_left
        words = f"{over:,} people wait for the next day: your allowance is {sender.allowance:,} messages a day."
        return Finding(WARN, words, {"allowance": sender.allowance, "left": sender.allowance_left})
    return fine("Verified, and within today's allowance.", allowance=sender.allowance)
