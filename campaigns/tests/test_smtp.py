"""The SMTP client against a scripted relay: phases, TLS, odd replies, deadlines."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from campaigns.sending.phases import Answer, Envelope, Phase, WireError
from campaigns.sending.replies import MalformedReplyError, Reply, ReplyParser
from campaigns.sending.smtp import SmtpConnection, Timeouts
from sendserver.lib.relays import RelayConfig
from sendserver.testing import relay as scripted
from sendserver.testing.relay import ScriptedRelay, raw_bytes, reply

FAST = Timeouts(connect=2.0, command=1.0, body=1.0, dot=1.0)
MESSAGE = b"Subject: x\r\nMessage-ID: <1@x>\r\n\r\nhello\r\n.hidden dot\r\n..two\r\n"


@pytest.fixture(params=[scripted.EXTENSIONS, scripted.PLAIN_EXTENSIONS], ids=["in groups", "one by one"])
def relay(request: pytest.FixtureRequest) -> Iterator[ScriptedRelay]:
    with ScriptedRelay(extensions=request.param) as server:
        yield server


def _config(relay: ScriptedRelay, query: str = "", user: str = "") -> RelayConfig:
    return RelayConfig.from_url(1, f"smtp://{user}127.0.0.1:{relay.port}?name=out1.relay.example{query}")


def _send(
    config: RelayConfig, *messages: bytes, dots: list[int] | None = None, runner: Any = asyncio.run
) -> list[Answer]:
    async def work() -> list[Answer]:
        connection = SmtpConnection(config, FAST, helo="m.sendserver.example")
        await connection.open()
        answers = []
        for number, message in enumerate(messages):
            envelope = Envelope("b.t@b.x.example", f"p{number}@inbox.example", "t")
            seen = [] if dots is None else dots
            answers.append(await connection.send(envelope, message, lambda n=number, s=seen: s.append(n)))
        await connection.close()
        return answers

    return runner(work())


def test_a_conversation_is_kept_and_dots_are_stuffed(relay: ScriptedRelay) -> None:
    dots: list[int] = []
    answers = _send(_config(relay), MESSAGE, MESSAGE, MESSAGE, dots=dots)
    assert all(answer.is_accepted for answer in answers)
    assert answers[0].reply.queue_id == "00000001"
    assert [message.raw for message in relay.accepted] == [MESSAGE] * 3
    assert len(relay.sessions) == 1
    assert dots == [0, 1, 2]


def test_what_looks_like_the_end_does_not_end_it(relay: ScriptedRelay) -> None:
    tricky = b"Subject: x\r\n\r\na\r\n.\r\nMAIL FROM:<evil@x>\r\n..\r\n.\r\n"
    _send(_config(relay), tricky)
    assert [message.raw for message in relay.accepted] == [tricky]


def test_a_refusal_is_reset_and_the_session_goes_on(relay: ScriptedRelay) -> None:
    relay.on(scripted.Phase.RCPT, reply("550 5.1.1 no"), times=1)
    dots: list[int] = []
    answers = _send(_config(relay), MESSAGE, MESSAGE, dots=dots)
    assert [(answer.phase, answer.is_accepted) for answer in answers] == [(Phase.RCPT, False), (Phase.DOT, True)]
    assert relay.count(scripted.Phase.RSET) == 1
    assert dots == [1]


@pytest.mark.parametrize(
    "answer",
    [b"hello\r\n", b"250-one\r\n550 two\r\n", b"2500 x\r\n", b"250 a\0b\r\n", b"x" * 3000, b"250-x\r\n" * 200, b"\r\n"],
)
@pytest.mark.parametrize("phase", [scripted.Phase.MAIL, scripted.Phase.DOT])
def test_nonsense_is_a_break_at_its_phase(relay: ScriptedRelay, phase: str, answer: bytes) -> None:
    relay.on(phase, raw_bytes(answer))
    with pytest.raises(WireError) as caught:
        _send(_config(relay), MESSAGE)
    assert caught.value.phase == phase


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (scripted.Phase.CONNECT, Phase.CONNECT),
        (scripted.Phase.EHLO, Phase.EHLO),
        (scripted.Phase.RCPT, Phase.RCPT),
        (scripted.Phase.DATA, Phase.DATA),
        (scripted.Phase.DOT, Phase.DOT),
    ],
)
def test_every_phase_has_a_deadline(relay: ScriptedRelay, phase: str, expected: Phase) -> None:
    relay.on(phase, scripted.hang(8))
    with pytest.raises(WireError) as caught:
        _send(_config(relay), MESSAGE)
    assert caught.value.phase is expected


def test_a_421_ends_the_connection(relay: ScriptedRelay) -> None:
    relay.on(scripted.Phase.MAIL, reply("421 4.3.2 closing"))

    async def work() -> bool:
        connection = SmtpConnection(_config(relay), FAST, helo="x.example")
        await connection.open()
        await connection.send(Envelope("", "a@x.example"), MESSAGE, lambda: None)
        return connection.is_alive

    assert asyncio.run(work()) is False


@pytest.mark.parametrize("recipient", ["a@x.example>\r\nRCPT TO:<b@x.example", "a\0@x.example", "ä@x.example"])
def test_no_command_carries_a_line_break(relay: ScriptedRelay, recipient: str) -> None:
    async def work() -> None:
        connection = SmtpConnection(_config(relay), FAST, helo="x.example")
        await connection.open()
        await connection.send(Envelope("", recipient), MESSAGE, lambda: None)

    with pytest.raises(WireError):
        asyncio.run(work())
    assert relay.count(scripted.Phase.RCPT) == 0


def test_a_refused_connection_is_no_fault_of_ours() -> None:
    with pytest.raises(WireError) as caught:
        _send(RelayConfig.from_url(1, "smtp://127.0.0.1:1"), MESSAGE)
    assert (caught.value.phase, caught.value.fault) == (Phase.CONNECT, False)


# --- the next envelope in the same write (RFC 2920)


@pytest.fixture
def grouped() -> Iterator[ScriptedRelay]:
    with ScriptedRelay() as server:
        yield server


def _envelope(number: int) -> Envelope:
    return Envelope("b.t@b.x.example", f"p{number}@inbox.example", "t")


async def _opened(relay: ScriptedRelay) -> SmtpConnection:
    connection = SmtpConnection(_config(relay), FAST, helo="m.sendserver.example")
    await connection.open()
    return connection


def _run(relay: ScriptedRelay, messages: int, dots: list[int]) -> list[Answer]:
    """Send with the next envelope ahead, as a lane does."""

    async def work() -> list[Answer]:
        connection, answers, ahead = await _opened(relay), [], False
        for number in range(messages):
            if not ahead:
                await connection.begin(_envelope(number))
            refused = await connection.go()
            ahead = refused is None and number + 1 < messages
            if refused is None:
                following = _envelope(number + 1) if ahead else None
                await connection.finish(MESSAGE, lambda n=number: dots.append(n), following)
            answers.append(refused or await connection.dot())
        await connection.close()
        return answers

    return asyncio.run(work())


def test_the_next_envelope_travels_with_a_message(grouped: ScriptedRelay) -> None:
    dots: list[int] = []
    answers = _run(grouped, 4, dots)
    assert all(answer.is_accepted for answer in answers)
    assert grouped.recipients == [f"p{number}@inbox.example" for number in range(4)]
    assert [message.raw for message in grouped.accepted] == [MESSAGE] * 4
    assert dots == [0, 1, 2, 3]
    assert len(grouped.sessions) == 1
    commands = [line.split()[0] for line in grouped.sessions[0].commands]
    assert commands[:13] == ["EHLO", *(["MAIL", "RCPT", "DATA"] * 4)]


@pytest.mark.parametrize("phase", [scripted.Phase.MAIL, scripted.Phase.RCPT, scripted.Phase.DATA, scripted.Phase.DOT])
def test_a_refusal_in_a_group_concerns_its_own_message(grouped: ScriptedRelay, phase: str) -> None:
    grouped.on(phase, reply("550 5.7.1 not this one"), times=1, when=lambda _: len(grouped.accepted) == 1)
    answers = _run(grouped, 4, [])
    assert [answer.is_accepted for answer in answers] == [True, False, True, True]
    assert answers[1].phase == phase
    assert grouped.recipients == ["p0@inbox.example", "p2@inbox.example", "p3@inbox.example"]


def test_data_opened_without_a_recipient_is_ended_empty_and_reaches_nobody(grouped: ScriptedRelay) -> None:
    """RFC 2920 section 3.1: a server may answer 354 although it refused everybody."""
    grouped.on(scripted.Phase.RCPT, reply("550 5.1.1 no"), times=1)
    grouped.on_no_recipient = "354 go ahead all the same"
    answers = _run(grouped, 2, [])
    assert [answer.is_accepted for answer in answers] == [False, True]
    assert grouped.recipients == ["p1@inbox.example"]
    assert len(grouped.sessions) == 1


def test_a_relay_that_takes_rcpt_without_mail_gets_no_dot(grouped: ScriptedRelay) -> None:
    grouped.on(scripted.Phase.MAIL, raw_bytes(b"550 5.7.1 no\r\n250 2.1.5 ok\r\n354 go ahead\r\n"))

    async def work() -> tuple[Answer | None, bool]:
        connection = await _opened(grouped)
        await connection.begin(_envelope(0))
        return await connection.go(), connection.is_alive

    answer, is_alive = asyncio.run(work())
    assert answer is not None
    assert answer.phase is Phase.MAIL
    assert not is_alive
    assert not grouped.accepted


def test_a_refusal_stands_when_the_connection_ends_behind_it(grouped: ScriptedRelay) -> None:
    grouped.on(scripted.Phase.RCPT, raw_bytes(b"550 5.1.1 no\r\n", end=True))

    async def work() -> Answer | None:
        connection = await _opened(grouped)
        await connection.begin(_envelope(0))
        return await connection.go()

    answer = asyncio.run(work())
    assert answer is not None
    assert (answer.phase, answer.reply.enhanced) == (Phase.RCPT, "5.1.1")


def test_a_relay_that_stops_reading_before_the_dot_leaves_no_doubt(grouped: ScriptedRelay) -> None:
    """Buffers full, the deadline over, not one octet of the dot handed to the kernel: surely not delivered."""
    grouped.on(scripted.Phase.BODY, scripted.hang(8))

    async def work() -> None:
        connection = await _opened(grouped)
        await connection.begin(_envelope(0))
        assert await connection.go() is None
        large = MESSAGE + b"y" * 70 + (b"\r\n" + b"z" * 70) * 600 + b"\r\n"
        wire = connection._wire
        assert wire is not None
        wire.kept = lambda: 5_000_000  # type: ignore[method-assign] (a kernel that took nothing of it)
        await connection.finish(large, lambda: None)
        await connection.dot()

    with pytest.raises(WireError) as caught:
        asyncio.run(work())
    assert caught.value.phase is Phase.BODY


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PEM file with key and certificate for localhost, its own authority."""
    key = rsa.generate_private_key(65_537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return path


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _tls_config(relay: ScriptedRelay, tls: str, ca: str, host: str = "localhost") -> RelayConfig:
    return RelayConfig.from_url(1, f"smtp://user:secret@{host}:{relay.port}?tls={tls}&ca={ca}")


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("kind", ["starttls", "implicit"])
def test_signs_in_over_verified_tls(certificate: Path, kind: str, runner: Any) -> None:
    with ScriptedRelay(
        tls=_context(certificate), implicit_tls=kind == "implicit", credentials=("user", "secret")
    ) as relay:
        large = b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n" + (b"z" * 70 + b"\r\n") * 5000
        answers = _send(_tls_config(relay, kind, str(certificate)), MESSAGE, large, MESSAGE, runner=runner)
        assert [answer.is_accepted for answer in answers] == [True] * 3
        assert relay.accepted[1].raw == large
        assert relay.sessions[0].authenticated == "user"


@pytest.mark.parametrize(
    ("ca", "host"), [("", "localhost"), ("own", "127.0.0.1")], ids=["unknown authority", "wrong name"]
)
@pytest.mark.parametrize("kind", ["starttls", "implicit"])
def test_a_bad_certificate_is_a_fault_and_no_credentials_leave(
    certificate: Path, ca: str, host: str, kind: str
) -> None:
    with ScriptedRelay(
        tls=_context(certificate), implicit_tls=kind == "implicit", credentials=("user", "secret")
    ) as relay:
        with pytest.raises(WireError) as caught:
            _send(_tls_config(relay, kind, str(certificate) if ca else "", host), MESSAGE)
        assert caught.value.fault
        assert not any(line.startswith("AUTH") for session in relay.sessions for line in session.commands)


def test_stripped_starttls_is_a_fault_and_no_credentials_leave(certificate: Path) -> None:
    with ScriptedRelay() as relay:
        with pytest.raises(WireError) as caught:
            _send(_tls_config(relay, "starttls", str(certificate)), MESSAGE)
        assert caught.value.fault
        assert [line.split()[0] for line in relay.sessions[0].commands] == ["EHLO"]


def test_refused_credentials_are_a_fault(certificate: Path) -> None:
    with ScriptedRelay(tls=_context(certificate), credentials=("user", "other")) as relay:
        with pytest.raises(WireError) as caught:
            _send(_tls_config(relay, "starttls", str(certificate)), MESSAGE)
        assert (caught.value.phase, caught.value.fault) == (Phase.AUTH, True)


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_the_parser_never_raises_anything_else(pieces: list[bytes]) -> None:
    parser, answers = ReplyParser(), list[Reply]()
    try:
        for piece in pieces:
            parser.feed(piece, answers)
    except MalformedReplyError:
        pass
    assert all(200 <= answer.code < 600 for answer in answers)


@given(st.integers(1, 40))
def test_the_parser_does_not_care_how_bytes_are_cut(size: int) -> None:
    stream = b"250-relay\r\n250-SIZE 100\r\n250 DSN\r\n354 go\r\n550 5.1.1 no\r\n"
    parser, replies = ReplyParser(), list[Reply]()
    for start in range(0, len(stream), size):
        parser.feed(stream[start : start + size], replies)
    assert [(r.code, len(r.lines)) for r in replies] == [(250, 3), (354, 1), (550, 1)]
    assert replies[2].enhanced == "5.1.1"
