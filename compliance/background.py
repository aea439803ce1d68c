"""What else a statement asks (rules 2.1): who is on the list, where it was kept before, who signs. Pure.

The questions are a published wording: a version is added, never edited, and each statement keeps the name of the
version that was asked. What the answers mean stands here too; who may sign is decided in compliance.attestations.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Final


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
    },
)
# Every version that was ever asked: a test holds their fingerprints.
VERSIONS: Final = {one.version: one for one in (Q_EN_1_0,)}
CURRENT: Final = Q_EN_1_0
PEOPLE: Final = [
    ("", "Not answered"),
    ("consumers", "As private persons"),
    ("businesses", "For a company"),
    ("both", "Both"),
]
YES_NO: Final = [("no", "No"), ("yes", "Yes")]
MOVED: Final = "previous_tool"
ALONE: Final = ("minors", "people", "dated")
MOVING: Final = ("before_tool", "before_why", "before_trouble", "optouts", "optouts_why")
LIMITS: Final = {"before_tool": 120, "before_why": 500, "before_trouble": 1000, "optouts_why": 500}
WHY_AT_LEAST: Final = 10  # characters: "none" explains nothing


def is_moving(answers: dict[str, Any]) -> bool:
    """Tell whether a part of the list comes from another tool."""
    return MOVED in {answers.get("source"), *(one.get("source") for one in answers.get("more", []))}


def gaps(answers: dict[str, Any]) -> list[str]:
    """Return what of these questions still has to be answered before a signature, in words."""
    given = answers.get("background", {})
    if answers.get("questions", CURRENT.version) != CURRENT.version:
        return ["The questions about the list have changed. Answer them again"]
    found = [] if given.get("minors") in ("yes", "no") else ["Say whether people under 18 are among them"]
    return [*found, *_moving_gaps(answers, given)] if is_moving(answers) else found


def _moving_gaps(answers: dict[str, Any], given: dict[str, str]) -> list[str]:
    found = [] if given.get("before_tool") else ["Name the tool or provider you used before"]
    if not given.get("before_why"):
        found.append("Say why you left it")
    if given.get("optouts") == "yes" and not answers.get("optouts"):
        found.append("Add the file of addresses that said no at your previous tool")
    elif given.get("optouts") != "yes" and len(given.get("optouts_why", "")) < WHY_AT_LEAST:
        found.append("Bring along who said no at your previous tool, or explain why not")
    return found


def rows(answers: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the answers as (short label, words), for the check page and for staff."""
    given = answers.get("background", {})
    said = {"yes": "Yes", "no": "No"}
    people = dict(PEOPLE).get(given.get("people", ""), "Not answered")
    found = [
        ("People under 18", said.get(given.get("minors", ""), "Not answered")),
        ("Private or company", people),
        ("A date for each person", said.get(given.get("dated", ""), "Not answered")),
    ]
    if is_moving(answers):
        found += [
            ("Previous tool", f"{given.get('before_tool', '')}, left because: {given.get('before_why', '')}"),
            ("Trouble there", given.get("before_trouble") or "Nothing said"),
            ("Who said no there", _optouts_words(answers, given)),
        ]
    details = answers.get("details", {})
    if details.get("registers"):
        found.append(("Registers", f"{details['registers']}, {details.get('registers_on') or 'no date'}"))
    return found


def _optouts_words(answers: dict[str, Any], given: dict[str, str]) -> str:
    taken = sum(int(one["taken"]) for one in answers.get("optouts", []))
    if answers.get("optouts"):
        return f"{taken:,} brought along, on your do-not-mail list"
    return f"Not brought along: {given.get('optouts_why', '')}"


def words_of(name: str) -> frozenset[str]:
    """Return the words of a person's name, without case, accents and marks between them."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return frozenset(re.findall(r"\w+", plain.casefold()))


def same_name(typed: str, account: str) -> bool:
    """Tell whether a typed name fits the account's: middle names and order may differ, an account may have no name.

    A single typed word fits a single-word account only; the whole name is asked for.
    """
    mine, theirs = words_of(typed), words_of(account)
    if not theirs or mine == theirs:
        return True
    return theirs < mine or (mine < theirs and len(mine) > 1)
