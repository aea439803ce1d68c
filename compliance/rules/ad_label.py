"""Advertising is recognisable where people have not expressly agreed."""

from __future__ import annotations

import re

from compliance.gate import BLOCK, WARN, Proposal
from compliance.rules import Finding, fine, rule

LABELS = (
    "advertisement",
    "advertising",
    "anzeige",
    "werbung",
    "publicité",
    "pubblicità",
    "publicidad",
    "reclame",
    "annons",
)
BEGINNING = 200  # characters of the text part in which the label must stand


@rule(
    "AD-LABEL",
    version=1,
    label="Recognisable as advertising",
    source="15 U.S.C. 7704(a)(5)(A)(i) and (B) [S]; Directive 2000/31/EC art 6(a), 7(1) [P]; CAP Code 2.2 [S]; DDG s.6",
    duty="When somebody is mailed without an express permission, the message begins with the word for advertising.",
    policy_rule="3.3",
    order=21,
)
def judge(proposal: Proposal) -> Finding:
    """Ask for a label unless every recipient agreed expressly; Directive 2000/31/EC art 7(1) [P]."""
    if not proposal.audience.is_counted:
        return Finding(WARN, "Known when the people are counted: who did not agree expressly needs a label.", {})
    without = proposal.audience.without_express
    if not without:
        return fine("Everybody agreed expressly, so no label is needed.")
    start = proposal.samples[0].text[:BEGINNING] if proposal.samples else ""
    opening = set(re.findall(r"\w+", f"{proposal.preheader} {start}".lower()))
    if opening & set(LABELS):
        return fine("The message begins with a label.", people=without)
    text = f"{without:,} people have not agreed expressly. Begin the preview line and the text with “Advertisement”."
    return Finding(BLOCK, text, {"people": without})
