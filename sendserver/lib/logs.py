"""One line a log record, control characters made visible, so that no input can forge a line or drive a terminal."""

from __future__ import annotations

import logging
import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class LineFormatter(logging.Formatter):
    """Format as `time level logger message`; a traceback keeps its lines, everything else is escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the base class's name)
        """Return the record's line with every control character, line breaks included, escaped."""
        line = super().formatMessage(record).replace("\n", "\\n")
        return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", line)
