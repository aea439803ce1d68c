"""Kill -9 at random instants, again and again, with retries about: the books agree afterwards, line by line."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as live_settings
from django.db import connection

from accounts.models import Organization
from campaigns.models import Campaign, Chunk, Delivery, Outcome, Retry, Usage
from campaigns.sending import deliver, sweep
from campaigns.tests.lanes import close_breakers, make_due, planned, states, two_relays
from sendserver.testing.relay import Phase, ScriptedRelay, reply

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
KILLS = 4
PEOPLE = 200


def _books(campaign: Campaign) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
    """Return (relay, state) -> deliveries, by the view and by the tallies."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COALESCE(relay, ''), state, count(*) FROM delivery_state WHERE campaign_id = %s GROUP BY 1, 2",
            [campaign.pk],
        )
        seen = {(relay, state): count for relay, state, count in cursor.fetchall()}
    return seen, {(tally.relay, tally.state): tally.count for tally in campaign.tallies.exclude(count=0)}


def _killed_after(relay: ScriptedRelay, url: str, seconds: float) -> None:
    changes = {
        "database": connection.settings_dict["NAME"],
        "sending": live_settings.SENDING,
        "journal": str(live_settings.JOURNAL_DIR),
        "relays": [relay.url, url],
    }
    before = len(relay.log)
    command = [sys.executable, "-m", "campaigns.tests.lane_process", "relay-1", json.dumps(changes)]
    with subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60
        while len(relay.log) <= before and process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        time.sleep(seconds)
        process.kill()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_books_agree_after_deaths(larkfield: Organization, settings: Any, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with two_relays(settings, tmp_path) as (relay, other):
        relay.delay = 0.01
        campaign = planned(larkfield, PEOPLE)
        Chunk.objects.update(relay="relay-1")
        for text in ("450 4.7.1 greylisted", "550 5.1.1 no such user"):
            relay.on(Phase.RCPT, reply(text), when=lambda _: chance.random() < 0.1, times=15)
        for _ in range(KILLS):
            _killed_after(relay, other.url, chance.uniform(0.0, 0.6))
            make_due()
        for _ in range(4):
            close_breakers()
            make_due()
            deliver.run_lane("relay-1")
            seen, tallied = _books(campaign)
            assert seen == tallied
        found = states(campaign)
        assert sum(found.values()) == PEOPLE
        assert set(found) <= {"accepted", "rejected", "in_doubt"}
        assert found.get("in_doubt", 0) <= KILLS * live_settings.SENDING["connections"]
        taken = Counter(message.recipient for message in relay.accepted)
        assert max(taken.values()) == 1
        accepted = Outcome.objects.filter(state="accepted").values("delivery_id")
        assert set(Delivery.objects.filter(pk__in=accepted).values_list("address", flat=True)) <= set(taken)
        assert Usage.objects.get().count == PEOPLE
        assert not Retry.objects.exists()
        assert sweep.sweep() == 1
        assert not list(Path(live_settings.JOURNAL_DIR).glob("*.journal"))
