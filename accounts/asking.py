"""Ask one resolver over real sockets and read what it says; the words for that are those of accounts.resolving."""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset

from accounts import policy
from accounts.resolving import SILENCE, TYPES, Answer, Status


def follow(name: str, kind: str, host: str, port: int) -> Answer:
    """Ask, going after CNAMEs that the resolver did not follow itself."""
    if kind not in TYPES:
        raise LookupError(kind)
    current = name
    for _ in range(policy.DNS_CNAME_MAX):
        reply = _query(current, kind, host, port)
        if reply is None:
            return SILENCE
        values, alias = _read(reply, current, kind)
        if values:
            return Answer(Status.FOUND, values, bool(reply.flags & dns.flags.AD))
        if alias is None:
            return Answer(Status.MISSING)
        current = alias
    return Answer(Status.MISSING)


def _query(name: str, kind: str, host: str, port: int) -> dns.message.Message | None:
    try:
        question = dns.message.make_query(name, kind, use_edns=0, payload=1232)
        reply, _ = dns.query.udp_with_fallback(question, host, timeout=policy.DNS_TIMEOUT_S, port=port)
    except (dns.exception.DNSException, OSError, EOFError):
        return None
    return reply if reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) else None


def _read(reply: dns.message.Message, name: str, kind: str) -> tuple[tuple[str, ...], str | None]:
    """Return (values, name still to ask): walks the CNAMEs inside the answer."""
    sets = {(str(rrset.name).rstrip(".").lower(), rrset.rdtype): rrset for rrset in reply.answer}
    current, wanted, followed = name.lower(), dns.rdatatype.from_text(kind), 0
    while (current, wanted) not in sets and (current, dns.rdatatype.CNAME) in sets and followed < policy.DNS_CNAME_MAX:
        current = _text(sets[current, dns.rdatatype.CNAME][0]).lower()
        followed += 1
    if (current, wanted) in sets:
        return tuple(_text(rdata) for rdata in sets[current, wanted]), None
    return (), current if followed and reply.rcode() == dns.rcode.NOERROR else None


def _text(rdata: object) -> str:
    strings = getattr(rdata, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "replace")
    return str(rdata).rstrip(".")
