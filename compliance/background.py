"""What else a statement asks (rules 2.1): who is on the list, where it was kept before, who signs. Pure.

The questions themselves stand in compliance.questions; who may sign is decided in compliance.attestations.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

from compliance.questions import CURRENT

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
