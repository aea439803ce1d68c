"""Every message carries the sender's postal address where people can read it."""

from __future__ import annotations

from compliance.gate import BLOCK, Proposal
from compliance.rules import Finding, fine, rule
from compliance.visible import shows, words


@rule(
    "CANSPAM-POSTAL-ADDRESS",
    version=1,
    label="Postal address shown",
    source="15 U.S.C. 7704(a)(5)(A)(iii) [S]; 16 CFR 316.2(p) [S]; CASL 6(2), SOR/2012-36 s.2(1)(d) [S]",
    duty="The verified postal address stands, readable, in the HTML part and in the text part.",
    policy_rule="4.4",
    fix="verify_business",
    order=11,
)
def judge(proposal: Proposal) -> Finding:
    """Look for the verified address, visibly, in both parts; 15 U.S.C. 7704(a)(5)(A)(iii) [S]."""
    address = proposal.identity.postal_line
    if not address:
        return Finding(BLOCK, "There is no postal address on file. Add it to your business details.", {})
    if not proposal.samples:
        return Finding(BLOCK, "There is no message to look at yet.", {})
    sample = proposal.samples[0]
    seen = {"html": shows(sample.html, address), "text": words(address) in words(sample.text)}
    if not all(seen.values()):
        words_ = "Your postal address cannot be read in the message. Remove the style that hides or shrinks the footer."
        return Finding(BLOCK, words_, seen)
    return fine("In the footer of both versions. Added for you.")
