"""Rows out again as CSV that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Final

from compliance.imports import words
from compliance.models import ImportJob, ImportRow

# What makes a spreadsheet take text for a formula; the wide forms are folded by some programs.
_TRIGGERS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "|", "%")
_HEAD: Final = ("Row", "In your file", "What is wrong", "Meaning", "Suggestion", "State")


class _Echo:
    """A file that gives back what is written."""

    def write(self, text: str) -> str:
        return text


def safe(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: with an apostrophe before, where it begins like one.

    Separators inside are followed by a blank where a formula would begin after them, since some programs split again.
    """
    text = f"'{cell}" if cell.lstrip(" \u00a0'\"").startswith(_TRIGGERS) else cell
    for mark in (",", ";", "\t", "|", "\n", "\r"):
        for trigger in ("=", "+", "@", "-", "＝", "＋", "＠", "－"):
            text = text.replace(f"{mark}{trigger}", f"{mark}'{trigger}")
    return text


def csv_lines(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield CSV lines (RFC 4180) of safe cells, behind a byte order mark so that Excel reads UTF-8."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield "\ufeff"
    for row in rows:
        yield writer.writerow([safe(cell) for cell in row])


def problem_rows(job: ImportJob) -> Iterator[list[str]]:
    """Yield the header and every row of an upload that was not taken, with its own cells behind."""
    yield [*_HEAD, *job.header]
    for row in ImportRow.objects.filter(job=job).order_by("line").iterator(chunk_size=2000):
        label, meaning = words.label(row.reason), words.meaning(row.reason)
        yield [str(row.line), row.value, label, meaning, row.suggestion, row.get_state_display(), *map(str, row.cells)]
