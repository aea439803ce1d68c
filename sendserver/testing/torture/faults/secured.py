"""Rows 13 and 19 over TLS: sign-in refused, STARTTLS stripped, a certificate that nobody vouches for."""

from __future__ import annotations

import datetime
import ssl
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from campaigns.models import Outcome, RelayState
from sendserver.testing.hook import Hook
from sendserver.testing.relay import Phase
from sendserver.testing.torture import books
from sendserver.testing.torture.arena import Arena, Told
from sendserver.testing.torture.faults import conversations
from sendserver.testing.torture.faults.duty import is_called, is_told_of_the_end, on_duty

CREDENTIALS = ("portal", "secret")
FAULTS = ("relay-1:fault", "relay-2:fault")


def refused_for_good(here: Arena, told: Told, seed: int) -> Told:
    """Row 13: the relays refuse our sender, or our sign-in."""
    with on_duty(here) as hook:
        return (conversations.sender_refused if seed % 2 else sign_in_refused)(here, told, hook)


def sign_in_refused(here: Arena, told: Told, hook: Hook) -> Told:
    """Row 13, second part: 535 on both relays; the lanes pause, everybody stays planned."""
    _secure(here, _certificate(here.folder / "good.pem"), "good.pem")
    for relay in here.relays:
        relay.credentials = ("portal", "changed")
    _paused_then_mended(here, told, Phase.AUTH, lambda relay: setattr(relay, "credentials", CREDENTIALS), hook=hook)
    is_told_of_the_end(here, told, hook, *FAULTS)
    return told


def no_trust(here: Arena, told: Told, seed: int) -> Told:
    """Row 19: no STARTTLS offered, or a strange certificate: refused, and no credentials leave."""
    good = _certificate(here.folder / "good.pem")
    _secure(here, good, "good.pem")
    strange = _context(_certificate(here.folder / "strange.pem")) if seed % 2 else None
    right = _context(good)
    for relay in here.relays:
        relay.tls = strange
    return _paused_then_mended(here, told, Phase.EHLO, lambda relay: setattr(relay, "tls", right), silent=True)


def _secure(here: Arena, certificate: Path, name: str) -> None:
    context = _context(certificate)
    for relay in here.relays:
        relay.tls, relay.credentials = context, CREDENTIALS
    user, password = CREDENTIALS
    ca = here.folder / name
    first, second = (
        f"smtp://{user}:{password}@localhost:{relay.port}?name={relay.name}&tls=starttls&ca={ca}"
        for relay in here.relays
    )
    here.urls = (first, second)


def _paused_then_mended(  # noqa: PLR0913 (keywords)
    here: Arena, told: Told, phase: str, mend: object, *, silent: bool = False, hook: Hook | None = None
) -> Told:
    """Run with the fault, check that nothing was used up and (`silent`) no secret left, mend it and go on.

    With `hook` somebody must be called meanwhile.
    """
    here.plan(40)
    here.lanes()
    here.until(lambda: all(relay.count(phase) >= 2 for relay in here.relays))
    time.sleep(0.5)
    told.hits = min(relay.count(phase) for relay in here.relays)
    told.claim(not here.taken, "something was sent")
    told.claim(set(books.states_of(here.campaign).values()) == {"planned"}, "somebody was used up by it")
    told.claim(not Outcome.objects.exists(), "an outcome was written")
    told.claim(not RelayState.objects.filter(healthy=True).exists(), "a relay is called healthy")
    if hook is not None:
        is_called(here, told, hook, *FAULTS)
    if silent:
        heard = [word for relay in here.relays for one in relay.sessions for word in one.commands]
        told.claim(not any(word.upper().startswith("AUTH") for word in heard), "credentials left")
    for relay in here.relays:
        mend(relay)  # type: ignore[operator]
    here.settle(told)
    told.claim(all(one.tls for relay in here.relays for one in relay.sessions if one.sender), "mail in the clear")
    return told


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _certificate(path: Path) -> Path:
    """Write key and certificate for localhost, its own authority."""
    key = rsa.generate_private_key(65_537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return path
