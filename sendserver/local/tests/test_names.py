"""The small DNS, asked with dnspython's own resolver over real sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rcode
import dns.resolver
import pytest

from sendserver.local import names
from sendserver.local.dns import Zones, addresses_of, listen
from sendserver.local.names import Name
from sendserver.local.ports import free_port

LONG = "v=DKIM1; k=rsa; p=" + "A" * 700


class Fixed(Zones):
    """A zone without a database."""

    def _read(self) -> names.Zone | None:
        if (self.var / "broken").exists():
            return None
        own = [
            Name("out1.sendserver.example", "A", "127.0.0.1"),
            Name("p1.x7.dkim.sendserver.example", "TXT", LONG),
            Name("loop.example", "CNAME", "loop.example"),
        ]
        return names.zone_of([*own, *names.published(self.var)])


@pytest.fixture
def resolver(tmp_path: Path) -> Iterator[dns.resolver.Resolver]:
    port = free_port()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> None:
        zones = Fixed(tmp_path)
        await listen(zones, [("127.0.0.1", port)])

    asyncio.run_coroutine_threadsafe(start(), loop).result(5)
    client = dns.resolver.Resolver(configure=False)
    client.nameservers, client.port, client.lifetime = ["127.0.0.1"], port, 3
    yield client
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


def test_answers_hosts_and_follows_a_cname_to_a_long_key_by_tcp(
    resolver: dns.resolver.Resolver, tmp_path: Path
) -> None:
    names.publish(tmp_path, [Name("P1._domainkey.larkfield.example", "CNAME", "p1.x7.dkim.sendserver.example")])
    assert [row.to_text() for row in resolver.resolve("OUT1.sendserver.example", "A")] == ["127.0.0.1"]
    [row] = resolver.resolve("p1._domainkey.larkfield.example", "TXT")
    assert b"".join(row.strings).decode() == LONG


def test_says_what_is_not_there(resolver: dns.resolver.Resolver) -> None:
    with pytest.raises(dns.resolver.NXDOMAIN):
        resolver.resolve("nobody.example", "TXT")
    with pytest.raises(dns.resolver.NoAnswer):
        resolver.resolve("out1.sendserver.example", "MX")
    with pytest.raises(dns.resolver.NoAnswer):  # it has names below it, so it exists
        resolver.resolve("dkim.sendserver.example", "TXT")


def test_a_cname_to_itself_ends(resolver: dns.resolver.Resolver) -> None:
    with pytest.raises((dns.resolver.NoAnswer, dns.exception.DNSException)):
        resolver.resolve("loop.example", "TXT")


def test_a_silent_database_is_a_temporary_fault(resolver: dns.resolver.Resolver, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(dns.resolver.NoNameservers, match="SERVFAIL"):
        resolver.resolve("out1.sendserver.example", "A")


def test_publishing_replaces_and_withdraws(tmp_path: Path) -> None:
    names.publish(tmp_path, [Name("b.a.example", "CNAME", "old.example"), Name("a.example", "MX", "10 mx.a.example")])
    names.publish(tmp_path, [Name("b.a.example", "CNAME", "new.example"), Name("aa.example", "TXT", "stays")])
    assert names.published(tmp_path) == [
        Name("a.example", "MX", "10 mx.a.example"),
        Name("aa.example", "TXT", "stays"),
        Name("b.a.example", "CNAME", "new.example"),
    ]
    names.withdraw(tmp_path, "A.example")
    assert names.published(tmp_path) == [Name("aa.example", "TXT", "stays")]


def test_text_is_quoted_and_cut_as_rfc_1035_wants() -> None:
    assert names.wire_text("TXT", 'say "hi" \\ now') == '"say \\"hi\\" \\\\ now"'
    assert names.wire_text("TXT", "x" * 300) == '"' + "x" * 255 + '" "' + "x" * 45 + '"'
    assert names.wire_text("MX", "10 mx.a.example") == "10 mx.a.example."


@pytest.mark.parametrize(
    "wire",
    [b"", b"\0" * 11, b"\xff" * 40, dns.message.make_response(dns.message.make_query("a", "A", id=7)).to_wire()],
)
def test_noise_gets_no_answer(wire: bytes) -> None:
    assert names.respond(wire, {}, udp=True) is None


def test_other_classes_are_not_answered() -> None:
    query = dns.message.make_query("a.example", "TXT", "CH")
    reply = dns.message.from_wire(names.respond(query.to_wire(), {}, udp=True) or b"")
    assert reply.rcode() == dns.rcode.NOTIMP


def test_addresses_are_read_from_the_setting() -> None:
    assert addresses_of(["127.0.0.1:5300", "127.0.0.1:5301"]) == [("127.0.0.1", 5300), ("127.0.0.1", 5301)]


@pytest.mark.django_db(transaction=True)
def test_the_platforms_zone_is_served_from_the_database(tmp_path: Path) -> None:
    async def read() -> names.Zone | None:
        zones = Zones(tmp_path)
        try:
            return await zones.current()
        finally:
            zones.close()

    zone = asyncio.run(read())
    assert zone is not None
    assert zone["m1._domainkey.m.sendserver.example", "TXT"][0].startswith("v=DKIM1; k=rsa; p=")
    assert zone["out2.sendserver.example", "A"] == ["127.0.0.1"]
