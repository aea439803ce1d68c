"""What a condition can be about, how it can be compared, and with what kind of value. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compliance.imports import kinds

OWN: Final = "own:"  # + the uid of a further column (models.ContactField)
# Kinds of values that a comparison takes; NONE takes no value.
NONE, TEXT, NUMBER, DATE, DAYS, TAG, LIST, BASIS, COUNTRY = (
    "none", "text", "number", "date", "days", "tag", "list", "basis", "country",
)  # fmt: skip


@dataclass(frozen=True)
class Op:
    """One comparison: its words, and the kind of value behind them."""

    label: str
    takes: str = NONE


@dataclass(frozen=True)
class Subject:
    """What a condition is about: its words, its comparisons (a key of OPS), its group in the menu."""

    label: str
    ops: str
    group: str
    hint: str = ""


_LOOKS_BACK: Final = {
    "last_days": Op("in the last … days", DAYS),
    "older": Op("longer ago than … days", DAYS),
}
_FILLED: Final = {"filled": Op("is filled in"), "empty": Op("is empty")}
OPS: Final[dict[str, dict[str, Op]]] = {
    "text": {
        "is": Op("is", TEXT),
        "is_not": Op("is not", TEXT),
        "contains": Op("contains", TEXT),
        "lacks": Op("does not contain", TEXT),
        "starts": Op("begins with", TEXT),
        **_FILLED,
    },
    "number": {
        "is": Op("is", NUMBER),
        "is_not": Op("is not", NUMBER),
        "above": Op("is more than", NUMBER),
        "below": Op("is less than", NUMBER),
        **_FILLED,
    },
    "date": {
        "on": Op("is on", DATE),
        "before": Op("is before", DATE),
        "after": Op("is after", DATE),
        **_LOOKS_BACK,
        **_FILLED,
    },
    "yes_no": {"yes": Op("is yes"), "no": Op("is no"), "empty": Op("is empty")},
    "tag": {"has": Op("is", TAG), "lacks": Op("is not", TAG)},
    "list": {"on": Op("on", LIST), "off": Op("not on", LIST)},
    "basis": {"is": Op("is", BASIS), "is_not": Op("is not", BASIS)},
    "country": {"is": Op("is", COUNTRY), "is_not": Op("is not", COUNTRY), "unknown": Op("is not known")},
    "instant": {"before": Op("before", DATE), "after": Op("after", DATE), **_LOOKS_BACK},
    "maybe_instant": {
        "before": Op("before", DATE),
        "after": Op("after", DATE),
        **_LOOKS_BACK,
        "filled": Op("is on record"),
        "empty": Op("is not on record"),
    },
    "happened": {
        "last_days": Op("in the last … days", DAYS),
        "not_last_days": Op("not in the last … days", DAYS),
        "never": Op("never"),
    },
    "joined": _LOOKS_BACK,
}
PERSON, CONSENT, ACTIVITY = "The person", "Consent", "Activity"
FIXED: Final[dict[str, Subject]] = {
    "tag": Subject("Tag", "tag", PERSON),
    "list": Subject("List", "list", PERSON),
    "first_name": Subject("First name", "text", PERSON),
    "last_name": Subject("Last name", "text", PERSON),
    "address": Subject("E-mail address", "text", PERSON),
    "domain": Subject("Domain of the address", "text", PERSON),
    "basis": Subject("How they agreed", "basis", CONSENT),
    "consent_at": Subject("When they agreed", "instant", CONSENT),
    "confirmed_at": Subject("Confirmation by link", "maybe_instant", CONSENT),
    "country": Subject("Country whose law counts", "country", CONSENT),
    "joined": Subject("Joined the list", "joined", ACTIVITY),
    "mailed": Subject(
        "Got mail from you", "happened", ACTIVITY, "Sent here, or as you told us when you uploaded them."
    ),
    "bounced": Subject("A mail of yours came back", "happened", ACTIVITY),
}
OPS_OF_KIND: Final[dict[str, str]] = {
    kinds.TEXT: "text",
    kinds.NUMBER: "number",
    kinds.DATE: "date",
    kinds.YES_NO: "yes_no",
}
NOT_COUNTED: Final = "Opens and clicks are not counted for each person, so no condition can ask for them."
