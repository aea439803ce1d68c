"""The DNS records of the platform's own hosts and of the names it serves for customers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from accounts import domain_keys
from accounts.models import SendingDomain

TXT_PIECE = 255  # octets of one string, RFC 1035 section 3.3.14
DEFAULT_TTL = 3600  # seconds


@dataclass(frozen=True)
class ZoneRecord:
    """One record: names are fully qualified without the last dot; a TXT value is the joined text, unquoted."""

    name: str
    type: str  # A, AAAA, MX, TXT, CNAME
    value: str
    ttl: int = DEFAULT_TTL

    def line(self) -> str:
        """Return the record in zone-file form (RFC 1035 section 5.1)."""
        return f"{self.name}. {self.ttl} IN {self.type} {self._shown()}"

    def _shown(self) -> str:
        if self.type == "TXT":
            octets = self.value
            pieces = [octets[at : at + TXT_PIECE] for at in range(0, len(octets), TXT_PIECE)] or [""]
            return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
        return f"{self.value}." if self.type in ("CNAME", "MX") else self.value


def platform_zone() -> list[ZoneRecord]:
    """Return every record the operator has to publish, the platform's own first, then customers' delegated names."""
    return [*_own(), *_customers()]


def _own() -> Iterator[ZoneRecord]:
    platform = settings.PLATFORM
    selector, public = domain_keys.platform_public()
    hosts = [relay.name for relay in settings.RELAYS.values()]
    inbound = f"10 mx.{platform.domain}"
    relays_spf = f"_spf.relays.{platform.domain}"
    yield ZoneRecord(f"{selector}._domainkey.{platform.mail_domain}", "TXT", domain_keys.txt_value(public))
    yield ZoneRecord(relays_spf, "TXT", "v=spf1 " + " ".join(f"a:{host}" for host in hosts) + " -all")
    for name in (platform.mail_domain, platform.return_domain):
        yield ZoneRecord(name, "MX", inbound)
        yield ZoneRecord(name, "TXT", f"v=spf1 include:{relays_spf} -all")
    for name in (platform.domain, platform.unsubscribe_domain, f"dmarc.{platform.domain}"):
        yield ZoneRecord(name, "MX", inbound)
    for relay in settings.RELAYS.values():
        yield ZoneRecord(relay.name, "TXT", f"v=spf1 a:{relay.name} -all")
        for address in relay.addresses:
            yield ZoneRecord(relay.name, "AAAA" if ":" in address else "A", address)
    yield ZoneRecord(f"_dmarc.{platform.domain}", "TXT", f"v=DMARC1; p=reject; rua=mailto:{platform.abuse_email}")


def _customers() -> Iterator[ZoneRecord]:
    platform = settings.PLATFORM
    for domain in SendingDomain.objects.filter(removed_at=None).prefetch_related("keys").order_by("name", "pk"):
        for key in domain.keys.all():
            yield ZoneRecord(key_host(domain, key.selector), "TXT", domain_keys.txt_value(key.public_b64))
        # RFC 9990: a receiver of aggregate reports in another domain says that it wants them.
        yield ZoneRecord(f"{domain.name}._report._dmarc.dmarc.{platform.domain}", "TXT", "v=DMARC1")


def key_host(domain: SendingDomain, selector: str) -> str:
    """Return the name in our zone that the customer's key record points to."""
    return f"{selector}.{domain.key8}.dkim.{settings.PLATFORM.domain}"


def return_path_host(domain: SendingDomain | str) -> str:
    """Return the domain of the return path: "b.<domain>"."""
    return f"b.{domain.name if isinstance(domain, SendingDomain) else domain}"


def report_mailbox(domain: SendingDomain) -> str:
    """Return where DMARC aggregate reports of this domain go."""
    return f"d.{domain.key8}@dmarc.{settings.PLATFORM.domain}"
