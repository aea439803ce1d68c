"""Our SMTP client (RFC 5321): one persistent connection to one relay, every phase known, every reply checked.

It does not decide what a refusal means (campaigns.sending.retry) and writes nothing down: before the final dot it
calls `on_dot`, which puts `started` into the journal. A failure before that write is a certain non-delivery, since a
server must forget a message without its dot (RFC 5321 section 4.1.1.4); a failure behind it is doubt.

A transaction is `begin`, `go`, `finish`, `dot`. Where the relay announces PIPELINING (RFC 2920), `begin` writes MAIL,
RCPT and DATA at once, and `finish` writes a message together with the next envelope: one round trip a message.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from campaigns.sending.phases import Answer, Envelope, Phase, WireError
from campaigns.sending.replies import Reply
from campaigns.sending.wire import Wire
from sendserver.lib.relays import RelayConfig

IDLE_PROBE_SECONDS: Final = 20.0  # a connection unused for longer is asked with NOOP before it is trusted
AT_ONCE_MAX: Final = 48 * 1024  # octets: what an idle connection's send buffer takes without waiting for the relay
_DOT: Final = b".\r\n"
_WELCOME: Final = [250, 250, 354]  # to MAIL, RCPT and DATA


@dataclass(frozen=True)
class Timeouts:
    """Seconds per phase, absolute; RFC 5321 section 4.5.3.2 asks for ten minutes behind the dot."""

    connect: float
    command: float
    body: float
    dot: float

    @classmethod
    def from_settings(cls, sending: Mapping[str, object]) -> Timeouts:
        """Read settings.SENDING; `timeout_scale` shortens them for tests."""
        scale = cast(float, sending["timeout_scale"])
        seconds = cast(Mapping[str, float], sending["timeouts"])
        return cls(**{name: value * scale for name, value in seconds.items()})


@dataclass
class SmtpConnection:
    """A conversation with one relay. Open it, send any number of messages, close it; after WireError it is dead."""

    relay: RelayConfig
    timeouts: Timeouts
    helo: str
    extensions: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    is_secure: bool = False
    _wire: Wire | None = None
    _used_at: float = 0.0
    _needs_reset: bool = False
    _begun: Envelope | None = None
    _is_resetting: bool = False
    _behind_dot: int = 0  # octets written together with the last dot, the dot included

    @property
    def is_alive(self) -> bool:
        """Tell whether the connection can be used."""
        return self._wire is not None and not self._wire.failure

    @property
    def pipelines(self) -> bool:
        """Tell whether the relay takes commands in groups."""
        return "PIPELINING" in self.extensions

    async def open(self) -> None:
        """Connect, greet, switch to TLS and sign in as the relay's settings ask; raises WireError."""
        context = _tls_context(self.relay) if self.relay.tls != "none" else None
        await self._connect(context if self.relay.tls == "implicit" else None)
        self._require(Phase.CONNECT, await self._reply(Phase.CONNECT, self.timeouts.connect), 220)
        await self._ehlo()
        if self.relay.tls == "starttls":
            await self._start_tls(cast(ssl.SSLContext, context))
            await self._ehlo()
        if self.relay.user:
            await self._sign_in()

    async def send(self, envelope: Envelope, message: bytes, on_dot: Callable[[], None]) -> Answer:
        """Send one message and return the deciding reply; raises WireError, whose phase says how sure we are."""
        await self.begin(envelope)
        refused = await self.go()
        if refused is not None:
            return refused
        await self.finish(message, on_dot)
        return await self.dot()

    async def begin(self, envelope: Envelope) -> None:
        """Offer an envelope. A relay without PIPELINING hears of it in `go`."""
        if not self._needs_reset and time.monotonic() - self._used_at > IDLE_PROBE_SECONDS:
            self._require(Phase.RESET, await self._command(Phase.RESET, "NOOP"), 250)
        if self.pipelines:
            self._write(Phase.MAIL, self._group(envelope))
        self._begun = envelope

    async def go(self) -> Answer | None:
        """Return None when the relay waits for the message of the envelope begun, else the reply that refused it."""
        envelope, self._begun = self._begun, None
        if envelope is None:
            raise RuntimeError("no envelope was begun")
        return await (self._go_in_group() if self.pipelines else self._go_one_by_one(envelope))

    async def finish(
        self, message: bytes, on_dot: Callable[[], None], following: Envelope | None = None, *, dots: bool = True
    ) -> None:
        """Write the message for which `go` gave way, and with it the envelope of the `following` one.

        `message` ends with CRLF and is dot-stuffed here; without `dots` the caller knows that no line begins with one.
        `on_dot` is called once, right before the dot is written.
        """
        if dots and (message.startswith(b".") or b"\r\n." in message):
            message = (b"." if message.startswith(b".") else b"") + message.replace(b"\r\n.", b"\r\n..")
        if len(message) > AT_ONCE_MAX:
            await self._drained(message)
            message = b""
        self._refuse_interruption(cast(Wire, self._wire))
        on_dot()
        self.write_message(message, following)

    def write_message(self, message: bytes, following: Envelope | None) -> None:
        """Write a message, or the rest of it, with its dot and the envelope of the `following` one, at once."""
        tail = _DOT + self._group(following) if following is not None else _DOT
        self._behind_dot = len(tail)
        self._write(Phase.DOT, message + tail)
        self._begun = following

    def welcomed(self) -> Reply | None:
        """Take the replies to a message and the envelope behind it and return the first, when all say yes; else None.

        The next call is `write_message`; its reply has the timeout of a dot from now on.
        """
        wire = self._wire
        if wire is None or wire.failure or len(wire.replies) != 4 or self._is_resetting or not wire.is_writable:
            return None
        taken, mail, rcpt, data = wire.replies
        if taken.code != 250 or mail.code != 250 or rcpt.code != 250 or data.code != 354:
            return None
        wire.replies.clear()
        self.sent += 1
        self._used_at = time.monotonic()
        wire.extend(self.timeouts.dot)
        return taken

    async def dot(self, step: Callable[[], bool] | None = None) -> Answer:
        """Return the reply to the message; raises WireError at Phase.DOT when there is none: doubt.

        `step` is called whenever replies have come. While it says True it has gone on by itself, with `welcomed` and
        `write_message`, and what it wrote is what this waits for; what it raises is raised here.
        """
        reply = await self._reply(Phase.DOT, self.timeouts.dot, step)
        if reply.code < 400 and not reply.is_positive:
            raise self._dead(Phase.DOT, f"{reply.code} behind the dot means nothing")
        return self._answered(Phase.DOT, reply)

    async def noop(self) -> None:
        """Ask whether the relay still answers; raises WireError."""
        self._require(Phase.RESET, await self._command(Phase.RESET, "NOOP"), 250)

    async def close(self) -> None:
        """Say QUIT and hang up; never fails."""
        wire, self._wire = self._wire, None
        if wire is None or wire.transport is None:
            return
        if not wire.failure and not wire.transport.is_closing():
            wire.transport.write(b"QUIT\r\n")
        wire.transport.close()
        await asyncio.sleep(0)

    def abort(self) -> None:
        """Hang up without a word."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.fail("given up")

    # --- opening
    async def _connect(self, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        host = self.relay.host
        try:
            async with asyncio.timeout(self.timeouts.connect):
                _, self._wire = await loop.create_connection(
                    Wire, host, self.relay.port, ssl=context, server_hostname=host if context else None
                )
        except ssl.SSLError as error:
            raise WireError(Phase.TLS, f"certificate or TLS: {error}", fault=True) from error
        except (OSError, TimeoutError) as error:
            raise WireError(Phase.CONNECT, str(error) or "no connection in time") from error
        self.is_secure = context is not None
        self._used_at = time.monotonic()

    async def _ehlo(self) -> None:
        reply = await self._command(Phase.EHLO, f"EHLO {self.helo}")
        self._require(Phase.EHLO, reply, 250)
        words = [line.partition(" ") for line in reply.lines[1:]]
        self.extensions = {name.upper(): rest for name, _, rest in words}

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        if "STARTTLS" not in self.extensions:
            raise self._dead(Phase.TLS, "the relay does not offer STARTTLS", fault=True)
        self._require(Phase.TLS, await self._command(Phase.TLS, "STARTTLS"), 220)
        old = cast(Wire, self._wire)
        if old.replies or not old.parser.is_idle:  # RFC 3207 section 6: what came in the clear is not to be trusted
            raise self._dead(Phase.TLS, "data before the handshake", fault=True)
        if old.transport is None:
            raise self._dead(Phase.TLS, old.failure)
        wire = Wire()
        try:
            async with asyncio.timeout(self.timeouts.connect):
                secured = await asyncio.get_running_loop().start_tls(
                    old.transport, wire, context, server_hostname=self.relay.host
                )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            raise self._dead(Phase.TLS, f"TLS: {error}", fault=isinstance(error, ssl.SSLError)) from error
        if secured is None:
            raise self._dead(Phase.TLS, "TLS: connection lost")
        wire.connection_made(secured)
        self._wire, self.is_secure = wire, True

    async def _sign_in(self) -> None:
        if not self.is_secure:
            raise self._dead(Phase.AUTH, "credentials never travel in the clear", fault=True)
        secret = base64.b64encode(f"\0{self.relay.user}\0{self.relay.password}".encode()).decode()
        reply = await self._command(Phase.AUTH, f"AUTH PLAIN {secret}")
        self._require(Phase.AUTH, reply, 235)

    def _require(self, phase: Phase, reply: Reply, code: int) -> None:
        if reply.code != code:
            raise self._dead(phase, reply.text or str(reply.code), fault=reply.code >= 500, reply=reply)

    # --- one transaction
    def _mail(self, envelope: Envelope) -> str:
        line = f"MAIL FROM:<{envelope.sender}>"
        if envelope.envid and "DSN" in self.extensions:
            line += f" RET=HDRS ENVID={envelope.envid}"
        return line

    def _group(self, envelope: Envelope) -> bytes:
        """Return MAIL, RCPT and DATA for one write, behind RSET where a refusal left something to clear."""
        words = envelope.sender + envelope.recipient + envelope.envid
        if not words.isascii() or not words.isprintable():
            raise self._dead(Phase.MAIL, "a command line with forbidden characters", fault=True)
        self._is_resetting, self._needs_reset = self._needs_reset, False
        reset = "RSET\r\n" if self._is_resetting else ""
        return f"{reset}{self._mail(envelope)}\r\nRCPT TO:<{envelope.recipient}>\r\nDATA\r\n".encode()

    async def _go_in_group(self) -> Answer | None:
        """Read every reply of the group (RFC 2920 section 3.1): a refused RCPT keeps none of the others away."""
        seconds, wire = self.timeouts.command, self._wire
        if wire is not None and not self._is_resetting and [reply.code for reply in wire.replies] == _WELCOME:
            wire.replies.clear()  # all there, and nothing refused: what comes nearly always
            return None
        if self._is_resetting:
            self._is_resetting = False
            self._require(Phase.RESET, await self._reply(Phase.RESET, seconds), 250)
        refused: Answer | None = None
        for phase in (Phase.MAIL, Phase.RCPT):
            reply = await self._reply_behind(refused, phase, seconds)
            if reply is not None and refused is None and not reply.is_positive:
                refused = self._refused(phase, reply)
        reply = await self._reply_behind(refused, Phase.DATA, seconds)
        if refused is None and reply is not None and reply.code != 354:
            return self._refused(Phase.DATA, reply)
        if refused is not None and reply is not None and reply.code == 354:
            await self._end_empty(refused, seconds)
        return refused

    async def _end_empty(self, refused: Answer, seconds: float) -> None:
        """Leave a DATA that should not be open; by a dot only where no recipient was taken, so that nobody gets it."""
        if refused.phase is not Phase.RCPT:
            self.abort()
            return
        with contextlib.suppress(WireError):
            self._write(Phase.DATA, _DOT)
            await self._reply(Phase.DATA, seconds)

    async def _reply_behind(self, refused: Answer | None, phase: Phase, seconds: float) -> Reply | None:
        """Return the reply; once something is refused that stands, whatever becomes of the connection (None then)."""
        if refused is None:
            return await self._reply(phase, seconds)
        if not self.is_alive:
            return None
        try:
            return await self._reply(phase, seconds)
        except WireError:
            return None

    async def _go_one_by_one(self, envelope: Envelope) -> Answer | None:
        if self._needs_reset:
            self._needs_reset = False
            self._require(Phase.RESET, await self._command(Phase.RESET, "RSET"), 250)
        for phase, line in ((Phase.MAIL, self._mail(envelope)), (Phase.RCPT, f"RCPT TO:<{envelope.recipient}>")):
            reply = await self._command(phase, line)
            if not reply.is_positive:
                return self._refused(phase, reply)
        reply = await self._command(Phase.DATA, "DATA")
        return None if reply.code == 354 else self._refused(Phase.DATA, reply)

    async def _drained(self, message: bytes) -> None:
        """Write a large message and wait until the kernel has it, so that a dot is behind all of it."""
        self._write(Phase.BODY, message)
        try:
            async with asyncio.timeout(self.timeouts.body):
                await cast(Wire, self._wire).drain()
        except (ConnectionError, TimeoutError) as error:
            raise self._dead(Phase.BODY, str(error) or "the relay stopped reading") from error

    def _refuse_interruption(self, wire: Wire) -> None:
        """A relay that speaks in mid-body has something else in mind, such as 421."""
        if wire.replies:
            raise self._dead(Phase.BODY, f"spoke before the dot: {wire.replies[0].text}", reply=wire.replies[0])

    def _refused(self, phase: Phase, reply: Reply) -> Answer:
        self._needs_reset = True
        return self._answered(phase, reply)

    def _answered(self, phase: Phase, reply: Reply) -> Answer:
        self._used_at = time.monotonic()
        self.sent += phase == Phase.DOT
        if reply.code == 421:  # RFC 5321 section 3.8: the server is closing this channel
            self.abort()
        return Answer(phase, reply)

    async def _command(self, phase: Phase, line: str) -> Reply:
        if not line.isascii() or "\r" in line or "\n" in line or "\0" in line:
            raise self._dead(phase, "a command line with forbidden characters", fault=True)
        self._write(phase, line.encode() + b"\r\n")
        return await self._reply(phase, self.timeouts.command)

    def _write(self, phase: Phase, data: bytes) -> None:
        wire = self._wire
        if wire is None or wire.failure or wire.transport is None or wire.transport.is_closing():
            # Behind on_dot this would be called doubt; nothing was written, yet the journal says started: stay honest.
            raise self._dead(phase, wire.failure if wire and wire.failure else "not connected")
        wire.transport.write(data)

    async def _reply(self, phase: Phase, seconds: float, step: Callable[[], bool] | None = None) -> Reply:
        wire = self._wire
        if wire is None:
            raise self._dead(phase, "not connected")
        if wire.replies:
            return wire.replies.popleft()
        try:
            return await wire.reply(seconds, step)
        except TimeoutError as error:
            if phase is Phase.DOT and wire.kept() >= self._behind_dot:  # not one octet of the dot has left
                raise self._dead(Phase.BODY, "the relay stopped reading") from error
            raise self._dead(phase, f"no reply within {seconds:g} s") from error
        except ConnectionError as error:
            raise self._dead(phase, str(error)) from error

    def _dead(self, phase: Phase, reason: str, *, fault: bool = False, reply: Reply | None = None) -> WireError:
        if self._wire is not None:
            self._wire.fail(reason)
        return WireError(phase, reason, fault=fault, reply=reply)


def _tls_context(relay: RelayConfig) -> ssl.SSLContext:
    """Return a context that checks the certificate and the name; there is no way to switch that off."""
    context = ssl.create_default_context(cafile=relay.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
