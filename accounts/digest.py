"""One summary a day of what waits for an organization; nothing is sent when nothing waits."""

from __future__ import annotations

from collections.abc import Iterator

from accounts import notices, people, senders
from accounts.domains import records_stand
from accounts.models import FromAddress, Organization, SendingDomain, Verification, VerificationState
from sendserver.lib import clock, ratelimit

DAY = 86_400  # seconds


def waiting(organization: Organization) -> list[str]:
    """Return what waits for the organization's people, one sentence each."""
    return [*_review(organization), *_domains(organization), *_mailboxes(organization)]


def _review(organization: Organization) -> Iterator[str]:
    if Verification.objects.for_org(organization).filter(state=VerificationState.QUESTIONS).exists():
        yield "Staff asked a question about your papers and wait for your answer."


def _domains(organization: Organization) -> Iterator[str]:
    for domain in SendingDomain.objects.for_org(organization).filter(removed_at=None, checked_at__isnull=False):
        if not records_stand(domain):
            yield f"Records of {domain.name} are missing or different."


def _mailboxes(organization: Organization) -> Iterator[str]:
    rows = FromAddress.objects.for_org(organization).filter(removed_at=None).select_related("domain")
    for sender in rows:
        if not senders.is_confirmed(sender):
            yield f"Nobody has confirmed yet that answers to {sender.address} are read."


def send_all() -> int:
    """Send today's summaries and return to how many people; a second run on the same day sends nothing."""
    sent = 0
    for organization in Organization.objects.filter(closed_at=None).order_by("pk").iterator(chunk_size=200):
        sent += _send(organization)
    return sent


def _send(organization: Organization) -> int:
    lines = waiting(organization)
    today = f"{organization.uid}:{clock.now():%Y-%m-%d}"
    if not lines or not ratelimit.allow("digest", today, limit=1, seconds=2 * DAY):
        return 0
    subject = f"{organization.name}: {len(lines)} thing{'s' if len(lines) > 1 else ''} to do"
    context = {"organization": organization, "lines": lines}
    recipients = people.members_to_notify(organization, urgent=False)
    return notices.send_notice(recipients, subject=subject, template="emails/digest.txt", context=context)
