"""A message holds words and pictures, nothing that acts."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser

from compliance.gate import BLOCK, Proposal
from compliance.rules import Finding, fine, rule

FORBIDDEN = (
    "script, form, input, button, select, textarea, iframe, frame, object, embed, applet, meta[http-equiv], base, "
    "link, svg, math, audio, video"
)
EVENT = re.compile(r"^on[a-z]+$")
IMPORT = re.compile(r"@import|expression\s*\(|url\s*\(\s*['\"]?\s*(javascript|data|vbscript):", re.IGNORECASE)


@rule(
    "CONTENT-ATTACH",
    version=1,
    label="Words and pictures only",
    source="Anti-Spam Policy 4.5; OURS",
    duty="No attachments, scripts, forms, frames or style sheets from elsewhere.",
    policy_rule="4.5",
    order=31,
)
def judge(proposal: Proposal) -> Finding:
    """Look for elements and attributes that act; OURS, Anti-Spam Policy 4.5."""
    tree = LexborHTMLParser(proposal.source_html)
    found = {str(node.tag) for node in tree.css(FORBIDDEN)}
    for node in tree.css("*"):
        found |= {name for name in node.attributes if EVENT.match(name)}
    if any(IMPORT.search(node.text() or "") for node in tree.css("style")) or IMPORT.search(_styles(tree)):
        found.add("style from elsewhere")
    if found:
        text = f"Mail programs refuse this: {', '.join(sorted(found))}. Take it out and link to a page instead."
        return Finding(BLOCK, text, {"found": sorted(found)})
    return fine("No scripts, forms or attachments.")


def _styles(tree: LexborHTMLParser) -> str:
    return " ".join(node.attributes.get("style") or "" for node in tree.css("[style]"))
