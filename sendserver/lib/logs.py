"""One line a log record, control characters made visible, so that no input can forge a line or drive a terminal.

Addresses of people and tokens are cut short: a log is read by more people than may know them, and a token is a key.
"""

from __future__ import annotations

import logging
import re
from typing import TextIO

_TOKEN = re.compile(r"(?<![a-z0-9])([a-z0-9]{2}[a-z2-7]{4})[a-z2-7]{22}(?![a-z0-9])", re.IGNORECASE)
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?=[\w-]+\.)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_lost: list[int] = [0]  # lines that could not be written, of this process


class CountingHandler(logging.StreamHandler[TextIO]):
    """Write to stderr and count what cannot be written, in place of trying to say so on that same stderr."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the base class's name)
        """Count a lost line; the caller goes on."""
        _lost[0] += 1


def lost_lines() -> int:
    """Return how many lines this process could not write since its start."""
    return _lost[0]


def keep_logging(**_told: object) -> None:
    """Answer Celery's question who sets logging up: settings.LOGGING did; without an answer a worker hides INFO."""


class LineFormatter(logging.Formatter):
    """Format as `time level logger message`; a traceback keeps its lines, set in, everything else is escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the base class's name)
        """Return the record's line with every control character, line breaks included, escaped."""
        return _escaped(super().formatMessage(record).replace("\n", "\\n"))

    def format(self, record: logging.LogRecord) -> str:
        """Return the line and, set in below it, the traceback: the words of an exception may be a visitor's."""
        first, *rest = super().format(record).split("\n")
        return "\n".join([first, *(f"  | {_escaped(line)}" for line in rest)])


def _escaped(line: str) -> str:
    line = _ADDRESS.sub("…@", _TOKEN.sub(r"\1…", line))
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", line)
