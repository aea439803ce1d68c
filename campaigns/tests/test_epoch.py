"""A database that has forgotten something sends nothing until a person has looked."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMessage, get_connection
from django.db import connections

from accounts.models import AuditEntry, Organization
from campaigns import brakes
from campaigns.models import Brake, Outcome
from campaigns.sending import epoch
from campaigns.tests.lanes import planned, run_both, states, two_relays

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pair(settings: Any, tmp_path: Path) -> Any:
    with two_relays(settings, tmp_path) as relays_:
        yield relays_


@pytest.mark.parametrize("place", [0, 1, 2, "timeline", "torn"])
def test_a_restored_database_waits_for_a_person(larkfield: Organization, pair: Any, alice: Any, place: Any) -> None:
    run_both()
    assert not Brake.objects.exists()  # a host without a memory adopts what it finds
    campaign = planned(larkfield, 4)
    memory = json.loads(epoch.path().read_text())
    if place == "timeline":
        memory["timeline"] = "00000FFF"
    elif place != "torn":
        memory["numbers"][place] += 1_000_000
    epoch.path().write_text(json.dumps(memory) if place != "torn" else "")
    get_connection("campaigns.sending.system.SystemMailBackend").send_messages(
        [EmailMessage("Your code", "123 456", None, ["ada@inbox.example"])]
    )
    run_both()
    run_both()
    assert states(campaign) == {"planned": 4}
    brake = Brake.objects.get()
    assert (brake.kind, brake.campaign, brake.organization) == (Brake.Kind.EPOCH, None, None)
    assert AuditEntry.objects.filter(action="brake.set").exists()
    assert pair[0].recipients + pair[1].recipients == ["ada@inbox.example"]  # the code to sign in and look
    assert brakes.lift(brake, actor=alice.user, reason="The relays' logs agree")
    run_both()
    assert states(campaign) == {"accepted": 4}


def test_ordinary_work_is_never_taken_for_a_restore(larkfield: Organization, pair: Any) -> None:
    campaign = planned(larkfield, 30)
    for _ in range(3):
        run_both()
    assert states(campaign) == {"accepted": 30}
    assert not Brake.objects.exists()
    assert epoch.check()


def test_the_memory_is_as_young_as_the_last_answer(larkfield: Organization, pair: Any) -> None:
    """A copy of the database from the middle of this slice would be behind it, and its journal is gone."""
    planned(larkfield, 30)
    run_both()
    newest = Outcome.objects.order_by("-pk").values_list("pk", flat=True)[0]
    assert json.loads(epoch.path().read_text())["numbers"][0] == newest


def test_two_lanes_may_remember_at_the_same_moment(larkfield: Organization, pair: Any) -> None:
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(_check, range(40)))
    assert done == [True] * 40


def _check(_: int) -> bool:
    try:
        return epoch.check()
    finally:
        connections.close_all()
