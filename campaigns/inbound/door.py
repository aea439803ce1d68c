"""The receiving door: an SMTP server for our own addresses only. It stores and pokes; it reads and decides nothing.

An address we did not make is refused at RCPT with 550 5.1.1, so nobody can fill the table by guessing; what cannot be
stored is refused for now with 451, so the sender keeps it. It relays nothing and never sends.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
from typing import Any, Final

from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings
from django.db import Error, connection

from campaigns.inbound import addresses
from campaigns.inbound.parts import SIZE_MAX
from campaigns.models import InboundMail
from campaigns.sending.poke import poke_inbound
from sendserver.lib import clock

log = logging.getLogger(__name__)
RECIPIENTS_MAX: Final = 10
SESSIONS_MAX: Final = 200
IDLE_SECONDS: Final = 60
ADDRESS_MAX: Final = 254


class Door:
    """aiosmtpd's handler."""

    async def handle_RCPT(  # noqa: N802 (the name is aiosmtpd's)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        """Take our own addresses only."""
        if len(address) > ADDRESS_MAX or not address.isascii() or addresses.read(address) is None:
            return "550 5.1.1 No such address here"
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store the mail once a recipient, then poke; only what is stored is accepted."""
        try:
            await asyncio.to_thread(store, session, envelope)
        except Error:
            log.exception("inbound mail could not be stored")
            return "451 4.3.0 Try again later"
        return "250 2.0.0 OK"

    async def handle_exception(self, error: Exception) -> str:
        """Answer a failure of our own as temporary."""
        log.error("inbound door: %s", type(error).__name__)
        return "451 4.3.0 Try again later"


def store(session: Session, envelope: Envelope) -> None:
    """Write one row a recipient and poke the reader."""
    content = envelope.content or b""
    raw = content if isinstance(content, bytes) else content.encode()
    peer = str(session.peer[0])[:45] if session.peer else ""
    rows = [
        InboundMail(
            received_at=clock.now(),
            mail_from=(envelope.mail_from or "").strip("<>")[:ADDRESS_MAX].replace("\0", ""),
            rcpt_to=recipient,
            peer=peer,
            raw=raw,
            sha256=hashlib.sha256(raw).digest(),
        )
        for recipient in envelope.rcpt_tos
    ]
    try:
        InboundMail.objects.bulk_create(rows)
    finally:
        connection.close()  # this thread may not be asked again for hours
    poke_inbound()


class _Sessions:
    """Make one protocol a connection, and no more than SESSIONS_MAX at once."""

    def __init__(self) -> None:
        self.open = 0

    def __call__(self) -> SMTP:
        sessions = self

        class Counted(SMTP):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                sessions.open += 1
                super().connection_made(transport)
                if sessions.open > SESSIONS_MAX:
                    transport.close()

            def connection_lost(self, error: Any) -> None:
                sessions.open -= 1
                super().connection_lost(error)

        return Counted(
            Door(),
            data_size_limit=SIZE_MAX,
            hostname=settings.PLATFORM.return_domain,
            ident="ready",
            timeout=IDLE_SECONDS,
            command_call_limit={"MAIL": 100, "RCPT": 200, "*": 200},
        )


async def open_door(listen: str) -> asyncio.Server:
    """Listen at "host:port" and return the server."""
    host, _, port = listen.rpartition(":")
    return await asyncio.get_running_loop().create_server(_Sessions(), host.strip("[]"), int(port))


async def serve(listen: str) -> None:
    """Listen until SIGTERM or SIGINT, then let open conversations end for a moment."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await open_door(listen)
    log.info("the inbound door listens at %s", listen)
    await stop.wait()
    server.close()
    await asyncio.sleep(0.2)
