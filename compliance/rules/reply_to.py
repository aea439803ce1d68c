"""People can answer."""

from __future__ import annotations

from datetime import timedelta

from compliance.gate import BLOCK, Proposal
from compliance.policy import REPLY_CONFIRMED_D
from compliance.rules import Finding, fine, rule

DEAF = ("noreply", "no-reply", "no_reply", "donotreply", "do-not-reply", "nepasrepondre", "keine-antwort")


@rule(
    "ID-REPLY-TO",
    version=1,
    label="Replies reach you",
    source="Directive 2002/58/EC art 13(4), a valid address [S]; UWG s.7(2) no.3 c [P]",
    duty="Replies go to a mailbox that someone confirmed to read.",
    policy_rule="4.4",
    fix="domains",
    order=13,
)
def judge(proposal: Proposal) -> Finding:
    """Ask for a confirmed mailbox that is no "noreply"; Directive 2002/58/EC art 13(4) [S]."""
    address = proposal.from_.reply_to or proposal.from_.address
    if not address:
        return Finding(BLOCK, "Choose a From address; its replies need a mailbox.", {})
    if address.partition("@")[0].lower() in DEAF:
        return Finding(BLOCK, "Replies would go to a “noreply” mailbox. Name one that someone reads.", {})
    confirmed = proposal.from_.reply_confirmed_at
    if confirmed is None or confirmed < proposal.now - timedelta(days=REPLY_CONFIRMED_D):
        text = f"Confirm the reply mailbox: we mail it a link. A confirmation counts for {REPLY_CONFIRMED_D} days."
        return Finding(BLOCK, text, {"confirmed": confirmed.isoformat() if confirmed else None})
    return fine(f"Replies go to {address}.")
