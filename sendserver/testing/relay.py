"""A scripted SMTP relay on a real socket, with its own log as ground truth.

It keeps what it accepts and misbehaves where a test asks it to: refuse, close, hang, drip, answer nonsense or wait for
the test at any phase. It runs in a thread with its own event loop, so lanes in the test's process, in its threads or
in killed child processes all meet the same relay. It knows nothing of the portal.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_TAIL = b"\r\n.\r\n"
PLAIN_EXTENSIONS = ("SIZE 10485760", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES")  # one command at a time
EXTENSIONS = ("PIPELINING", *PLAIN_EXTENSIONS)


class Phase:
    """Where in the conversation a rule strikes; BODY is behind 354, DOT between the dot and its reply."""

    CONNECT = "connect"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"
    RSET = "rset"
    NOOP = "noop"
    QUIT = "quit"


@dataclass(frozen=True)
class Line:
    """One thing that happened: what the relay saw and what it answered, in order."""

    at: float
    session: int
    phase: str
    recipient: str
    message_id: str
    reply: str


@dataclass(frozen=True)
class Accepted:
    """A message for which the relay answered 250 after the dot."""

    sender: str
    recipient: str
    raw: bytes
    at: float
    session: int
    parameters: str

    @property
    def message_id(self) -> str:
        """Return the Message-ID, empty when there is none."""
        return _message_id(self.raw)


@dataclass
class Session:
    """One connection as the relay sees it."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tls: bool = False
    authenticated: str = ""
    helo: str = ""
    sender: str = ""
    parameters: str = ""
    recipient: str = ""
    is_open: bool = False  # MAIL was taken
    raw: bytes = b""
    commands: list[str] = field(default_factory=list)


Act = Callable[[Session], Awaitable[str | None]]


class Hangup(Exception):  # noqa: N818
    """Ends the connection without a word."""


def reply(text: str) -> Act:
    """Answer with `text` (without CRLF) in place of the usual reply."""

    async def act(_: Session) -> str:
        return text

    return act


def close(*, reset: bool = False) -> Act:
    """End the connection; with `reset` by RST."""

    async def act(session: Session) -> str:
        if reset:
            session.writer.transport.abort()
        raise Hangup

    return act


def hang(seconds: float) -> Act:
    """Say nothing for `seconds`, then go on as usual."""

    async def act(_: Session) -> None:
        await asyncio.sleep(seconds)

    return act


def wait_for(gate: threading.Event, reached: threading.Event | None = None, then: Act | None = None) -> Act:
    """Set `reached`, wait until the test sets `gate`, then go on (or do `then`)."""

    async def act(session: Session) -> str | None:
        if reached:
            reached.set()
        while not gate.is_set():
            await asyncio.sleep(0.005)
        return await then(session) if then else None

    return act


def raw_bytes(data: bytes, *, end: bool = False) -> Act:
    """Write `data` as it is, without the usual reply; with `end` hang up behind it."""

    async def act(session: Session) -> str:
        session.writer.write(data)
        await session.writer.drain()
        if end:
            raise Hangup
        return ""

    return act


@dataclass
class Rule:
    """Do `act` at `phase`, at most `times` times, where `when` holds."""

    phase: str
    act: Act
    times: int | None
    when: Callable[[Session], bool]


class ScriptedRelay:
    """Start with `with ScriptedRelay() as relay:`; read `.accepted` and `.log`; script with `.on(...)`."""

    def __init__(  # noqa: PLR0913 (a test names what it needs)
        self,
        name: str = "out1.relay.example",
        *,
        port: int = 0,
        extensions: tuple[str, ...] = EXTENSIONS,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        credentials: tuple[str, str] | None = None,
        delay: float = 0.0,
    ) -> None:
        self.name, self.port, self.extensions = name, port, extensions
        self.tls, self.implicit_tls, self.credentials, self.delay = tls, implicit_tls, credentials, delay
        self.accepted: list[Accepted] = []
        self.log: list[Line] = []
        self.sessions: list[Session] = []
        self.rules: list[Rule] = []
        self.on_no_recipient = "554 5.5.1 no valid recipients"  # RFC 2920 section 3.1 allows 354 as well
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=f"relay {name}", daemon=True)
        self._ready = threading.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- for tests
    def on(
        self, phase: str, act: Act, *, times: int | None = None, when: Callable[[Session], bool] | None = None
    ) -> None:
        """Script: at `phase` do `act`; earlier rules win."""
        self.rules.append(Rule(phase, act, times, when or (lambda _: True)))

    @property
    def url(self) -> str:
        """Return the relay's URL as RELAY_n_URL takes it."""
        return f"smtp://127.0.0.1:{self.port}?name={self.name}"

    @property
    def recipients(self) -> list[str]:
        """Return the recipients of all accepted messages, in order."""
        return [message.recipient for message in self.accepted]

    def count(self, phase: str) -> int:
        """Return how often `phase` was reached."""
        return sum(line.phase == phase for line in self.log)

    def __enter__(self) -> ScriptedRelay:
        """Listen."""
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the relay did not start")
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection and end the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    # --- inside the thread
    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._shut())
        self._loop.close()

    async def _listen(self) -> None:
        context = self.tls if self.implicit_tls else None
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=context, limit=2**24)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _shut(self) -> None:
        assert self._server
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for session in self.sessions:
            with contextlib.suppress(AttributeError):  # asyncio before 3.11.4: a TLS transport that was closed twice
                session.writer.transport.abort()
        await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(len(self.sessions) + 1, reader, writer, tls=self.implicit_tls)
        self.sessions.append(session)
        task = self._loop.create_task(self._converse(session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, session: Session) -> None:
        with contextlib.suppress(
            Hangup, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError
        ):
            await self._answer(session, Phase.CONNECT, f"220 {self.name} ESMTP")
            while True:
                line = await session.reader.readuntil(b"\r\n")
                session.commands.append(line.decode("ascii", "replace").rstrip("\r\n"))
                await self._command(session, session.commands[-1])
        session.writer.close()

    async def _command(self, session: Session, line: str) -> None:
        verb = line.split(" ", 1)[0].split(":", 1)[0].upper()
        handler = getattr(self, f"_do_{verb.lower()}", None)
        if handler is None:
            await self._say(session, "502 5.5.1 not implemented")
        else:
            await handler(session, line)

    async def _answer(self, session: Session, phase: str, usual: str) -> bool:
        """Apply the first fitting rule, answer, log; tell whether the usual answer was given."""
        text: str | None = None
        for rule in self.rules:
            if rule.phase == phase and rule.times != 0 and rule.when(session):
                rule.times = None if rule.times is None else rule.times - 1
                try:
                    text = await rule.act(session)
                except Hangup:
                    self._note(session, phase, "closed")
                    raise
                break
        answer = usual if text is None else text
        self._note(session, phase, answer)
        if phase == Phase.DOT and answer.startswith("2"):
            self.accepted.append(self._message(session))
        if answer:
            await self._say(session, answer)
        return text is None

    def _note(self, session: Session, phase: str, answer: str) -> None:
        self.log.append(
            Line(time.monotonic(), session.number, phase, session.recipient, _message_id(session.raw), answer)
        )

    def _message(self, session: Session) -> Accepted:
        return Accepted(
            session.sender, session.recipient, session.raw, time.monotonic(), session.number, session.parameters
        )

    async def _say(self, session: Session, text: str) -> None:
        session.writer.write(text.encode() + b"\r\n")
        await session.writer.drain()

    async def _do_ehlo(self, session: Session, line: str) -> None:
        session.helo = line[5:]
        offers = list(self.extensions)
        if self.tls and not session.tls:
            offers.append("STARTTLS")
        if self.credentials and session.tls:
            offers.append("AUTH PLAIN LOGIN")
        lines = [self.name, *offers]
        text = "\r\n".join(f"250{' ' if item is lines[-1] else '-'}{item}" for item in lines)
        await self._answer(session, Phase.EHLO, text)

    async def _do_starttls(self, session: Session, _: str) -> None:
        if self.tls and await self._answer(session, Phase.STARTTLS, "220 2.0.0 go ahead"):
            await session.writer.start_tls(self.tls)
            session.tls = True

    async def _do_auth(self, session: Session, line: str) -> None:
        _, _, secret = base64.b64decode(line.split(" ")[2]).partition(b"\0")
        user, _, password = secret.decode().partition("\0")
        right = (user, password) == self.credentials and session.tls
        if await self._answer(session, Phase.AUTH, "235 2.7.0 ok" if right else "535 5.7.8 no") and right:
            session.authenticated = user

    async def _do_mail(self, session: Session, line: str) -> None:
        match = re.match(r"MAIL FROM:<([^>]*)>(.*)", line, re.IGNORECASE)
        session.sender, session.parameters = (match[1], match[2].strip()) if match else ("", "")
        session.recipient, session.raw = "", b""
        usual = await self._answer(session, Phase.MAIL, "250 2.1.0 ok")
        session.is_open = usual or self.log[-1].reply.startswith("2")

    async def _do_rcpt(self, session: Session, line: str) -> None:
        if not session.is_open:
            await self._say(session, "503 5.5.1 MAIL first")
            return
        match = re.match(r"RCPT TO:<([^>]*)>", line, re.IGNORECASE)
        session.recipient = match[1] if match else ""
        if not await self._answer(session, Phase.RCPT, "250 2.1.5 ok"):
            session.recipient = session.recipient if self.log[-1].reply.startswith("2") else ""

    async def _do_data(self, session: Session, _: str) -> None:
        if not session.recipient:
            await self._say(session, self.on_no_recipient)
            if self.on_no_recipient.startswith("354"):
                await session.reader.readuntil(b".\r\n")
                await self._say(session, "554 5.5.1 no valid recipients")
            return
        if not await self._answer(session, Phase.DATA, "354 go ahead") and not self.log[-1].reply.startswith("354"):
            return
        await self._answer(session, Phase.BODY, "")
        data = await session.reader.readuntil(_TAIL)
        session.raw = data[:-3].replace(b"\r\n..", b"\r\n.")
        if self.delay:
            await asyncio.sleep(self.delay)
        await self._answer(session, Phase.DOT, f"250 2.0.0 Ok: queued as {len(self.accepted) + 1:08X}")
        session.recipient, session.is_open = "", False

    async def _do_rset(self, session: Session, _: str) -> None:
        session.sender = session.recipient = ""
        session.is_open = False
        await self._answer(session, Phase.RSET, "250 2.0.0 ok")

    async def _do_noop(self, session: Session, _: str) -> None:
        await self._answer(session, Phase.NOOP, "250 2.0.0 ok")

    async def _do_quit(self, session: Session, _: str) -> None:
        await self._answer(session, Phase.QUIT, "221 2.0.0 bye")
        raise Hangup


def _message_id(raw: bytes) -> str:
    match = re.search(rb"^Message-ID:\s*(\S+)", raw, re.IGNORECASE | re.MULTILINE)
    return match[1].decode("ascii", "replace") if match else ""
