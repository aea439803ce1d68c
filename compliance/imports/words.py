"""Words for every reason why a row was not taken, once for all pages and the result file."""

from __future__ import annotations

from typing import Final

# reason -> (short label, what it means)
PROBLEMS: Final[dict[str, tuple[str, str]]] = {
    "empty": ("No address", "The row has no e-mail address"),
    "no_at_sign": ("No @ sign", "An address looks like name@example.com"),
    "not_one_address": ("Not one plain address", "Put one address, without a name, in each row"),
    "control_character": ("Hidden character", "The address holds a character that cannot be seen"),
    "quoted_or_literal": ("Unusual address form", "Quoted names and number addresses are not mailed"),
    "non_ascii_local_part": ("Letters before the @", "Only plain letters, digits and signs can stand before the @"),
    "too_long": ("Too long", "An address has at most 64 signs before the @ and 254 in all"),
    "bad_local_part": ("Wrong before the @", "There is a blank, a dot at an end or a sign that cannot be there"),
    "bad_domain": ("No such domain", "The part after the @ is not a domain name"),
    "typo_domain": ("No such domain", "The part after the @ looks like a slip of a well-known mail domain"),
    "role": ("Shared mailbox", "Addresses of a function, not of a person who agreed, are not mailed"),
    "date_missing": ("Date missing", "Every address needs a sign-up date"),
    "date_unreadable": ("Date not understood", "Write the date as 2026-05-31"),
    "date_future": ("Date in the future", "A typing slip"),
    "confirmed_wrong": ("Confirmation date wrong", "The day on which they confirmed cannot be read or is to come"),
    "hidden_in_first_name": (
        "Hidden character in a name",
        "The first name holds a sign that turns how it is read",
    ),
    "hidden_in_last_name": (
        "Hidden character in a name",
        "The last name holds a sign that turns how it is read",
    ),
    "tags_wrong": ("Tags not understood", "Part them by commas; a tag has at most 60 characters, a row 50 tags"),
    "no_number": ("Not a number", "Write it like 1234 or 1234.50; 1,234 can be read in two ways"),
    "no_date": ("Not a date", "Write the date as 2026-05-31"),
    "no_yes_no": ("Not yes or no", "Write yes or no"),
    "undecodable": ("Letters not readable", "The row is in another encoding than the rest of the file"),
    "nul": ("Hidden character", "The row holds a character that cannot be stored"),
    "cell_too_long": ("Cell too long", "A cell has more text than can be kept"),
    "line_too_long": ("Row too long", "The row is longer than any real row. Is a quotation mark left open above it?"),
    "too_many_cells": ("Too many cells", "The row has more cells than the header"),
    "unclosed_quote": ("Quotation mark left open", "The file ends inside a quoted cell that began in this row"),
    "no_address_column": ("No column of addresses", "Say on the columns page which column holds them"),
    "file_refused": ("File refused", "Nothing of the file can be read"),
    "merge_conflict": ("Could not be added", "Upload this row again"),
}


def label(reason: str) -> str:
    """Return the short label of a reason."""
    return PROBLEMS.get(reason, (reason.replace("_", " ").capitalize(), ""))[0]


def meaning(reason: str) -> str:
    """Return what a reason means, one sentence without its full stop."""
    return PROBLEMS.get(reason, ("", ""))[1]
