"""The way out is in every message, readable and near enough to the start to be shown."""

from __future__ import annotations

from compliance.gate import BLOCK, Proposal
from compliance.policy import HTML_WARN_KB
from compliance.rules import Finding, fine, rule
from compliance.visible import shows_link

KB = 1_000


@rule(
    "UNSUB-VISIBLE",
    version=1,
    label="Unsubscribe in the message",
    source="15 U.S.C. 7704(a)(3)(A), (5)(A)(ii) [S]; CASL 6(2)(c), 11(1) [S]; Spam Act 2003 (AU) s.18(1)(c)-(d) [P]",
    duty="A clear unsubscribe link stands in the HTML part and in the text part.",
    policy_rule="4.3",
    order=40,
)
def judge(proposal: Proposal) -> Finding:
    """Look for the link, visibly, within the first 90 KB; 15 U.S.C. 7704(a)(3)(A) [S], CASL 11(1) [S]."""
    if not proposal.samples or not proposal.unsubscribe_url:
        return Finding(BLOCK, "There is no message to look at yet.", {})
    sample, url = proposal.samples[0], proposal.unsubscribe_url
    if url not in sample.text or not shows_link(sample.html, url):
        return Finding(BLOCK, "The unsubscribe link cannot be seen. Remove what hides it; we add it by itself.", {})
    place = len(sample.html.encode()[: sample.html.encode().rfind(url.encode())])
    if place > HTML_WARN_KB * KB:
        text = f"The unsubscribe link stands after {HTML_WARN_KB} KB, where mail programs cut. Shorten the message."
        return Finding(BLOCK, text, {"place": place})
    return fine("In the footer of both versions. Added for you.")
