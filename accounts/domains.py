"""Sending domains: the one module others import. Keys, zone, look-ups and judging live in their own modules."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from accounts import audit, denylist, lookalikes, policy
from accounts.domain_checks import CHALLENGE_PREFIX, CHECKS, Finding, Wanted, agree
from accounts.domain_keys import SigningKey, ensure_keys, platform_key, signing_key
from accounts.domain_names import refusal
from accounts.errors import DomainRefusedError
from accounts.models import DenyEntry, DomainRecord, Organization, SendingDomain, User
from accounts.resolving import asker
from accounts.zone import ZoneRecord, key_host, platform_zone, report_mailbox, return_path_host
from sendserver.lib import clock
from sendserver.lib.addresses import to_ascii_domain

__all__ = [
    "SigningKey",
    "ZoneRecord",
    "add",
    "check",
    "clear",
    "due",
    "ensure_keys",
    "is_ready_to_send",
    "platform_key",
    "platform_zone",
    "records_stand",
    "remove",
    "return_path_host",
    "signing_key",
    "wanted_records",
]
Kind = DomainRecord.Kind


def is_ready_to_send(domain: SendingDomain) -> bool:
    """Tell whether its records stand and no resemblance to another name waits for staff."""
    return not domain.waits_for_staff and records_stand(domain)


def records_stand(domain: SendingDomain) -> bool:
    """Tell whether all records were right at a check within the last 24 hours and nothing is wrong since."""
    if domain.removed_at or domain.verified_at is None or domain.last_good_at is None:
        return False
    if clock.now() - domain.last_good_at > timedelta(hours=policy.DOMAIN_AUTH_MAX_AGE_H):
        return False
    return not domain.records.filter(ok=False, temporary=False).exists()


def add(organization: Organization, name: str, *, actor: User) -> SendingDomain:
    """Return a new domain with its keys and the records to publish; raises DomainRefusedError."""
    ascii_name = to_ascii_domain(name)
    if ascii_name is None:
        raise DomainRefusedError("BAD-NAME", "Enter a domain like mail.example.com")
    _refuse(organization, ascii_name)
    challenge = secrets.token_hex(policy.CHALLENGE_BITS // 8)
    try:
        with transaction.atomic():
            domain = SendingDomain.objects.create(
                organization=organization,
                name=ascii_name,
                challenge=challenge,
                skeleton=lookalikes.skeleton(lookalikes.label_of(ascii_name)),
                resembles=_resembles(organization, ascii_name),
            )
            ensure_keys(domain)
            _write_wanted(domain)
            audit.record("domain.added", actor=actor, organization=organization, subject=f"domain:{domain.uid}")
    except IntegrityError as error:
        raise DomainRefusedError("KNOWN", "This domain is on your list already.") from error
    return domain


def _refuse(organization: Organization, name: str) -> None:
    found = refusal(name)
    if found:
        raise DomainRefusedError(*found)
    if denylist.is_denied(DenyEntry.Kind.DOMAIN, name):
        raise DomainRefusedError("DENIED", "This domain cannot be used here. Write to us if that is a mistake.")
    mine = SendingDomain.objects.for_org(organization).filter(removed_at=None)
    if mine.count() >= policy.DOMAINS_MAX:
        raise DomainRefusedError("FULL", f"An organization has at most {policy.DOMAINS_MAX} domains.")
    proven = SendingDomain.objects.filter(name=name, removed_at=None, verified_at__isnull=False)
    if proven.exclude(organization=organization).exists():
        raise DomainRefusedError("TAKEN", "Another customer has proven this domain. Write to us if it is yours.")


def _resembles(organization: Organization, name: str) -> str:
    """Return the well-known name or the other customer's proven domain that a name resembles (FROM-LOOKALIKE)."""
    known = lookalikes.resembled(name)
    if known:
        return known
    alike = SendingDomain.objects.filter(
        skeleton=lookalikes.skeleton(lookalikes.label_of(name)), removed_at=None, verified_at__isnull=False
    )
    others = alike.exclude(organization=organization).order_by("verified_at").values_list("name", flat=True)
    return others.first() or ""


def clear(organization: Organization, *, actor: User) -> int:
    """Let the organization's resembling domains pass after staff read them; return how many."""
    waiting = SendingDomain.objects.for_org(organization).filter(removed_at=None, cleared_at=None).exclude(resembles="")
    for domain in waiting:
        SendingDomain.objects.filter(pk=domain.pk).update(cleared_at=clock.now())
        subject, detail = f"domain:{domain.uid}", {"name": domain.name, "resembles": domain.resembles}
        audit.record("domain.cleared", actor=actor, organization=organization, subject=subject, detail=detail)
    return len(waiting)


def remove(domain: SendingDomain, *, actor: User) -> None:
    """Take the domain out of use, its From addresses with it; what was sent keeps working."""
    at = clock.now()
    with transaction.atomic():
        if SendingDomain.objects.filter(pk=domain.pk, removed_at=None).update(removed_at=at):
            domain.from_addresses.filter(removed_at=None).update(removed_at=at)
            subject = f"domain:{domain.uid}"
            audit.record("domain.removed", actor=actor, organization=domain.organization, subject=subject)
    domain.removed_at = at


def wanted_of(domain: SendingDomain) -> Wanted:
    """Return what has to stand in this domain's DNS, as plain data."""
    keys = {key.selector: key for key in ensure_keys(domain)}
    return Wanted(
        name=domain.name,
        challenge=domain.challenge,
        key_hosts={selector: key_host(domain, selector) for selector in keys},
        public_keys={selector: key.public_b64 for selector, key in keys.items()},
        return_host=return_path_host(domain),
        return_target=settings.PLATFORM.return_domain,
        relays_spf=f"_spf.relays.{settings.PLATFORM.domain}",
        report_mailbox=report_mailbox(domain),
    )


def wanted_records(domain: SendingDomain) -> list[tuple[str, ZoneRecord]]:
    """Return (kind, record) for every record the customer has to publish; MX is theirs and only described."""
    wanted = wanted_of(domain)
    dmarc = f"v=DMARC1; p=none; rua=mailto:{wanted.report_mailbox}"
    return [
        (Kind.OWNERSHIP, ZoneRecord(f"_portal-challenge.{domain.name}", "TXT", CHALLENGE_PREFIX + domain.challenge)),
        (Kind.DKIM1, ZoneRecord(f"p1._domainkey.{domain.name}", "CNAME", wanted.key_hosts["p1"])),
        (Kind.DKIM2, ZoneRecord(f"p2._domainkey.{domain.name}", "CNAME", wanted.key_hosts["p2"])),
        (Kind.RETURN_PATH, ZoneRecord(wanted.return_host, "CNAME", wanted.return_target)),
        (Kind.DMARC, ZoneRecord(f"_dmarc.{domain.name}", "TXT", dmarc)),
        (Kind.MX, ZoneRecord(domain.name, "MX", "any server that takes mail")),
    ]


def _write_wanted(domain: SendingDomain) -> None:
    for kind, record in wanted_records(domain):
        fields = {"host": record.name, "record_type": record.type, "wanted": record.value}
        DomainRecord.objects.update_or_create(domain=domain, kind=kind, defaults=fields)


def check(domain: SendingDomain) -> list[DomainRecord]:
    """Ask both resolvers about every record, store what they say, and return the rows in the order of Kind.

    Takes as long as the slowest resolver. A silent one changes no earlier answer; `last_good_at` ages instead.
    """
    findings = _look(wanted_of(domain))
    at = clock.now()
    with transaction.atomic():
        _write_wanted(domain)
        rows = {row.kind: row for row in domain.records.select_for_update()}
        for finding in findings:
            _store(rows[finding.kind], finding, at)
        _settle(domain, list(rows.values()), at)
    return [rows[kind] for kind in CHECKS]


def _look(wanted: Wanted) -> list[Finding]:
    """Run every check at every resolver side by side; threads touch no database."""
    askers = [asker(server) for server in settings.DNS_SERVERS]
    with ThreadPoolExecutor(max_workers=len(askers) * len(CHECKS)) as pool:
        jobs = {kind: [pool.submit(judge, wanted, ask) for ask in askers] for kind, judge in CHECKS.items()}
        return [agree([job.result() for job in asked]) for asked in jobs.values()]


def _store(row: DomainRecord, finding: Finding, at: datetime) -> None:
    row.temporary = finding.temporary
    row.checked_at = at
    row.code, row.message = finding.code, finding.message[:400]
    if not finding.temporary:
        row.ok, row.found = finding.ok, list(finding.found)
    row.save(update_fields=["temporary", "checked_at", "code", "message", "ok", "found"])


def _settle(domain: SendingDomain, rows: Iterable[DomainRecord], at: datetime) -> None:
    """Move the domain's own times; the first complete proof claims the name for this organization."""
    domain.checked_at = at
    fields = ["checked_at"]
    if all(row.ok and not row.temporary for row in rows):
        domain.last_good_at = at
        fields.append("last_good_at")
        if domain.verified_at is None and _claim(domain, at):
            audit.record(
                "domain.verified", actor=None, organization=domain.organization, subject=f"domain:{domain.uid}"
            )
    domain.save(update_fields=fields)


def _claim(domain: SendingDomain, at: datetime) -> bool:
    """Set `verified_at` unless another organization has proven the name (claim disputes go to a person)."""
    try:
        with transaction.atomic():
            SendingDomain.objects.filter(pk=domain.pk).update(verified_at=at)
    except IntegrityError:
        text = "Another customer has proven this domain. Write to us if it is yours."
        domain.records.filter(kind=Kind.OWNERSHIP).update(ok=False, code="TAKEN", message=text)
        return False
    domain.verified_at = at
    return True


def due() -> QuerySet[SendingDomain]:
    """Return the domains whose turn it is: incomplete ones often, complete ones a few times a day."""
    now = clock.now()
    soon = now - timedelta(minutes=policy.DOMAIN_CHECK_MINUTES)
    later = now - timedelta(hours=policy.DOMAIN_RECHECK_HOURS)
    broken = Q(verified_at=None) | Q(records__ok=False) | Q(records__temporary=True)
    rows = SendingDomain.objects.filter(removed_at=None, organization__closed_at=None)
    turn = Q(checked_at=None) | Q(broken, checked_at__lte=soon) | Q(checked_at__lte=later)
    return rows.filter(turn).distinct().order_by("checked_at", "pk")
