"""A relay's log as Postfix writes it, for relays of our own. One line a call, RFC 3339 times with microseconds."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path


class MailLog:
    """An append-only log; `ahead` moves its clock."""

    def __init__(self, path: Path, host: str = "out1") -> None:
        self.path, self.host, self.ahead = path, host, timedelta()
        self.write("master", "daemon started -- version 3.7.11, configuration /etc/postfix")

    def write(self, daemon: str, text: str) -> None:
        """Append one line by one write."""
        at = (datetime.now(UTC) + self.ahead).isoformat(timespec="microseconds")
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, f"{at} {self.host} postfix/{daemon}[7]: {text}\n".encode())
        finally:
            os.close(file)

    def headers(self, queue_id: str, message_id: str) -> None:
        """Write what stands there once a message's headers have come."""
        self.write("smtpd", f"{queue_id}: client=portal[127.0.0.1]")
        self.write("cleanup", f"{queue_id}: message-id={message_id}")

    def active(self, queue_id: str, sender: str) -> None:
        """Write that the queue manager has it."""
        self.write("qmgr", f"{queue_id}: from=<{sender}>, size=2000, nrcpt=1 (queue active)")

    def sent(self, queue_id: str, recipient: str) -> None:
        """Write that the receiver took it, and its end."""
        self.write(
            "smtp",
            f"{queue_id}: to=<{recipient}>, relay=mx.example[192.0.2.9]:25, delay=0.4, delays=0.1/0/0.1/0.2, dsn=2.0.0,"
            " status=sent (250 2.0.0 Ok)",
        )
        self.write("qmgr", f"{queue_id}: removed")

    def later(self, seconds: float) -> None:
        """Go on, `seconds` from now: a relay that lives writes lines."""
        self.ahead = timedelta(seconds=seconds)
        self.write("anvil", "statistics: max connection rate 1/60s")
        self.ahead = timedelta()
