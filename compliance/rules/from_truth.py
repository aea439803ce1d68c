"""The From line is true: an own, proven domain and the sender's own name."""

from __future__ import annotations

import re
import unicodedata

from accounts.lookalikes import WELL_KNOWN
from compliance.gate import BLOCK, HOLD, Proposal
from compliance.rules import Finding, fine, rule

UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_COMMON = "the and und der die das gmbh ltd limited inc llc co company ag sa sarl"
COMMON = frozenset(_COMMON.split())


def tokens(name: str) -> set[str]:
    """Return the words of a name that tell it from others, folded."""
    found = re.findall(r"\w+", unicodedata.normalize("NFKC", name).casefold())
    return {word for word in found if len(word) > 1 and word not in COMMON}


def scripts(name: str) -> set[str]:
    """Return the alphabets that occur in a name, by Unicode character names."""
    known = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "HEBREW", "ARABIC")
    names = (unicodedata.name(char, "").split(" ")[0] for char in name if char.isalpha())
    return {script for script in names if script in known}


@rule(
    "ID-FROM-TRUTH",
    version=1,
    label="True sender, domain signed",
    source="15 U.S.C. 7704(a)(1) (unconfirmed); Directive 2002/58/EC art 13(4) [S]; UWG s.7(2) no.3 a [P]; "
    "CASL 6(2)(a) [S]",
    duty="The From address belongs to a domain proven to be the sender's, and its name is the sender's.",
    policy_rule="4.1",
    order=12,
)
def judge(proposal: Proposal) -> Finding:
    """Judge domain and display name; Directive 2002/58/EC art 13(4) [S], UWG s.7(2) no.3 a [P]."""
    sender, name = proposal.from_, proposal.from_.display_name
    if not sender.address:
        return Finding(BLOCK, "Choose a From address.", {})
    if not sender.domain_ready:
        text = "The domain of this From address is not ready. Check its records on the domain page."
        return Finding(BLOCK, text, {"domain": sender.address.rpartition("@")[2]})
    if not name or UNSAFE.search(name) or "@" in name or len(scripts(name)) > 1:
        return Finding(BLOCK, "The From name holds signs that mislead. Use plain words: your own name.", {})
    return _named(proposal, tokens(name))


def _named(proposal: Proposal, own: set[str]) -> Finding:
    registered = tokens(f"{proposal.identity.legal_name} {proposal.identity.trade_name}")
    foreign = [brand for brand in WELL_KNOWN if brand in own and brand not in registered]
    if foreign:
        return Finding(
            BLOCK, f"The From name speaks of {foreign[0].title()}. Use your own name.", {"brand": foreign[0]}
        )
    if not own & registered:
        text = "The From name does not show whose mail this is. Put your own name in it, or our staff looks first."
        return Finding(HOLD, text, {})
    return fine("This domain is yours and signed.")
