"""References that people can read out: AB-7K4M-29QX for cases and reports, DN- for decisions, and the reporter's key.

A reference alone opens nothing: the status page asks for the key, which is a signed token of the report.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from abuse.models import Complaint
from sendserver.lib import tokens

ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTVWXYZ"  # without 0 O 1 I U, which people mix up or misread
_SHAPE: Final = re.compile(rf"(AB|DN)-?([{ALPHABET}]{{4}})-?([{ALPHABET}]{{4}})")


def new(prefix: str = "AB") -> str:
    """Return a fresh reference of 39 random bits; the table's unique column refuses the rare double."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(8))
    return f"{prefix}-{letters[:4]}-{letters[4:]}"


def clean(text: str) -> str:
    """Return a reference as people type it in its written form, or an empty string."""
    match = _SHAPE.fullmatch(re.sub(r"\s", "", text).upper())
    return f"{match[1]}-{match[2]}-{match[3]}" if match else ""


def key_of(complaint: Complaint) -> str:
    """Return the key that opens the report's status page."""
    return tokens.seal(tokens.Purpose.CASE, complaint.pk)


def find_report(reference: str, key: str) -> Complaint | None:
    """Return the report behind reference and key, or None for a wrong key and an unknown reference alike."""
    number = tokens.open_token(tokens.Purpose.CASE, key.strip())
    if number is None:
        return None
    return (
        Complaint.objects.select_related("case", "organization").filter(pk=number, reference=clean(reference)).first()
    )
