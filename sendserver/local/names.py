"""The names of the local world: what the small DNS answers, and what a newcomer publishes with one click.

Three sources: the hosts of this machine, the platform's own zone (given by the caller), and `dns.json` in VAR_DIR with
the records of customers' domains. A name in none of them does not exist. Pure but for reading and writing that file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

TTL = 5  # seconds: a record published now is seen by the next check
MAX_CHASE = 8  # CNAMEs followed
PLAIN_UDP = 512  # octets of an answer without EDNS, RFC 1035 section 4.2.1
_TXT_PIECE = 255


@dataclass(frozen=True, order=True)
class Name:
    """One record; names without the last dot, lower case; a TXT value is the joined text."""

    name: str
    type: str
    value: str


Zone = Mapping[tuple[str, str], list[str]]


def file_of(var: Path) -> Path:
    """Return where customers' records are kept."""
    return var / "dns.json"


def published(var: Path) -> list[Name]:
    """Return customers' records, sorted."""
    try:
        return sorted(Name(**row) for row in json.loads(file_of(var).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return []


def publish(var: Path, records: Iterable[Name]) -> None:
    """Add records; what has the same name and type makes way, as a person would replace it."""
    new = {Name(record.name.lower(), record.type, record.value) for record in records}
    taken = {(record.name, record.type) for record in new}
    kept = {record for record in published(var) if (record.name, record.type) not in taken}
    _write(var, kept | new)


def withdraw(var: Path, name: str) -> None:
    """Remove every record at `name` and below."""
    name = name.lower()
    _write(var, {row for row in published(var) if row.name != name and not row.name.endswith(f".{name}")})


def _write(var: Path, records: Iterable[Name]) -> None:
    draft = file_of(var).with_suffix(f".{os.getpid()}.new")
    draft.write_text(json.dumps([asdict(record) for record in sorted(records)], indent=1), encoding="utf-8")
    draft.replace(file_of(var))


def hosts(platform_domain: str, relay_names: Iterable[str]) -> list[Name]:
    """Return the addresses of the platform's hosts: all of them are this machine."""
    own = (platform_domain, f"mx.{platform_domain}", f"rp.{platform_domain}", *relay_names)
    return [Name(host, "A", "127.0.0.1") for host in own]


def zone_of(records: Iterable[Name]) -> dict[tuple[str, str], list[str]]:
    """Return the records by name and type."""
    zone: dict[tuple[str, str], list[str]] = {}
    for record in records:
        values = zone.setdefault((record.name.lower(), record.type), [])
        if record.value not in values:
            values.append(record.value)
    return zone


def answer(query: dns.message.Message, zone: Zone) -> dns.message.Message:
    """Return the answer to a query: as a resolver would give it, with CNAMEs followed."""
    reply = dns.message.make_response(query, recursion_available=True)
    reply.flags |= dns.flags.AA
    if len(query.question) != 1 or query.question[0].rdclass != dns.rdataclass.IN:
        reply.set_rcode(dns.rcode.NOTIMP)
        return reply
    name = query.question[0].name
    kind = dns.rdatatype.to_text(query.question[0].rdtype)
    for _ in range(MAX_CHASE):
        values = zone.get((_plain(name), kind))
        target = zone.get((_plain(name), "CNAME"))
        if values or not target:
            _add(reply, name, kind, values or [])
            break
        _add(reply, name, "CNAME", target[:1])
        name = dns.name.from_text(target[0])
    if not _exists(_plain(name), zone):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _exists(name: str, zone: Zone) -> bool:
    """Tell whether a name is there, as the parent of another too (RFC 8020)."""
    return any(known == name or known.endswith(f".{name}") for known, _ in zone)


def _add(reply: dns.message.Message, name: dns.name.Name, kind: str, values: list[str]) -> None:
    if values:
        reply.answer.append(dns.rrset.from_text(name, TTL, "IN", kind, *[wire_text(kind, value) for value in values]))


def wire_text(kind: str, value: str) -> str:
    """Return a value in zone-file form (RFC 1035 section 5.1)."""
    if kind == "TXT":
        pieces = [value[at : at + _TXT_PIECE] for at in range(0, len(value), _TXT_PIECE)] or [""]
        return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
    if kind in ("CNAME", "MX", "NS"):
        return value if value.endswith(".") else f"{value}."
    return value


def respond(wire: bytes, zone: Zone | None, *, udp: bool) -> bytes | None:
    """Return the answer's octets; None for what is no query. `zone` None means that it could not be read: SERVFAIL."""
    try:
        query = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError):
        return None
    if query.flags & dns.flags.QR:
        return None
    if zone is None:
        reply = dns.message.make_response(query, recursion_available=True)
        reply.set_rcode(dns.rcode.SERVFAIL)
    else:
        reply = answer(query, zone)
    octets = reply.to_wire(max_size=65535)
    if udp and len(octets) > max(PLAIN_UDP, query.payload):
        return _cut(query)
    return octets


def _cut(query: dns.message.Message) -> bytes:
    """Return the answer that says: ask again by TCP."""
    reply = dns.message.make_response(query, recursion_available=True)
    reply.flags |= dns.flags.TC
    return reply.to_wire()
