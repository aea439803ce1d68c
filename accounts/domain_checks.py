"""Judging a domain's records: pure functions over what one resolver answers (rules section 6).

Each check takes the wanted facts and an `Ask` and returns a `Finding`. Nothing here reads or writes the database, so
checks run side by side in threads. Both resolvers have to agree: see `agree`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from accounts import policy, spf
from accounts.models import DomainRecord
from accounts.resolving import Answer, Ask, Status

Kind = DomainRecord.Kind
CHALLENGE_PREFIX: Final = "portal-verify="
POLICIES: Final = ("none", "quarantine", "reject")
OLD_TAGS: Final = ("pct", "rf", "ri")


@dataclass(frozen=True)
class Wanted:
    """What has to stand in the DNS of one domain."""

    name: str
    challenge: str
    key_hosts: dict[str, str]  # selector -> the name in our zone
    public_keys: dict[str, str]  # selector -> base64 of the public key
    return_host: str
    return_target: str
    relays_spf: str
    report_mailbox: str


@dataclass(frozen=True)
class Finding:
    """What one check found: right, wrong, or (temporary) nothing known."""

    kind: str
    ok: bool
    temporary: bool = False
    code: str = ""
    message: str = ""
    found: tuple[str, ...] = ()


def silent(kind: str) -> Finding:
    """Return the finding for a resolver that did not answer."""
    text = f"A DNS server did not answer. The last good answer counts for {policy.DOMAIN_AUTH_MAX_AGE_H} hours."
    return Finding(kind, ok=False, temporary=True, code="DNS-SILENT", message=text)


def _wrong(kind: str, code: str, message: str, answer: Answer | None = None) -> Finding:
    return Finding(kind, ok=False, code=code, message=message, found=answer.values if answer else ())


def check_ownership(wanted: Wanted, ask: Ask) -> Finding:
    """Look for our challenge among the TXT records."""
    host = f"_portal-challenge.{wanted.name}"
    answer = ask(host, "TXT")
    if answer.status is Status.SILENT:
        return silent(Kind.OWNERSHIP)
    if CHALLENGE_PREFIX + wanted.challenge in (value.strip() for value in answer.values):
        return Finding(Kind.OWNERSHIP, ok=True, found=answer.values)
    if answer.status is Status.FOUND:
        text = f"The text at {host} is not the one below. Add ours beside it or replace it."
        return _wrong(Kind.OWNERSHIP, "OWNER-MISMATCH", text, answer)
    return _wrong(Kind.OWNERSHIP, "OWNER-MISSING", _doubled(wanted, ask, "_portal-challenge", "TXT", host))


def _doubled(wanted: Wanted, ask: Ask, label: str, kind: str, host: str) -> str:
    """Return what to say about a missing record: many DNS panels add the domain by themselves."""
    if ask(f"{host}.{wanted.name}", kind).status is Status.FOUND:
        return f"The record is there, but the name was added twice. Enter only {label} as its name."
    return f"We found no record at {host}. Add it exactly as shown; some DNS panels add your domain twice."


def check_dkim(selector: str) -> Callable[[Wanted, Ask], Finding]:
    """Return the check of one signing key's delegation."""
    kind = Kind.DKIM1 if selector == "p1" else Kind.DKIM2

    def check(wanted: Wanted, ask: Ask) -> Finding:
        host, target = f"{selector}._domainkey.{wanted.name}", wanted.key_hosts[selector]
        alias = ask(host, "CNAME")
        if alias.status is Status.SILENT:
            return silent(kind)
        if alias.status is Status.MISSING:
            return _no_alias(kind, wanted, ask, selector, host)
        if alias.values[0].lower() != target:
            return _other_alias(kind, wanted, host, alias)
        return _key_behind(kind, wanted, ask, selector, alias)

    return check


def _no_alias(kind: str, wanted: Wanted, ask: Ask, selector: str, host: str) -> Finding:
    direct = ask(host, "TXT")
    if direct.status is Status.FOUND:
        text = f"The key at {host} is not ours (found a TXT record). Remove it and add the CNAME."
        return _wrong(kind, "DKIM-MISMATCH", text, direct)
    return _wrong(kind, "DKIM-MISSING", _doubled(wanted, ask, f"{selector}._domainkey", "CNAME", host))


def _other_alias(kind: str, wanted: Wanted, host: str, alias: Answer) -> Finding:
    if alias.values[0].lower().endswith(f".{wanted.name}"):
        text = "Your DNS panel added your domain to the target. Enter the target with a dot at its end."
    else:
        text = f"The key at {host} is not ours (found {alias.values[0]}). Remove the old record."
    return _wrong(kind, "DKIM-MISMATCH", text, alias)


def _key_behind(kind: str, wanted: Wanted, ask: Ask, selector: str, alias: Answer) -> Finding:
    """Follow the delegation to the key: it has to be the one we sign with."""
    host = wanted.key_hosts[selector]
    key = ask(host, "TXT")
    if key.status is Status.SILENT:
        return silent(kind)
    published = _tags(key.values[0]).get("p", "") if key.values else ""
    if re.sub(r"\s", "", published) != wanted.public_keys[selector]:
        text = f"Your record is right, but our own key at {host} is not there yet. We look again; you do nothing."
        return _wrong(kind, "DKIM-MISMATCH", text, alias)
    bits = key_bits(published)
    if bits < policy.DKIM_BITS:
        return _wrong(kind, "DKIM-WEAK", f"This key is {bits} bits; {policy.DKIM_BITS} is required.", alias)
    return Finding(kind, ok=True, found=(f"{alias.values[0]}, {bits} bits",))


def key_bits(public_b64: str) -> int:
    """Return the size of an RSA public key in bits, 0 when it is none."""
    try:
        key = serialization.load_der_public_key(base64.b64decode(public_b64))
    except (ValueError, binascii.Error):
        return 0
    return key.key_size if isinstance(key, rsa.RSAPublicKey) else 0


def check_return_path(wanted: Wanted, ask: Ask) -> Finding:
    """Look whether bounces come home and SPF is aligned: b.<domain> points to us and its SPF is sound."""
    kind, host = Kind.RETURN_PATH, wanted.return_host
    alias = ask(host, "CNAME")
    if alias.status is Status.SILENT:
        return silent(kind)
    if alias.status is Status.MISSING or alias.values[0].lower() != wanted.return_target:
        text = f"{host} does not point to us, so bounces cannot be processed and SPF is not aligned."
        return _wrong(kind, "RP-NOT-DELEGATED", text, alias)
    fault = spf.fault(host, ask)
    if fault is spf.SILENT:
        return silent(kind)
    if fault is not None:
        return _wrong(kind, fault.code, fault.message, alias)
    return Finding(kind, ok=True, found=(alias.values[0],))


def check_dmarc(wanted: Wanted, ask: Ask) -> Finding:
    """Look for one readable DMARC policy, walking up the tree (RFC 9989 section 4.10)."""
    tried = list(_walk(wanted.name))
    for host in tried:
        answer = ask(host, "TXT")
        if answer.status is Status.SILENT:
            return silent(Kind.DMARC)
        records = [value for value in answer.values if value.lower().replace(" ", "").startswith("v=dmarc1")]
        if records:
            return _judge_dmarc(host, records)
    text = f"No DMARC record at _dmarc.{wanted.name} (looked at: {', '.join(tried)})."
    return _wrong(Kind.DMARC, "DMARC-NONE", text)


def _walk(name: str) -> Iterable[str]:
    """Yield the names to ask: the domain, then its parents; at most eight, none of them a top-level domain."""
    labels = name.split(".")
    yield "_dmarc." + name
    start = 1 if len(labels) <= 8 else len(labels) - 7
    for at in range(start, len(labels) - 1):
        yield "_dmarc." + ".".join(labels[at:])


def _judge_dmarc(host: str, records: list[str]) -> Finding:
    kind, found = Kind.DMARC, tuple(records)
    if len(records) > 1:
        return Finding(
            kind, ok=False, code="DMARC-MULTI", message=f"More than one DMARC record at {host}.", found=found
        )
    tags = _tags(records[0])
    if tags.get("p", "").lower() not in POLICIES:
        text = f"Unreadable DMARC record at {host}: p= has to be none, quarantine or reject."
        return Finding(kind, ok=False, code="DMARC-SYNTAX", message=text, found=found)
    old = [tag for tag in OLD_TAGS if tag in tags]
    if old:
        text = f"Tags {', '.join(old)} are no longer part of DMARC (RFC 9989): please take them out."
        return Finding(kind, ok=True, code="DMARC-OLD-TAG", message=text, found=found)
    if tags.get("aspf", "").lower() == "s":
        text = "aspf=s: SPF does not align, since the return path is a name of its own. The signature does."
        return Finding(kind, ok=True, code="DMARC-STRICT", message=text, found=found)
    return Finding(kind, ok=True, found=found)


def _tags(record: str) -> dict[str, str]:
    """Return the tags of a "k=v; k=v" record, keys in lower case; the first of a repeated tag counts."""
    tags: dict[str, str] = {}
    for part in record.split(";"):
        key, equals, value = part.partition("=")
        if equals:
            tags.setdefault(key.strip().lower(), value.strip())
    return tags


def check_mx(wanted: Wanted, ask: Ask) -> Finding:
    """Look whether the From domain takes mail: answers and complaints have to reach the sender (RFC 7505)."""
    answer = ask(wanted.name, "MX")
    if answer.status is Status.SILENT:
        return silent(Kind.MX)
    if answer.status is Status.MISSING:
        text = f"{wanted.name} has no MX record, so nobody can answer. Add the server that takes your mail."
        return _wrong(Kind.MX, "MX-MISSING", text)
    if any(value.split()[-1] in (".", "0") or len(value.split()) < 2 for value in answer.values):
        text = f"You cannot send as {wanted.name}: the domain refuses mail."
        return _wrong(Kind.MX, "FROM-NULLMX", text, answer)
    return Finding(Kind.MX, ok=True, found=answer.values)


CHECKS: Final[dict[str, Callable[[Wanted, Ask], Finding]]] = {
    Kind.OWNERSHIP: check_ownership,
    Kind.DKIM1: check_dkim("p1"),
    Kind.DKIM2: check_dkim("p2"),
    Kind.RETURN_PATH: check_return_path,
    Kind.DMARC: check_dmarc,
    Kind.MX: check_mx,
}


def agree(findings: list[Finding]) -> Finding:
    """Return one finding of several resolvers: wrong at any is wrong, silence at any is silence, else right."""
    wrong = [finding for finding in findings if not finding.ok and not finding.temporary]
    if wrong:
        others = any(finding.ok for finding in findings)
        note = " One of two resolvers sees it already; changes take a while to spread." if others else ""
        return replace(wrong[0], message=wrong[0].message + note)
    return next((finding for finding in findings if finding.temporary), findings[0])
