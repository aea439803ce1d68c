"""What a customer is asked before a statement, word for word. A published wording like the statement's own.

Versions are added, never edited: each statement keeps the name of the version that was asked, and one that was asked
under another version than the present is not signed. A version that is no longer asked keeps its texts here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

# The eight kinds of lists that nobody may upload, asked one by one (rules SRC-PROHIBITED, section 2.1).
PROHIBITED: Final[dict[str, str]] = {
    "bought": "Bought",
    "rented": "Rented",
    "swapped": "Swapped or shared with another company",
    "third_party": "From a partner, a prize draw or co-registration",
    "harvested": "Collected from websites, profiles or directories by hand or software",
    "guessed": "Guessed, completed or appended by a data service",
    "employer": "Taken along from an employer, or from somebody else's event",
    "directory": "From a public register or directory",
}
# Mail to customers without a yes: all four, or not at all (Directive 2002/58/EC article 13(2), UWG s.7(3), rules
# CONSENT-SOFT-EU). Asked for that source only.
SOFT: Final[dict[str, str]] = {
    "sale": "We got each address ourselves, from a sale to this person",
    "similar": "We write only about our own, similar goods or services",
    "no_objection": "Nobody on the list has objected",
    "offered": "We offered the way out when we took the address, and do so in every message",
}
STATEMENTS: Final[dict[str, str]] = {
    "agreed": "Everyone in this file agreed to get marketing e-mail {sender}.",
    "not_bought": "None of the addresses was bought, rented, swapped or collected from websites.",
    "proof": "I can show proof for any address within {days} working days if asked.",
}
BESIDE: Final[dict[str, str]] = {
    "minors": "Are people under 18 among them, as far as you know?",
    "people": "Do they get your mail as private persons or for a company?",
    "dated": "Can you say for each person when they signed up, bought or asked?",
    "before_tool": "Which tool or provider did you use before?",
    "before_why": "Why did you leave it?",
    "before_trouble": "Complaints, bounces or warnings you had there",
    "optouts": "Do you bring along the addresses that said no or bounced there?",
    "optouts_why": "If not: why?",
    "registers": "Which national opt-out registers did you compare the list with?",
    "registers_on": "When?",
}


@dataclass(frozen=True)
class Questions:
    """One version of the questions, by their names."""

    version: str
    texts: dict[str, str]

    @property
    def sha256(self) -> str:
        """Return the fingerprint of the questions, hexadecimal."""
        lines = [self.version, *(f"{name}: {text}" for name, text in self.texts.items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


Q_EN_1_0: Final = Questions(
    "Q-EN-1.0",
    {
        **BESIDE,
        **{f"prohibited_{code}": text for code, text in PROHIBITED.items()},
        **{f"soft_{code}": text for code, text in SOFT.items()},
        **{f"statement_{code}": text for code, text in STATEMENTS.items()},
    },
)
# Every version that was ever asked: a test holds their fingerprints.
VERSIONS: Final = {one.version: one for one in (Q_EN_1_0,)}
CURRENT: Final = Q_EN_1_0
