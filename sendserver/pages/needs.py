"""What waits for the customer, most urgent first, each with the place to deal with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count

from abuse.models import Case, CaseState
from accounts.models import DomainRecord, Organization, Standing, Verification, VerificationState
from campaigns.models import Brake, Campaign, CampaignState
from compliance.models import ImportJob, ImportRow, ImportState
from sendserver.lib import words

SHOWN: Final = 8
DRAFT_IS_FRESH: Final = timedelta(days=14)
EACH: Final = 3  # of one kind, so that one trouble does not hide the others


@dataclass(frozen=True)
class Need:
    """One thing to do. `url_name` and `key` name the page; `kind` colours the mark, `icon` draws it."""

    kind: str
    icon: str
    title: str
    text: str
    url_name: str
    key: object
    action: str


def needs(organization: Organization, now: datetime) -> list[Need]:
    """Return what waits for this organization, at most eight things."""
    found: list[Need] = []
    for source in (_standing, _cases, _verification, _brakes, _records, _imports):
        found.extend(source(organization))
    found.extend(_drafts(organization, now))
    return found[:SHOWN]


def _standing(organization: Organization) -> Iterator[Need]:
    if organization.standing in (Standing.WARNED, Standing.SUSPENDED, Standing.BLOCKED):
        word = words.STANDINGS[organization.standing][0].lower()
        text = "Read the reasons, what to do and how to appeal."
        yield Need("warn", "warn", f"Your organization is {word}", text, "standing", None, "Read why")


def _cases(organization: Organization) -> Iterator[Need]:
    asked = Case.objects.filter(organization=organization, state=CaseState.ASKED).order_by("answer_until")
    for case in asked[:EACH]:
        until = f"Answer before {case.answer_until:%-d %b, %H:%M} UTC." if case.answer_until else "Answer it here."
        yield Need("warn", "warn", "Staff ask you about a complaint", until, "abuse_case", case.reference, "Answer")


def _verification(organization: Organization) -> Iterator[Need]:
    if Verification.objects.for_org(organization).filter(state=VerificationState.QUESTIONS).exists():
        text = "Your verification goes on when you have answered."
        yield Need("warn", "verified", "Staff asked for more", text, "verify", None, "Read the question")
    elif organization.standing == Standing.UNVERIFIED:
        text = "Nothing can be sent before our staff have read who you are."
        yield Need("", "verified", "Get verified", text, "verify", None, "Continue")


def _brakes(organization: Organization) -> Iterator[Need]:
    live = Brake.objects.filter(
        campaign__organization=organization, campaign__state=CampaignState.PAUSED, lifted_at=None
    )
    for brake in live.exclude(kind=Brake.Kind.CUSTOMER).select_related("campaign").order_by("-set_at")[:EACH]:
        if brake.campaign:
            title = f"“{brake.campaign.name}” is paused"
            yield Need("warn", "pause", title, brake.reason, "campaign_progress", brake.campaign.uid, "Look at it")


def _records(organization: Organization) -> Iterator[Need]:
    wrong = DomainRecord.objects.filter(
        domain__organization=organization,
        domain__removed_at=None,
        domain__verified_at__isnull=False,
        ok=False,
        temporary=False,
    )
    for record in wrong.select_related("domain").order_by("domain", "kind")[:EACH]:
        title = f"A DNS record changed on {record.domain.name}"
        text = record.message or f"{record.get_kind_display()} at {record.host} is not as wanted."
        yield Need("warn", "warn", title, text, "domain_detail", record.domain.uid, "Show the record")


def _imports(organization: Organization) -> Iterator[Need]:
    done = ImportJob.objects.for_org(organization).filter(state=ImportState.DONE, rejected_count__gt=0)
    jobs = list(done.select_related("contact_list").order_by("-created_at")[:EACH])
    # Only of these: all rows that were ever wrong would be a count of long files.
    rows = ImportRow.objects.filter(job__in=jobs, state=ImportRow.State.OPEN).order_by().values_list("job")
    open_rows = dict(rows.annotate(n=Count("pk")))
    for job in jobs:
        if left := open_rows.get(job.pk, 0):
            verb = "needs" if left == 1 else "need"
            title = f"{words.count(left, 'rows')} in “{job.contact_list.name}” {verb} a look"
            text = f"The other {max(0, job.row_count - left):,} rows are done."
            yield Need("", "file", title, text, "import_detail", job.uid, "Fix rows")


def _drafts(organization: Organization, now: datetime) -> Iterator[Need]:
    fresh = Campaign.objects.for_org(organization).filter(
        state=CampaignState.DRAFT, updated_at__gte=now - DRAFT_IS_FRESH
    )
    for draft in fresh.order_by("-updated_at")[:EACH]:
        if draft.look_again:
            title = f"“{draft.name}” came back to you"
            yield Need("warn", "send", title, draft.look_again, "campaign_review", draft.uid, "Look again")
            continue
        text = "Not sent yet. Its checks are beside the text."
        yield Need("", "send", f"Draft “{draft.name}”", text, "campaign_edit", draft.uid, "Open draft")
