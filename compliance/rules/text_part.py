"""People without HTML read the same."""

from __future__ import annotations

from selectolax.lexbor import LexborHTMLParser

from compliance.gate import BLOCK, WARN, Proposal
from compliance.policy import TEXT_MIN_SHARE
from compliance.rules import Finding, fine, rule


@rule(
    "CONTENT-TEXTPART",
    version=1,
    label="Plain-text version made",
    source="RFC 2046 section 5.1.4",
    duty="A plain-text part says what the HTML part says, with address and unsubscribe.",
    policy_rule="4.3",
    order=34,
)
def judge(proposal: Proposal) -> Finding:
    """Compare the words of both parts; RFC 2046 section 5.1.4 asks for the same content in each alternative."""
    if not proposal.samples or not proposal.samples[0].text.strip():
        return Finding(BLOCK, "The message is empty. Write something.", {})
    sample = proposal.samples[0]
    if proposal.unsubscribe_url not in sample.text:
        return Finding(BLOCK, "The plain-text version lost its way out. Our staff sees it too.", {})
    body = LexborHTMLParser(sample.html).body
    in_html = len((body.text(separator=" ") if body else "").split())
    in_text = len(sample.text.split())
    figures = {"html_words": in_html, "text_words": in_text}
    if in_text < TEXT_MIN_SHARE * in_html:
        return Finding(WARN, "The plain-text version holds less than half of the words.", figures)
    return fine("Made for you from the message.", **figures)
