"""Mail programs can offer a button that unsubscribes at once."""

from __future__ import annotations

import re

from compliance.gate import BLOCK, Proposal
from compliance.rules import Finding, fine, rule

URI = re.compile(r"<([^<>]+)>")
POST = "List-Unsubscribe=One-Click"


@rule(
    "UNSUB-ONECLICK",
    version=1,
    label="Unsubscribe in one step",
    source="RFC 8058 section 3.1; Gmail and Yahoo bulk sender rules [S]",
    duty="The header carries exactly one https address that unsubscribes by a single POST, beside one mailto.",
    policy_rule="4.3",
    order=41,
)
def judge(proposal: Proposal) -> Finding:
    """Judge the two list headers of the first sample; RFC 8058 section 3.1 (https asked for except on loopback)."""
    headers = {name.lower(): value for name, value in proposal.headers}
    uris = URI.findall(headers.get("list-unsubscribe", ""))
    web = [uri for uri in uris if uri.startswith(("https://", "http://localhost", "http://127.0.0.1"))]
    mail = [uri for uri in uris if uri.startswith("mailto:")]
    if len(web) != 1 or len(mail) != 1 or headers.get("list-unsubscribe-post", "") != POST:
        text = "The header lacks its one-step unsubscribe. That is ours to mend; our staff sees it."
        return Finding(BLOCK, text, {"web": len(web), "mail": len(mail)})
    return fine("In the mail header. Added for you.")
