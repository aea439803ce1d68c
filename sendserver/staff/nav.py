"""The staff menu: queues with what waits in each, and what can be looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from sendserver.staff import queues


@dataclass(frozen=True)
class Entry:
    """One line of the menu; `queue` names the count beside it."""

    label: str
    icon: str
    url_name: str
    queue: str = ""


MENU: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Queues",
        (
            Entry("Cases", "flag", "admin:abuse_case_changelist", "cases"),
            Entry("Verifications", "verified", "admin:accounts_verification_changelist", "verifications"),
            Entry("Risky uploads", "upload", "admin:compliance_importjob_changelist", "uploads"),
            Entry("Held campaigns", "send", "admin:campaigns_campaign_changelist", "campaigns"),
            Entry("Appeals", "scale", "admin:abuse_appeal_changelist", "appeals"),
        ),
    ),
    (
        "Look up",
        (
            Entry("Organizations", "people", "admin:accounts_organization_changelist"),
            Entry("Reports", "mail", "admin:abuse_complaint_changelist", "unmatched"),
            Entry("Decisions", "scale", "admin:abuse_decision_changelist"),
            Entry("Relays", "server", "admin:staff_relays"),
            Entry("Do-not-mail", "no", "admin:staff_do_not_mail"),
            Entry("Proof", "file", "admin:staff_proof"),
            Entry("Retention", "clock", "admin:staff_retention"),
            Entry("Audit log", "clock", "admin:accounts_auditentry_changelist"),
        ),
    ),
)


def groups(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the menu's groups for the template; pages that do not exist are left out."""
    counts = queues.counts()
    return [
        {"heading": heading, "items": [_item(entry, request.path, counts) for entry in entries if _url(entry)]}
        for heading, entries in MENU
    ]


def _item(entry: Entry, path: str, counts: dict[str, int]) -> dict[str, Any]:
    url = _url(entry)
    return {
        "label": entry.label,
        "icon": entry.icon,
        "url": url,
        "count": counts.get(entry.queue, 0),
        "current": path.startswith(url),
    }


def _url(entry: Entry) -> str:
    try:
        return reverse(entry.url_name)
    except NoReverseMatch:
        return ""
