"""What waits for staff: one reader for each queue, counted for the menu and dated for the start page."""

from __future__ import annotations

from django.core.cache import cache

from abuse.models import Appeal, Case, CaseState
from accounts.models import Verification, VerificationState
from campaigns.models import Campaign, CampaignState
from compliance.models import ImportJob, ImportState

COUNTS_SECONDS = 10


def counts() -> dict[str, int]:
    """Return how many things wait in each queue, at most COUNTS_SECONDS old."""
    found: dict[str, int] = cache.get_or_set("staff:counts", _count, COUNTS_SECONDS)
    return found


def _count() -> dict[str, int]:
    return {
        "cases": Case.objects.exclude(state=CaseState.DECIDED).count(),
        "verifications": Verification.objects.filter(state=VerificationState.SUBMITTED).count(),
        "uploads": ImportJob.objects.filter(state=ImportState.HELD).count(),
        "campaigns": Campaign.objects.filter(state=CampaignState.HELD).count(),
        "appeals": Appeal.objects.filter(state=Appeal.State.OPEN).count(),
    }
