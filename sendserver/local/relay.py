"""The two local relays: `python -m sendserver.local.relay`. They keep every message and pass on the self-test's alone.

Reads RELAY_1_URL, RELAY_2_URL, VAR_DIR, and for the self-test RELAY_SELF_TEST and INBOUND_LISTEN. Both live in one
process with one loop; they share nothing but the folder.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from sendserver.lib.relays import RelayConfig
from sendserver.local.loopback import Loopback
from sendserver.local.mailstore import LogLine, Store
from sendserver.local.manners import manner_of
from sendserver.local.smtpd import Conversation, Envelope

REMEMBERED = 100_000  # deferred recipients whose next try is taken
BACKLOG = 200
_FIELD = re.compile(rb"(?im)^(message-id|from|subject):[ \t]*([^\r]*(?:\r\n[ \t][^\r]*)*)\r\n")
_HEAD = 32_768  # octets in which the header is looked for


class Relay:
    """One relay: judges recipients by their manners, keeps messages, writes the log."""

    def __init__(
        self,
        config: RelayConfig,
        var: Path,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        loopback: Loopback | None = None,
    ) -> None:
        self.config = config
        self.name = config.name
        self.store = Store(var, config.key)
        self.clock = clock
        self.loopback = loopback
        self.deferred: OrderedDict[tuple[str, str], None] = OrderedDict()

    def judge(self, envelope: Envelope, rcpt: str) -> str:
        """Return the refusal of a recipient, "" to take it; a refusal is logged."""
        manner = manner_of(rcpt)
        reply = manner.refusal
        if manner.defers and self._came_again(envelope.mail_from, rcpt):
            reply = ""
        if reply:
            self._log(envelope, rcpt, "", b"", reply)
        return reply

    def _came_again(self, mail_from: str, rcpt: str) -> bool:
        """Tell whether this was deferred before; the return path names the delivery, so tries are told apart."""
        key = (mail_from, rcpt.lower())
        if key in self.deferred:
            return True
        self.deferred[key] = None
        while len(self.deferred) > REMEMBERED:
            self.deferred.popitem(last=False)
        return False

    def take(self, envelope: Envelope, message: bytes) -> str:
        """Keep the message as its receiver gets it and return the reply with the queue id."""
        queue_id = self.store.next_id()
        reply = f"250 2.0.0 Ok: queued as {queue_id}"
        if self.loopback and all(map(self.loopback.takes, envelope.recipients)):
            self._pass_on(self.loopback, envelope, self._trace(envelope, queue_id) + message)
            return reply
        try:
            self.store.keep(queue_id, self._trace(envelope, queue_id) + message)
        except OSError:
            return "452 4.3.1 No space to keep it"
        for rcpt in envelope.recipients:
            self._log(envelope, rcpt, queue_id, message, reply)
        return reply

    def _pass_on(self, loopback: Loopback, envelope: Envelope, message: bytes) -> None:
        """Hand mail on from a thread, so that the conversations go on meanwhile."""
        for rcpt in envelope.recipients:
            args = (envelope.mail_from, rcpt, message)
            threading.Thread(target=loopback.pass_on, args=args, daemon=True).start()

    def _trace(self, envelope: Envelope, queue_id: str) -> bytes:
        """Return what a receiver finds above the message: RFC 5321 section 4.4."""
        return (
            f"Return-Path: <{envelope.mail_from}>\r\n"
            f"Received: from {envelope.helo} ([{envelope.peer}])\r\n"
            f"\tby {self.name} with ESMTP id {queue_id};\r\n"
            f"\t{format_datetime(self.clock())}\r\n"
        ).encode("ascii", "replace")

    def _log(self, envelope: Envelope, rcpt: str, queue_id: str, message: bytes, reply: str) -> None:
        fields = header_fields(message[:_HEAD])
        self.store.log(
            LogLine(
                at=self.clock().isoformat(timespec="microseconds"),
                relay=self.config.key,
                id=queue_id,
                mail_from=envelope.mail_from,
                rcpt_to=rcpt,
                message_id=fields.get("message-id", ""),
                sender=fields.get("from", ""),
                subject=fields.get("subject", ""),
                size=len(message),
                reply=reply,
            )
        )


def header_fields(message: bytes) -> dict[str, str]:
    """Return Message-ID, From and Subject of a message, unfolded, still encoded."""
    header = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    found = _FIELD.findall(header)
    return {name.decode().lower(): value.replace(b"\r\n", b"").decode("utf-8", "replace") for name, value in found}


async def serve(relays: list[Relay]) -> list[asyncio.Server]:
    """Listen for every relay and return the servers."""
    loop = asyncio.get_running_loop()
    return [
        await loop.create_server(
            lambda relay=relay: Conversation(relay),  # type: ignore[misc]
            relay.config.host,
            relay.config.port,
            backlog=BACKLOG,
        )
        for relay in relays
    ]


async def _run(relays: list[Relay]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    servers = await serve(relays)
    for relay in relays:
        print(f"{relay.config.key} ({relay.name}) listens on {relay.config.host}:{relay.config.port}", flush=True)
    await stop.wait()
    for server in servers:
        server.close()


def from_environment() -> list[Relay]:
    """Return both relays as the environment describes them. Raises KeyError for a missing variable."""
    var = Path(os.environ["VAR_DIR"])
    loopback = Loopback.from_environment(dict(os.environ))
    configs = [RelayConfig.from_url(number, os.environ[f"RELAY_{number}_URL"]) for number in (1, 2)]
    return [Relay(config, var, loopback=loopback) for config in configs]


if __name__ == "__main__":
    os.umask(0o077)
    asyncio.run(_run(from_environment()))
