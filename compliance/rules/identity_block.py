"""Every message says who sends it."""

from __future__ import annotations

from compliance.gate import BLOCK, Proposal
from compliance.rules import Finding, fine, rule
from compliance.visible import shows, words

REASON = "You get this because"


@rule(
    "ID-FOOTER-BLOCK",
    version=1,
    label="Sender shown",
    source="Directive 2000/31/EC art 5 (unconfirmed); DDG s.5-6; CASL 6(2) and SOR/2012-36 s.2(1) [S]",
    duty="Each message shows legal name, register number, a contact and why the person gets it.",
    policy_rule="4.4",
    fix="verify_business",
    order=10,
)
def judge(proposal: Proposal) -> Finding:
    """Look for the identity block in both parts; Directive 2000/31/EC art 5 (unconfirmed), SOR/2012-36 s.2 [S]."""
    who = proposal.identity
    if not (who.legal_name and who.contact):
        return Finding(BLOCK, "Your business details are not complete. Add legal name and a contact.", {})
    if not proposal.samples:
        return Finding(BLOCK, "There is no message to look at yet.", {})
    sample = proposal.samples[0]
    wanted = [text for text in (who.legal_name, who.register, who.contact, REASON) if text]
    missing = [t for t in wanted if not shows(sample.html, t) or words(t) not in words(sample.text)]
    if missing:
        text = "The footer with your name and contact cannot be seen. Remove what hides it; we add it by itself."
        return Finding(BLOCK, text, {"missing": missing})
    return fine("Legal name, contact and the reason stand in the footer. Added for you.")
