"""Our own mail in the lane: claimed before any campaign, signed by the platform, on its own connection.

At least once and not at most once: a code that comes twice harms nobody, a lost one locks somebody out. A row whose
sender died is taken again when its lease ends.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, Protocol

from django.db import connection, transaction

from accounts.domains import platform_key
from campaigns.models import SystemMail
from campaigns.sending import dkim, relays, retry
from campaigns.sending.claim import served_relays
from campaigns.sending.phases import Envelope, WireError
from campaigns.sending.retry import Decision, Kind, Relay
from campaigns.sending.smtp import SmtpConnection
from sendserver.lib import clock

log = logging.getLogger(__name__)
BATCH: Final = 20
LEASE_SECONDS: Final = 900
OTHER_LANE_SECONDS: Final = 60  # unsent for so long, the other relay takes it
_CLAIM: Final = """
WITH due AS (
  SELECT id FROM campaigns_systemmail
  WHERE due_at <= now() AND (state = 'queued' OR (state = 'sending' AND lease_until < now()))
    AND (relay = ANY(%(relays)s) OR due_at < now() - make_interval(secs => %(other)s))
  ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE campaigns_systemmail m
SET state = 'sending', lease_until = now() + make_interval(secs => %(lease)s), attempts = attempts + 1,
    relay = %(relay)s
FROM due WHERE m.id = due.id RETURNING m.id
"""
_HEADER: Final = re.compile(r"([!-9;-~]+):[ \t]?((?:[^\r\n]|\r\n[ \t])*)\r\n")


def claim(relay_key: str, served: Sequence[str]) -> list[SystemMail]:
    """Lease what is due, oldest first."""
    values: dict[str, Any] = {
        "relays": list(served),
        "relay": relay_key,
        "limit": BATCH,
        "lease": LEASE_SECONDS,
        "other": OTHER_LANE_SECONDS,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        ids = [row[0] for row in cursor.fetchall()]
    return list(SystemMail.objects.filter(pk__in=ids).order_by("due_at", "pk"))


def signed(mail: SystemMail) -> bytes:
    """Return the message with the platform's signature on top, unless the relay signs."""
    raw = bytes(mail.message)
    if relays.config(mail.relay).signs or raw.startswith(b"DKIM-Signature:"):
        return raw
    head, _, body = raw.partition(b"\r\n\r\n")
    headers = [(m[1], m[2]) for m in _HEADER.finditer(head.decode("ascii") + "\r\n")]
    signatures = dkim.sign(headers, body, [dkim.Signer.of(platform_key())], at=int(time.time()))
    return "".join(f"{name}: {value}\r\n" for name, value in signatures).encode() + raw


def envelope(mail: SystemMail) -> Envelope:
    """Return the envelope."""
    return Envelope(mail.sender, mail.recipient)


def settle(mail: SystemMail, decision: Decision, reply: str, random: Random) -> None:
    """Write what became of one mail; doubt counts as unsent, see above."""
    rows = SystemMail.objects.filter(pk=mail.pk)
    is_old = (clock.now() - mail.created_at).total_seconds() >= retry.MAX_AGE_SECONDS
    if decision.kind is Kind.ACCEPTED:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE campaigns_systemmail SET state = 'sent', sent_at = now(), lease_until = NULL, reply = %s"
                " WHERE id = %s",
                [reply[:300], mail.pk],
            )
    elif decision.kind is Kind.REJECTED or is_old:  # nobody waits for a code of the day before yesterday
        rows.update(state=SystemMail.State.FAILED, lease_until=None, reply=reply[:300])
    else:
        put_back(mail, reply, decision.wait or retry.wait_seconds(max(1, mail.attempts), "", random))


def put_back(mail: SystemMail, reply: str, seconds: float) -> None:
    """Queue a mail again, due in `seconds`; codes do not wait hours, so never longer than ten minutes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE campaigns_systemmail SET state = 'queued', lease_until = NULL, reply = %s,"
            " due_at = now() + make_interval(secs => %s) WHERE id = %s",
            [reply[:300], min(seconds, 600.0), mail.pk],
        )


class Host(Protocol):
    """What the sender of our own mail needs of its lane."""

    key: str
    ending: bool
    relay_failed: bool
    random: Random

    async def db(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a database function in a thread."""

    async def connected(self, connection: SmtpConnection | None) -> SmtpConnection:
        """Return a live connection to the lane's relay."""

    async def relay_trouble(self, decision: Decision) -> None:
        """End the slice."""


class SystemMailSender:
    """Sends our own mail on a connection of its own, first and then once a second, while the lane runs."""

    def __init__(self, lane: Host) -> None:
        self.lane = lane
        self.sent = 0

    async def until_done(self) -> None:
        """Look for new mail until the lane ends."""
        while not self._is_over():
            await self.send_all()
            for _ in range(10):
                if not self._is_over():
                    await asyncio.sleep(0.1)

    async def send_all(self) -> None:
        """Send what waits."""
        connection: SmtpConnection | None = None
        served = await self.lane.db(served_relays, self.lane.key)
        try:
            while not self._is_over():
                mails = await self.lane.db(claim, self.lane.key, served)
                if not mails:
                    return
                for mail in mails:
                    connection = await self._send(connection, mail)
        finally:
            if connection is not None:
                await connection.close()

    def _is_over(self) -> bool:
        return self.lane.ending or self.lane.relay_failed

    async def _signed(self, mail: SystemMail) -> bytes | None:
        """Return the signed message; None when it could not be signed, which is nobody else's trouble."""
        try:
            message: bytes = await self.lane.db(signed, mail)
        except Exception as error:
            log.exception("our own mail %s could not be signed", mail.pk)
            await self.lane.db(put_back, mail, type(error).__name__, 300.0)
            return None
        return message

    async def _send(self, connection: SmtpConnection | None, mail: SystemMail) -> SmtpConnection | None:
        lane = self.lane
        if self._is_over():
            await lane.db(put_back, mail, "", 5.0)
            return connection
        message = await self._signed(mail)
        if message is None:
            return connection
        try:
            connection = await lane.connected(connection)
            answer = await connection.send(envelope(mail), message, _no_journal)
            decision = retry.of_answer(answer, attempt=mail.attempts, age=0.0, random=lane.random)
            text = answer.reply.text
        except WireError as error:
            decision, text = retry.of_error(error), str(error)
        self.sent += decision.kind is Kind.ACCEPTED
        await lane.db(settle, mail, decision, text, lane.random)
        if decision.relay is not Relay.FINE:
            await lane.relay_trouble(decision)
        return connection


def _no_journal() -> None:
    """Our own mail needs no journal: it may come twice."""
