"""The statement a sender signs. Versions are added, never edited: their hash stands in every record (rules 2.3)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Wording:
    """One version of the statement: who signs, the clauses, what follows from a false one."""

    version: str
    language: str
    opening: str
    clauses: tuple[str, ...]
    closing: str

    @property
    def template(self) -> str:
        """Return the whole text with its blanks."""
        numbered = [f"{number}) {clause}" for number, clause in enumerate(self.clauses, start=1)]
        return "\n".join([self.opening, *numbered, self.closing])

    @property
    def sha256(self) -> str:
        """Return the fingerprint of the text with its blanks, hexadecimal."""
        return hashlib.sha256(self.template.encode()).hexdigest()

    def filled(self, values: dict[str, str]) -> Filled:
        """Return the statement with names and figures in it."""
        clauses = tuple(clause.format(**values) for clause in self.clauses)
        return Filled(self.opening.format(**values), clauses, self.closing)


@dataclass(frozen=True)
class Filled:
    """A statement as it is shown and signed."""

    opening: str
    clauses: tuple[str, ...]
    closing: str

    @property
    def text(self) -> str:
        """Return the whole text, which is what the signature covers."""
        numbered = [f"{number}) {clause}" for number, clause in enumerate(self.clauses, start=1)]
        return "\n".join([self.opening, *numbered, self.closing])


ATT_EN_1_0: Final = Wording(
    version="ATT-EN-1.0",
    language="en",
    opening="I am {name}, {role} of {legal_name}, and I may make this statement for it.",
    clauses=(
        "Every person on list {list_name} ({rows} addresses, fingerprint {fingerprint}) gave their address "
        "directly to us.",
        "For each person we hold the permission I described above, with its date and source, and we can show it "
        "within {days} business days of being asked.",
        "The list was not bought, rented, swapped, scraped, guessed or received from anyone else, in whole or in part.",
        "I removed everyone who has told us to stop, on any channel.",
        "We will send only what people were told they would get.",
        "I understand that recipients can complain, that the portal may ask for proof, pause or end our sending, and "
        "keep this statement as evidence.",
        "If any of this stops being true I will remove the affected addresses at once.",
    ),
    closing="A false statement is a breach of contract and may be unlawful.",
)
CURRENT: Final = ATT_EN_1_0
VERSIONS: Final[dict[str, Wording]] = {one.version: one for one in (ATT_EN_1_0,)}


def version(name: str) -> Wording | None:
    """Return a version of the statement that was ever in use, None for an unknown name."""
    return VERSIONS.get(name)
