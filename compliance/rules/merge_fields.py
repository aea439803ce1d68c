"""Every field in the text has a value for everybody."""

from __future__ import annotations

from compliance.gate import BLOCK, Proposal
from compliance.rules import Finding, fine, rule


@rule(
    "CONTENT-MERGE",
    version=1,
    label="Fields filled in",
    source="OURS",
    duty="Each field resolves or has words to use instead; trial messages for real contacts could be written.",
    policy_rule="4.2",
    order=35,
)
def judge(proposal: Proposal) -> Finding:
    """Judge problems of the merge language and empty values; OURS."""
    if proposal.merge_problems:
        return Finding(BLOCK, proposal.merge_problems[0], {"problems": len(proposal.merge_problems)})
    if not proposal.samples:
        return Finding(BLOCK, "No message could be written for trial yet.", {})
    if not proposal.audience.are_values_counted:
        return Finding(BLOCK, "We are still counting whether everybody has the values.", {"counting": True})
    if proposal.audience.missing_values:
        name, people = proposal.audience.missing_values[0]
        who = "1 person" if people == 1 else f"{people:,} people"
        text = f"{_spoken(name)} is blank for {who}. Add words to use instead."
        return Finding(BLOCK, text, {"field": name, "people": people})
    return fine(f"Written for trial for {len(proposal.samples)} of your contacts.", samples=len(proposal.samples))


def _spoken(name: str) -> str:
    return name[:1].upper() + name[1:].replace("_", " ")
