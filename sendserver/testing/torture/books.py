"""The ledger of a campaign as the oracle takes it: view, tallies, the page's figures. Reads, never writes."""

from __future__ import annotations

from django.db import connection

from campaigns import stats
from campaigns.models import Campaign, Delivery, Outcome
from sendserver.testing.torture.oracle import Books

_STATES = """
SELECT d.address, s.state FROM delivery_state s JOIN campaigns_delivery d ON d.id = s.delivery_id
WHERE s.campaign_id = %s
"""


def read(campaign: Campaign) -> Books:
    """Return the books of a campaign as they stand now."""
    campaign.refresh_from_db()
    return Books(
        states=states_of(campaign),
        planned=campaign.planned_count,
        tallies=_tallies(campaign),
        page=_page(campaign),
        campaign=str(campaign.state),
    )


def states_of(campaign: Campaign) -> dict[str, str]:
    """Return the state of everybody, by address."""
    with connection.cursor() as cursor:
        cursor.execute(_STATES, [campaign.pk])
        return dict(cursor.fetchall())


def _tallies(campaign: Campaign) -> dict[str, int]:
    found: dict[str, int] = {}
    for tally in campaign.tallies.all():
        found[tally.state] = found.get(tally.state, 0) + tally.count
    return found


def _page(campaign: Campaign) -> dict[str, int]:
    progress = stats.progress(campaign)
    return {
        "accepted": progress.accepted,
        "rejected": progress.rejected,
        "in_doubt": progress.in_doubt,
        "deferred": progress.waiting,
        "cancelled": progress.stopped,
        "render_failed": progress.failed,
    }


def waited(code: int) -> set[str]:
    """Return the addresses that were told to wait by a reply `code` which reached us; a relay may say it too late."""
    told = Outcome.objects.filter(state="deferred", code=code).values("delivery_id")
    return set(Delivery.objects.filter(pk__in=told).values_list("address", flat=True))
