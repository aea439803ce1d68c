"""The way home of the relays' self-test: mail for one host goes on to the portal's inbound door, as a real MX would.

The only mail that a local relay passes on; it is not kept. A door that does not answer yet is asked again for a while.
"""

from __future__ import annotations

import smtplib
import time
from dataclasses import dataclass

TRIES = 20
TRY_AGAIN = 1.5  # seconds; the portal may still be starting
PATIENCE = 10.0


@dataclass(frozen=True)
class Loopback:
    """Where mail for `host` goes."""

    host: str
    door: tuple[str, int]

    @classmethod
    def from_environment(cls, environ: dict[str, str]) -> Loopback | None:
        """Return the loop of the environment, None where none is set up."""
        host, (door, _, port) = environ.get("RELAY_SELF_TEST", ""), environ.get("INBOUND_LISTEN", "").rpartition(":")
        return cls(host.lower(), (door, int(port))) if host and port else None

    def takes(self, rcpt: str) -> bool:
        """Tell whether an address lies behind the loop."""
        return rcpt.lower().endswith(f"@{self.host}")

    def pass_on(self, sender: str, rcpt: str, message: bytes) -> bool:
        """Hand a message to the door, with patience; tell whether it took it."""
        for left in range(TRIES, 0, -1):
            try:
                with smtplib.SMTP(*self.door, timeout=PATIENCE) as connection:
                    connection.sendmail(sender, [rcpt], message)
            except (OSError, smtplib.SMTPException) as error:
                print(f"self-test to {self.host}: {error}", flush=True)
                if left > 1:
                    time.sleep(TRY_AGAIN)
            else:
                return True
        return False
