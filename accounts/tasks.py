"""Tasks: thin, safe to lose and to repeat."""

from __future__ import annotations

import logging

from celery import shared_task

from accounts import digest, domains, ledger_heads, watching

log = logging.getLogger(__name__)
BATCH = 50  # domains of one run; the next run takes the rest


@shared_task(name="accounts.check_domains")
def check_domains() -> int:
    """Check the domains whose turn it is and return how many; one that fails does not stop the others."""
    checked = 0
    for domain in domains.due().select_related("organization")[:BATCH]:
        try:
            watching.watch(domain)
            checked += 1
        except Exception:  # the next one must still be looked at; the trace names this one
            log.exception("domain %s was not checked", domain.uid)
    return checked


@shared_task(name="accounts.send_digests")
def send_digests() -> int:
    """Send the daily summaries; see accounts.digest."""
    return digest.send_all()


@shared_task(name="accounts.export_ledger_head")
def export_ledger_head() -> int:
    """Sign the ledger's newest entry, carry it out, and return its place (0: nothing new); mail it once a day."""
    head = ledger_heads.export()
    ledger_heads.mail_daily()
    return head.position if head else 0
