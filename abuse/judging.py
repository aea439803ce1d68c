"""The beat's round: new reports are taken in, figures judged, brakes set. Never changes a standing.

A brake pauses and calls a human; what the figures suggest stands on the case (rules 5.4, 9.8).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from abuse import cases, feedback, figures, notices
from abuse.models import CaseEntry, Complaint, ComplaintSource
from abuse.reputation import Counts, pauses_for_bounces, pauses_for_complaints
from accounts import audit
from accounts.models import Organization
from campaigns import brakes
from campaigns.models import Brake, Campaign, CampaignState
from compliance import policy
from sendserver.lib import clock, words

LIVE = (CampaignState.PLANNING, CampaignState.SENDING, CampaignState.PAUSED)


def run() -> int:
    """Take in what came, judge every campaign of the last JUDGED_D days and return how many brakes were set."""
    feedback.take_events()
    feedback.take_mails()
    since = clock.now() - timedelta(days=policy.JUDGED_D)
    campaigns = list(
        Campaign.objects.filter(Q(state__in=LIVE) | Q(started_at__gte=since)).select_related("organization")
    )
    counted = figures.of_campaigns(campaign.pk for campaign in campaigns)
    return sum(_judge_campaign(campaign, counted[campaign.pk]) for campaign in campaigns) + _judge_organizations(
        campaigns, counted
    )


def _judge_campaign(campaign: Campaign, counts: Counts) -> int:
    if campaign.state not in LIVE:
        return 0
    frauds = _frauds(campaign)
    if frauds:
        said = words.count(frauds, "reports of fraud", "report of fraud")
        return _pause(campaign, Brake.Kind.COMPLAINTS, f"Mailbox providers sent {said}.")
    if pauses_for_complaints(counts):
        return _pause(campaign, Brake.Kind.COMPLAINTS, _complaint_words(counts))
    if pauses_for_bounces(counts):
        return _pause(campaign, Brake.Kind.BOUNCES, _bounce_words(counts))
    return 0


def _frauds(campaign: Campaign) -> int:
    """Return how many mailbox providers' reports call a campaign fraud or virus; one is enough to stop and look."""
    rows = Complaint.objects.filter(campaign_id=campaign.pk, kind=Complaint.Kind.PHISHING)
    return rows.filter(source=ComplaintSource.FEEDBACK, withdrawn_at=None).count()


def _judge_organizations(campaigns: list[Campaign], counted: dict[int, Counts]) -> int:
    sums: dict[Organization, Counts] = {}
    for campaign in campaigns:
        sums[campaign.organization] = sums.get(campaign.organization, Counts()) + counted[campaign.pk]
    stopped = 0
    for organization, counts in sums.items():
        if pauses_for_complaints(counts):
            stopped += _pause(organization, Brake.Kind.COMPLAINTS, _complaint_words(counts))
    return stopped


def _pause(scope: Campaign | Organization, kind: str, reason: str) -> int:
    """Set a brake once: one that a person lifted comes back only when more was counted since."""
    rows = Brake.objects.filter(kind=kind, **_scope(scope)).order_by("-pk")
    last = rows.first()
    if last is not None and (last.lifted_at is None or last.reason == reason):
        return 0
    with transaction.atomic():
        brakes.set_brake(kind, reason, **_scope(scope))
        _call_a_person(scope, reason)
    return 1


def _scope(scope: Campaign | Organization) -> dict[str, Any]:
    return {"campaign": scope} if isinstance(scope, Campaign) else {"organization": scope, "campaign": None}


def _call_a_person(scope: Campaign | Organization, reason: str) -> None:
    if isinstance(scope, Campaign):
        organization, campaign_id = scope.organization, scope.pk
    else:
        organization, campaign_id = scope, None
    case = cases.open_case(organization, campaign_id, urgent=True)
    cases.add_entry(case, CaseEntry.Kind.NOTE, f"Paused by itself. {reason}", visible_to_customer=True)
    notices.send_paused(case, str(scope), reason)
    audit.record(
        "brake.automatic",
        actor=None,
        organization=organization,
        subject=f"case:{case.reference}",
        reason=reason,
    )


def _complaint_words(counts: Counts) -> str:
    rate = words.rate(counts.complaints, counts.base)
    return f"Complaints: {rate} among {words.count(counts.base, 'messages')}. Pauses from {policy.C_BREAKER} people on."


def _bounce_words(counts: Counts) -> str:
    dead = words.count(counts.hard_bounces, "dead addresses", "dead address")
    share = words.percent(counts.hard_bounces, counts.attempts)
    limit = words.percent(policy.HB_PAUSE, 1)
    return f"{dead}, {share} of {words.count(counts.attempts, 'messages')}. Pauses at {limit}."
