"""Checking a domain and what follows: letters when it gets ready or breaks, and the next step of verification."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from accounts import audit, domains, notices, people, verification
from accounts.models import DomainRecord, SendingDomain


def watch(domain: SendingDomain) -> list[DomainRecord]:
    """Check the domain, tell its people what changed, and return the records."""
    before_proven, before_broken = domain.verified_at, _broken(domain)
    rows = domains.check(domain)
    if before_proven is None and domain.verified_at is not None:
        _tell(domain, f"Found: all records of {domain.name}", "emails/domain_ready.txt", [])
    broken = _broken(domain)
    if domain.verified_at is not None and broken and not before_broken:
        _record_break(domain, broken)
        _tell(domain, f"Broken: DNS of {domain.name}", "emails/domain_broken.txt", broken)
    verification.advance(domain.organization)
    return rows


def _broken(domain: SendingDomain) -> list[DomainRecord]:
    return list(domain.records.filter(ok=False, temporary=False, checked_at__isnull=False).order_by("pk"))


def _record_break(domain: SendingDomain, rows: list[DomainRecord]) -> None:
    subject, detail = f"domain:{domain.uid}", {"codes": [row.code for row in rows]}
    audit.record("domain.broken", actor=None, organization=domain.organization, subject=subject, detail=detail)


def _tell(domain: SendingDomain, subject: str, template: str, rows: list[DomainRecord]) -> None:
    url = settings.BASE_URL + reverse("domain_detail", args=[domain.uid])
    context = {"domain": domain.name, "rows": rows, "url": url}
    recipients = people.members_to_notify(domain.organization, urgent=True)
    transaction.on_commit(lambda: notices.send_notice(recipients, subject=subject, template=template, context=context))
