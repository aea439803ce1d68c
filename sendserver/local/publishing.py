"""Publishing a domain's records in the local world, as its owner would at a registrar; the checks then ask for them."""

from __future__ import annotations

from dataclasses import dataclass

import dns.exception
import dns.resolver
from django.conf import settings

from accounts.domains import wanted_records
from accounts.models import SendingDomain
from sendserver.local import names
from sendserver.local.names import Name

PATIENCE = 3.0  # seconds for one look-up


@dataclass(frozen=True)
class Wish:
    """One domain of a customer and what of its records stands in the DNS of this machine."""

    name: str
    organization: str
    records: list[tuple[Name, bool]]  # with: is it published

    @property
    def missing(self) -> int:
        """Return how many records are not published."""
        return sum(not there for _, there in self.records)


def records_for(domain: SendingDomain) -> list[Name]:
    """Return what the owner has to publish, with a mail server of his own, which any domain that writes has."""
    wanted = [
        Name(record.name, record.type, record.value) for _, record in wanted_records(domain) if record.type != "MX"
    ]
    return [*wanted, Name(domain.name, "MX", f"10 mx.{domain.name}"), Name(f"mx.{domain.name}", "A", "127.0.0.1")]


def domains() -> list[Wish]:
    """Return every domain in use with its records, by name."""
    there = set(names.published(settings.VAR_DIR))
    rows = SendingDomain.objects.filter(removed_at=None).select_related("organization").order_by("name", "pk")
    return [
        Wish(row.name, row.organization.name, [(record, record in there) for record in records_for(row)])
        for row in rows
    ]


def publish(name: str) -> int:
    """Publish the records of every customer's domain of that name and return how many records that were."""
    rows = SendingDomain.objects.filter(removed_at=None, name=name.strip().lower())
    records = [record for row in rows for record in records_for(row)]
    names.publish(settings.VAR_DIR, records)
    return len(records)


def withdraw(name: str) -> None:
    """Remove the records of a domain again."""
    if name.strip():
        names.withdraw(settings.VAR_DIR, name.strip())


def key_text(name: str) -> str:
    """Return the joined text of a TXT record as the configured resolver answers, "" when there is none."""
    host, _, port = settings.DNS_SERVERS[0].rpartition(":")
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = [host], int(port), PATIENCE
    try:
        answer = resolver.resolve(name, "TXT")
    except dns.exception.DNSException:
        return ""
    return b"".join(answer[0].strings).decode("ascii", "replace")
