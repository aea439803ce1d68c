"""Walls that several floors lean on, tried where they meet."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from accounts.models import Organization, Standing
from campaigns.models import Chunk
from campaigns.sending import deliver, relays
from campaigns.tests.lanes import planned, states, two_relays
from compliance import suppression
from sendserver.lib.addresses import AddressKey, suppression_hash
from sendserver.testing.personas import Persona
from sendserver.testing.relay import Phase

ADA = AddressKey("ada@reader.example")
GRACE = 2.0  # seconds; architecture rule 5


def _held_back(organization: Organization) -> bool:
    sql = suppression.live_suppression_sql("probe.hash", "probe.organization")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {sql} FROM (SELECT %s::bytea AS hash, %s::bigint AS organization) AS probe",
            [suppression_hash(ADA), organization.pk],
        )
        row = cursor.fetchone()
    assert row is not None
    return bool(row[0])


@pytest.mark.django_db
def test_a_lifted_entry_holds_nobody_back(larkfield: Organization, moderator: Persona) -> None:
    row = suppression.suppress(ADA, organization=larkfield, reason="unsubscribe", source="page")
    assert _held_back(larkfield)
    suppression.lift(row, reason="They asked us to", actor=moderator.user)
    assert not _held_back(larkfield)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_suspension_is_heard_inside_a_chunk(larkfield: Organization, settings: Any, tmp_path: Path) -> None:
    """Claims hear of it at once; this asks whether a lane does that holds hundreds of people already."""
    with two_relays(settings, tmp_path) as pair:
        settings.SENDING = {**settings.SENDING, "chunk_size": 300, "connections": 2}
        for relay in pair:
            relay.delay = 0.05
        campaign = planned(larkfield, 600)
        threads = [threading.Thread(target=_lane, args=(key,)) for key in relays.KEYS]
        for thread in threads:
            thread.start()
        while min(len(relay.accepted) for relay in pair) < 10:
            time.sleep(0.02)
        Organization.objects.filter(pk=larkfield.pk).update(standing=Standing.SUSPENDED)
        cut = time.monotonic()
        for thread in threads:
            thread.join(60)
        late = [line for relay in pair for line in relay.log if line.phase == Phase.MAIL and line.at > cut + GRACE]
        assert late == []
        total = sum(len(relay.accepted) for relay in pair)
        assert total < 600
        assert states(campaign) == {"accepted": total, "planned": 600 - total}
        assert not Chunk.objects.filter(state=Chunk.State.LEASED).exists()


def _lane(key: str) -> None:
    try:
        deliver.run_lane(key)
    finally:
        connections.close_all()
