"""Help for tests of sending: two scripted relays, a frozen campaign, lanes run in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection

from accounts.models import Organization
from campaigns import compose, narrowing, planning
from campaigns.content import snapshot as snapshots
from campaigns.models import Campaign, CampaignState, Link, Snapshot
from campaigns.sending import deliver
from campaigns.tests.world import World, add_person, make_draft, make_world
from compliance.models import Contact, ListMembership
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, suppression_hash
from sendserver.lib.relays import RelayConfig
from sendserver.testing.relay import ScriptedRelay

SENDING = {
    "lease_seconds": 60,
    "slice_seconds": 20,
    "connections": 4,
    "chunk_size": 10,
    "stop_poll_seconds": 0.1,
    "timeouts": {"connect": 5.0, "command": 5.0, "body": 5.0, "dot": 5.0},
    "timeout_scale": 1.0,
}


@contextmanager
def two_relays(settings: Any, tmp_path: Path, **options: Any) -> Iterator[tuple[ScriptedRelay, ScriptedRelay]]:
    """Serve the portal's two relays and point the settings at them."""
    with ScriptedRelay("out1.relay.example", **options) as one, ScriptedRelay("out2.relay.example", **options) as two:
        settings.RELAYS = {
            "relay-1": RelayConfig.from_url(1, one.url),
            "relay-2": RelayConfig.from_url(2, two.url),
        }
        settings.SENDING = dict(SENDING)
        settings.JOURNAL_DIR = tmp_path / "journal"
        yield one, two


def crowd(world: World, people: int) -> None:
    """Put many mailable people on the world's list at once."""
    contacts = []
    for number in range(people):
        key = AddressKey(f"reader{number}@crowd.example")
        contacts.append(
            Contact(
                organization=world.organization,
                address=key,
                address_key=key,
                address_hash=suppression_hash(key),
                domain="crowd.example",
                country="GB",
                first_name=f"Réader {number}" if number % 3 == 0 else f"Reader {number}",
            )
        )
    Contact.objects.bulk_create(contacts)
    agreed = clock.now() - timedelta(days=30)
    ListMembership.objects.bulk_create(
        ListMembership(
            contact_list=world.contact_list,
            contact=contact,
            basis="express_doi",
            consent_at=agreed,
            confirmed_at=agreed + timedelta(minutes=5),
            source="website form",
            attestation=world.attestation,
        )
        for contact in contacts
    )


def frozen(world: World, **fields: object) -> Campaign:
    """Return a campaign in state PLANNING with its frozen content, as behind an approval."""
    draft = make_draft(world, None, from_address=world.from_address, **fields)  # type: ignore[arg-type]
    content, built = compose.content_of(draft, counted=True)
    document = snapshots.document(content, list(draft.lists.order_by("pk")), narrowing.chosen(draft))
    snapshot = Snapshot.objects.create(
        campaign_uid=draft.uid,
        version=1,
        sha256=snapshots.sha256(document),
        content=document,
        created_at=clock.now(),
    )
    Link.objects.bulk_create(Link(campaign=draft, number=n, url=url) for n, url in enumerate(built.counted, start=1))
    Campaign.objects.filter(pk=draft.pk).update(state=CampaignState.PLANNING, snapshot=snapshot)
    draft.refresh_from_db()
    return draft


def planned(organization: Organization, people: int, *, allowance: int = 100_000, **fields: object) -> Campaign:
    """Return a campaign in state SENDING with `people` planned deliveries."""
    Organization.objects.filter(pk=organization.pk).update(daily_allowance=allowance)
    organization.refresh_from_db()
    world = make_world(organization, 0)
    crowd(world, people)
    campaign = frozen(world, **fields)
    planning.plan(campaign)
    campaign.refresh_from_db()
    return campaign


def run_both() -> list[deliver.Report]:
    """Run one slice of each lane."""
    return [deliver.run_lane("relay-1"), deliver.run_lane("relay-2")]


def states(campaign: Campaign) -> dict[str, int]:
    """Return how many deliveries are in each state, from the view."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, count(*) FROM delivery_state WHERE campaign_id = %s GROUP BY state", [campaign.pk]
        )
        return dict(cursor.fetchall())


def tallies(campaign: Campaign) -> dict[str, int]:
    """Return the same from the tallies."""
    found: dict[str, int] = {}
    for tally in campaign.tallies.all():
        found[tally.state] = found.get(tally.state, 0) + tally.count
    return {state: count for state, count in found.items() if count}


def make_due() -> None:
    """Let every retry be due now."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE campaigns_retry SET due_at = now() - interval '1 second'")


def close_breakers() -> None:
    """Forget what is known of the relays' troubles."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE campaigns_relaystate SET open_until = NULL, healthy = true")


__all__ = ["add_person", "planned", "run_both", "states", "tallies", "two_relays"]
