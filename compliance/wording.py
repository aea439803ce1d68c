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
ATT_DE_1_0: Final = Wording(
    version="ATT-DE-1.0",
    language="de",
    opening="Ich bin {name}, {role} von {legal_name}, und darf diese Erklärung für das Unternehmen abgeben.",
    clauses=(
        "Alle Personen auf der Liste {list_name} ({rows} Adressen, Fingerabdruck {fingerprint}) haben uns ihre Adresse "
        "selbst gegeben.",
        "Für jede Person haben wir die oben beschriebene Erlaubnis mit Datum und Herkunft und können sie auf Anfrage "
        "binnen {days} Werktagen vorlegen.",
        "Die Liste wurde weder ganz noch teilweise gekauft, gemietet, getauscht, aus dem Netz gesammelt, erraten oder "
        "von anderen übernommen.",
        "Ich habe alle entfernt, die uns auf irgendeinem Weg gesagt haben, dass wir aufhören sollen.",
        "Wir senden nur, was den Personen angekündigt wurde.",
        "Ich verstehe, dass sich Empfänger beschweren können, dass das Portal Nachweise verlangen, unseren Versand "
        "anhalten oder beenden und diese Erklärung als Beweis aufbewahren darf.",
        "Trifft etwas davon nicht mehr zu, entferne ich die betroffenen Adressen sofort.",
    ),
    closing="Eine falsche Erklärung ist ein Vertragsbruch und kann rechtswidrig sein.",
)
# Every version that was ever signed; one is added, none is changed: a test holds their fingerprints.
VERSIONS: Final[dict[str, Wording]] = {one.version: one for one in (ATT_EN_1_0, ATT_DE_1_0)}
_CURRENT: Final[dict[str, Wording]] = {"en": ATT_EN_1_0, "de": ATT_DE_1_0}
LANGUAGES: Final = [("en", "English"), ("de", "Deutsch")]
CURRENT: Final = ATT_EN_1_0


def current(language: str) -> Wording:
    """Return the version that is signed now in a language; English where there is none."""
    return _CURRENT.get(language, CURRENT)


def version(name: str) -> Wording | None:
    """Return a version of the statement that was ever in use, None for an unknown name."""
    return VERSIONS.get(name)
