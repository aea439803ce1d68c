"""Domain checks against scripted resolvers on real sockets: every record right, wrong, doubled, silent, disputed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core import mail
from django.core.management import call_command
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django import Settings as SettingsWrapper

from accounts import domain_keys, domains, policy, tasks, watching
from accounts.errors import DomainRefusedError
from accounts.models import AuditEntry, DkimKey, DomainRecord, Organization, PlatformKey, SendingDomain
from accounts.tests.dns_server import Server, running
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
Kind = DomainRecord.Kind
SPF = "v=spf1 include:_spf.relays.sendserver.example -all"


@pytest.fixture(scope="module")
def key_pairs() -> list[tuple[str, str]]:
    """Return two real keys, made once: making them is slow."""
    return [domain_keys.generate(), domain_keys.generate()]


@pytest.fixture(autouse=True)
def _world(monkeypatch: pytest.MonkeyPatch, settings: SettingsWrapper, key_pairs: list[tuple[str, str]]) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    turns = iter(range(1000))
    monkeypatch.setattr(domain_keys, "generate", lambda: key_pairs[next(turns) % 2])
    monkeypatch.setattr(policy, "DNS_TIMEOUT_S", 0.3)


@pytest.fixture
def resolvers(settings: SettingsWrapper) -> Iterator[tuple[Server, Server]]:
    """Return two running resolvers that the portal asks."""
    with running(Server()) as first, running(Server()) as second:
        settings.DNS_SERVERS = [first.address, second.address]
        yield first, second


@pytest.fixture
def domain(larkfield: Organization, alice: Persona) -> SendingDomain:
    """Return a new domain."""
    return domains.add(larkfield, "mail.larkfield.example", actor=alice.user)


def publish(domain: SendingDomain, *servers: Server) -> None:
    """Publish everything: the customer's records and our own zone."""
    for server in servers:
        for kind, record in domains.wanted_records(domain):
            value = "10 mx.larkfield.example" if kind == Kind.MX else record.value
            server.put(record.name, record.type, value)
        for record in domains.platform_zone():
            server.put(record.name, record.type, record.value)


def result(domain: SendingDomain, kind: str) -> DomainRecord:
    """Check the domain and return one row."""
    return next(row for row in domains.check(domain) if row.kind == kind)


def test_everything_right(domain: SendingDomain, resolvers: tuple[Server, Server]) -> None:
    """Six rows right, proven, ready, and written down."""
    publish(domain, *resolvers)
    rows = domains.check(domain)
    assert [(row.kind, row.ok, row.code) for row in rows] == [(kind, True, "") for kind in Kind.values]
    domain.refresh_from_db()
    assert domain.verified_at == domain.last_good_at == domain.checked_at
    assert domains.is_ready_to_send(domain)
    assert AuditEntry.objects.filter(action="domain.verified", subject=f"domain:{domain.uid}").count() == 1


def test_a_server_that_does_not_chase_works_too(domain: SendingDomain, resolvers: tuple[Server, Server]) -> None:
    """An answer may hold the CNAME alone."""
    publish(domain, *resolvers)
    for server in resolvers:
        server.chases = False
    assert all(row.ok for row in domains.check(domain))


def test_nothing_published(domain: SendingDomain, resolvers: tuple[Server, Server]) -> None:
    """Each row names its code; nothing is ready."""
    codes = {row.kind: row.code for row in domains.check(domain)}
    assert codes == {
        Kind.OWNERSHIP: "OWNER-MISSING",
        Kind.DKIM1: "DKIM-MISSING",
        Kind.DKIM2: "DKIM-MISSING",
        Kind.RETURN_PATH: "RP-NOT-DELEGATED",
        Kind.DMARC: "DMARC-NONE",
        Kind.MX: "MX-MISSING",
    }
    assert not domains.is_ready_to_send(domain)


def small_key() -> str:
    """Return the public half of a 1024-bit key."""
    import base64

    public = rsa.generate_private_key(65_537, 1024).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


Spoil = Callable[[Server, SendingDomain], None]
D = "mail.larkfield.example"
PLATFORM = "sendserver.example"
MANY, INSIDE = "v=spf1 " + "mx " * 11 + "-all", "v=spf1 " + "a:x.example " * 10 + "-all"


def put(host: str, kind: str, *values: str) -> Spoil:
    """Return a spoiler that publishes other values; {key} and {challenge} are the domain's."""

    def spoil(server: Server, domain: SendingDomain) -> None:
        facts = {"key": domain.key8, "challenge": domain.challenge}
        server.put(host.format(**facts), kind, *(value.format(**facts) for value in values))

    return spoil


def instead(host: str, old: str, put_it: Spoil) -> Spoil:
    """Return a spoiler that takes one record away and publishes something else."""

    def spoil(server: Server, domain: SendingDomain) -> None:
        server.drop(host, old)
        put_it(server, domain)

    return spoil


P1, P2, RP = f"p1._domainkey.{D}", f"p2._domainkey.{D}", f"rp.{PLATFORM}"
OURS = f"p1.{{key}}.dkim.{PLATFORM}"
FAULTS: list[tuple[str, str, str, Spoil]] = [
    ("other challenge", Kind.OWNERSHIP, "OWNER-MISMATCH", put(f"_portal-challenge.{D}", "TXT", "portal-verify=no")),
    ("bare challenge", Kind.OWNERSHIP, "OWNER-MISMATCH", put(f"_portal-challenge.{D}", "TXT", "x{challenge}")),
    ("name twice", Kind.DKIM1, "DKIM-MISSING", instead(P1, "CNAME", put(f"{P1}.{D}", "CNAME", "x.example"))),
    ("target doubled", Kind.DKIM1, "DKIM-MISMATCH", put(P1, "CNAME", f"{OURS}.{D}")),
    ("other service", Kind.DKIM2, "DKIM-MISMATCH", put(P2, "CNAME", "s2.shopmail.example")),
    ("txt instead", Kind.DKIM1, "DKIM-MISMATCH", instead(P1, "CNAME", put(P1, "TXT", "v=DKIM1; p=abc"))),
    ("other key behind", Kind.DKIM1, "DKIM-MISMATCH", put(OURS, "TXT", "v=DKIM1; p=abc")),
    ("elsewhere", Kind.RETURN_PATH, "RP-NOT-DELEGATED", put(f"b.{D}", "CNAME", "bounces.shopmail.example")),
    ("two spf", Kind.RETURN_PATH, "SPF-MULTI", put(RP, "TXT", SPF, "v=spf1 -all")),
    ("open spf", Kind.RETURN_PATH, "SPF-OPEN", put(RP, "TXT", "v=spf1 a ?all")),
    ("no spf", Kind.RETURN_PATH, "SPF-MISSING", put(RP, "TXT", "hello")),
    ("many look-ups", Kind.RETURN_PATH, "SPF-LOOKUPS", put(RP, "TXT", MANY)),
    ("look-ups inside", Kind.RETURN_PATH, "SPF-LOOKUPS", put(f"_spf.relays.{PLATFORM}", "TXT", INSIDE)),
    ("spf circle", Kind.RETURN_PATH, "SPF-LOOKUPS", put(f"_spf.relays.{PLATFORM}", "TXT", SPF)),
    ("two dmarc", Kind.DMARC, "DMARC-MULTI", put(f"_dmarc.{D}", "TXT", "v=DMARC1; p=none", "v=DMARC1; p=reject")),
    ("no policy", Kind.DMARC, "DMARC-SYNTAX", put(f"_dmarc.{D}", "TXT", "v=DMARC1; p=maybe")),
    ("null mx", Kind.MX, "FROM-NULLMX", put(D, "MX", "0 .")),
]


@pytest.mark.parametrize(("kind", "code", "spoil"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_each_fault_is_named(
    domain: SendingDomain, resolvers: tuple[Server, Server], kind: str, code: str, spoil: Spoil
) -> None:
    """Exactly one row is wrong, with its code, and the domain is not ready."""
    publish(domain, *resolvers)
    for server in resolvers:
        spoil(server, domain)
    rows = domains.check(domain)
    assert [(row.kind, row.code) for row in rows if not row.ok] == [(kind, code)]
    domain.refresh_from_db()
    assert not domains.is_ready_to_send(domain)
    assert domain.verified_at is None


def test_a_weak_key_is_refused(domain: SendingDomain, resolvers: tuple[Server, Server]) -> None:
    """Even when it is the one on file."""
    publish(domain, *resolvers)
    weak = small_key()
    DkimKey.objects.filter(domain=domain, selector="p1").update(public_b64=weak)
    for server in resolvers:
        server.put(f"p1.{domain.key8}.dkim.sendserver.example", "TXT", domain_keys.txt_value(weak))
    row = result(domain, Kind.DKIM1)
    assert (row.ok, row.code, row.message) == (False, "DKIM-WEAK", "This key is 1024 bits; 2048 is required.")


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ("v=DMARC1; p=none; pct=50", "DMARC-OLD-TAG"),
        ("v=DMARC1; p=reject; aspf=s", "DMARC-STRICT"),
        ("v=DMARC1;p=quarantine", ""),
        ("V=dmarc1; P=None", ""),
    ],
)
def test_dmarc_that_is_right_may_still_get_advice(
    domain: SendingDomain, resolvers: tuple[Server, Server], record: str, code: str
) -> None:
    """A warning is no fault."""
    publish(domain, *resolvers)
    for server in resolvers:
        server.put(f"_dmarc.{D}", "TXT", record)
    row = result(domain, Kind.DMARC)
    assert (row.ok, row.code) == (True, code)


def test_dmarc_of_the_parent_counts(domain: SendingDomain, resolvers: tuple[Server, Server]) -> None:
    """The tree is walked upwards, and never to the top-level domain."""
    publish(domain, *resolvers)
    for server in resolvers:
        server.drop(f"_dmarc.{D}", "TXT")
        server.put("_dmarc.larkfield.example", "TXT", "v=DMARC1; p=reject")
    assert result(domain, Kind.DMARC).ok
    assert ("_dmarc.example", "TXT") not in resolvers[0].asked


def test_resolvers_have_to_agree(domain: SendingDomain, resolvers: tuple[Server, Server]) -> None:
    """A record that only one of them sees is not there yet, and the text says so."""
    publish(domain, *resolvers)
    resolvers[1].drop(f"_portal-challenge.{D}", "TXT")
    row = result(domain, Kind.OWNERSHIP)
    assert (row.ok, row.temporary) == (False, False)
    assert "One of two resolvers sees it already" in row.message


@pytest.mark.parametrize("how", ["fails", "mute"])
def test_silence_keeps_the_last_good_answer_for_a_day(
    domain: SendingDomain, resolvers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """SERVFAIL and time-out are no answer: right stays right, until the day is over."""
    publish(domain, *resolvers)
    domains.check(domain)
    good = domain.last_good_at
    assert good is not None
    getattr(resolvers[0], how).add(f"p1._domainkey.{D}")
    later = good + timedelta(hours=23)
    monkeypatch.setattr(clock, "now", lambda: later)
    row = result(domain, Kind.DKIM1)
    assert (row.ok, row.temporary, row.code) == (True, True, "DNS-SILENT")
    assert domain.last_good_at == good
    assert domains.is_ready_to_send(domain)
    monkeypatch.setattr(clock, "now", lambda: good + timedelta(hours=24, seconds=1))
    assert not domains.is_ready_to_send(domain)


def test_a_definite_no_ends_it_at_once(domain: SendingDomain, resolvers: tuple[Server, Server]) -> None:
    """A record taken away an hour ago stops sending, silence does not."""
    publish(domain, *resolvers)
    domains.check(domain)
    for server in resolvers:
        server.drop(f"p1._domainkey.{D}", "CNAME")
    domains.check(domain)
    assert not domains.is_ready_to_send(domain)


def test_the_first_to_prove_a_name_keeps_it(
    domain: SendingDomain, hollin: Organization, mallory: Persona, resolvers: tuple[Server, Server]
) -> None:
    """A second organization cannot add it, nor prove a claim it made before."""
    theirs = domains.add(hollin, "mail.larkfield.example", actor=mallory.user)
    publish(domain, *resolvers)
    domains.check(domain)
    for server in resolvers:
        publish(theirs, server)
    domains.check(theirs)
    assert SendingDomain.objects.get(pk=theirs.pk).verified_at is None
    assert theirs.records.get(kind=Kind.OWNERSHIP).code == "TAKEN"
    assert not domains.is_ready_to_send(theirs)
    domains.remove(theirs, actor=mallory.user)
    with pytest.raises(DomainRefusedError, match="Another customer"):
        domains.add(hollin, "mail.larkfield.example", actor=mallory.user)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("gmail.com", "FROM-FREEMAIL"),
        ("GMX.de", "FROM-FREEMAIL"),
        ("co.uk", "FROM-PUBLIC-SUFFIX"),
        ("sendserver.example", "FROM-OURS"),
        ("x.m.sendserver.example", "FROM-OURS"),
        ("localhost", "BAD-NAME"),
        ("127.0.0.1", "BAD-NAME"),
        ("a b.example", "BAD-NAME"),
        ("evil.example\r\nX: y", "BAD-NAME"),
        ("_dmarc.larkfield.example", "BAD-NAME"),
        ("", "BAD-NAME"),
    ],
)
def test_names_nobody_can_send_from(larkfield: Organization, alice: Persona, name: str, code: str) -> None:
    """Each with its code; nothing is stored."""
    with pytest.raises(DomainRefusedError) as refused:
        domains.add(larkfield, name, actor=alice.user)
    assert refused.value.code == code
    assert SendingDomain.objects.count() == 0


def test_an_international_name_is_kept_as_a_label(larkfield: Organization, alice: Persona) -> None:
    """bücher.example is what DNS calls it."""
    assert domains.add(larkfield, "Bücher.example", actor=alice.user).name == "xn--bcher-kva.example"


def test_the_same_domain_twice_is_refused(domain: SendingDomain, alice: Persona, larkfield: Organization) -> None:
    """Until it is removed; then a new challenge counts."""
    with pytest.raises(DomainRefusedError, match="already"):
        domains.add(larkfield, "MAIL.larkfield.example", actor=alice.user)
    domains.remove(domain, actor=alice.user)
    again = domains.add(larkfield, "mail.larkfield.example", actor=alice.user)
    assert again.challenge != domain.challenge
    assert len(again.challenge) * 4 == policy.CHALLENGE_BITS


def test_private_keys_are_sealed(domain: SendingDomain) -> None:
    """No PEM in the table; the signer gets it back."""
    domains.platform_key()
    sealed = [*DkimKey.objects.values_list("private_sealed", flat=True), PlatformKey.objects.get().private_sealed]
    assert all("PRIVATE" not in text for text in sealed)
    key = domains.signing_key(domain)
    assert (key.selector, key.domain) == ("p1", "mail.larkfield.example")
    assert key.private_pem.startswith("-----BEGIN PRIVATE KEY-----")
    assert "PRIVATE" not in repr(key)


def test_the_platform_key_is_made_once() -> None:
    """Its public half stands in the zone."""
    first, second = domains.platform_key(), domains.platform_key()
    assert first == second
    assert (first.selector, first.domain) == ("m1", "m.sendserver.example")
    names = {record.name for record in domains.platform_zone()}
    assert "m1._domainkey.m.sendserver.example" in names


def test_the_zone_prints_as_a_zone_file(domain: SendingDomain, capsys: pytest.CaptureFixture[str]) -> None:
    """dnspython reads it back; long texts are split at 255 octets."""
    import dns.zone

    call_command("platform_dns")
    text = capsys.readouterr().out
    zone = dns.zone.from_text(
        "example. 60 IN SOA a.example. b.example. 1 1 1 1 1\nexample. 60 IN NS a.example.\n" + text,
        origin="example.", relativize=False,
    )  # fmt: skip
    rdata = zone.get_rdataset(f"p1.{domain.key8}.dkim.sendserver.example.", "TXT")
    assert rdata is not None
    joined = b"".join(rdata[0].strings).decode()
    assert joined == domain_keys.txt_value(domain.keys.get(selector="p1").public_b64)
    assert all(len(piece) <= 255 for piece in rdata[0].strings)


def good_since(hours: float) -> datetime:
    """Return the time that many hours ago."""
    return clock.now() - timedelta(hours=hours)


def test_whose_turn_it_is(larkfield: Organization, alice: Persona) -> None:
    """New and incomplete ones often, complete ones a few times a day, removed ones never."""
    made = {name: domains.add(larkfield, f"{name}.example", actor=alice.user) for name in "abcde"}
    DomainRecord.objects.exclude(domain=made["d"]).update(ok=True)
    good = {"verified_at": good_since(90), "last_good_at": good_since(1)}
    SendingDomain.objects.filter(pk=made["b"].pk).update(checked_at=good_since(0.5), **good)
    SendingDomain.objects.filter(pk=made["c"].pk).update(checked_at=good_since(policy.DOMAIN_RECHECK_HOURS), **good)
    SendingDomain.objects.filter(pk=made["d"].pk).update(checked_at=good_since(0.1), verified_at=good_since(9))
    domains.remove(made["e"], actor=alice.user)
    assert {row.name for row in domains.due()} == {"a.example", "c.example", "d.example"}


def test_people_hear_when_it_is_found_and_when_it_breaks(
    domain: SendingDomain,
    resolvers: tuple[Server, Server],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    """One letter each, not one at every look."""
    publish(domain, *resolvers)
    with django_capture_on_commit_callbacks(execute=True):
        watching.watch(domain)
        watching.watch(domain)
        for server in resolvers:
            server.drop(f"b.{D}", "CNAME")
        watching.watch(domain)
        watching.watch(domain)
    assert [letter.subject for letter in mail.outbox] == [
        "Found: all records of mail.larkfield.example",
        "Broken: DNS of mail.larkfield.example",
    ]
    assert "b.mail.larkfield.example does not point to us" in str(mail.outbox[1].body)


def test_the_task_goes_on_after_a_failure(
    larkfield: Organization, alice: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One domain's fault does not stop the next one."""
    for name in ("a.example", "b.example"):
        domains.add(larkfield, name, actor=alice.user)
    seen: list[str] = []

    def fails_first(domain: SendingDomain) -> list[DomainRecord]:
        seen.append(domain.name)
        if len(seen) == 1:
            raise RuntimeError
        return []

    monkeypatch.setattr(watching, "watch", fails_first)
    assert tasks.check_domains() == 1
    assert seen == ["a.example", "b.example"]


def test_no_private_key_in_the_repository() -> None:
    """Nobody left one in a fixture."""
    root = Path(__file__).resolve().parent.parent
    marker = "BEGIN PRIVATE KEY-----" + "\n"
    assert not [path for path in root.rglob("*.py") if marker in path.read_text()]
