"""Lanes serve the organizations in turn: a small campaign does not wait for a large one of somebody else."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, connections

from accounts.models import Organization
from campaigns import brakes
from campaigns.models import Brake, Campaign, Chunk, Delivery, Retry, Turn, Usage
from campaigns.sending import claim, deliver, turns
from campaigns.sending.claim import Share, Without
from campaigns.sending.owners import Owner
from campaigns.sending.supply import Supply
from campaigns.sending.turns import CHUNK, RETRY, Look
from campaigns.tests.lanes import make_due, planned, states, two_relays
from sendserver.lib import clock, prepared
from sendserver.lib.relays import RelayConfig
from sendserver.testing.personas import make_organization
from sendserver.testing.relay import Phase, ScriptedRelay, reply

pytestmark = pytest.mark.django_db(transaction=True)
ME = Owner("host", "boot", 7, "1")
Pair = tuple[ScriptedRelay, ScriptedRelay]


@pytest.fixture
def pair(settings: Any, tmp_path: Path) -> Any:
    with two_relays(settings, tmp_path) as relays_:
        yield relays_


def _work(organization: Organization, chunks: list[int], name: str = "bulk") -> Campaign:
    """Return a campaign in state SENDING with bare chunks of these sizes at relay-1, their people too."""
    campaign = Campaign.objects.create(
        organization=organization, name=name, state="sending", mailable_count=sum(chunks)
    )
    start = 1
    for size in chunks:
        Chunk.objects.create(
            campaign=campaign, organization=organization, first_seq=start, last_seq=start + size - 1, relay="relay-1"
        )
        start += size
    Delivery.objects.bulk_create(
        Delivery(
            campaign=campaign,
            organization=organization,
            seq=seq,
            contact_id=seq,
            address=f"p{seq}@crowd.example",
            address_hash=b"h" * 32,
            domain="crowd.example",
        )
        for seq in range(1, start)
    )
    return campaign


def _claims(people: int = 1_000_000, most: int = 1000) -> list[tuple[int, int]]:
    """Claim and finish until nothing is left; return (organization, people left out or sent) in order."""
    taken = []
    while len(taken) < most:
        held = claim.claim_next("relay-1", ME, Without(), Share(people=people))
        if held is None:
            break
        found = Chunk.objects.get(pk=held.chunk_id)
        count = len(held.items) + len(held.left_out)
        taken.append((found.organization_id, count))
        state = Chunk.State.DONE if held.is_complete else Chunk.State.READY
        if not held.is_complete:  # as `flush` does it: those people have outcomes now
            Chunk.objects.filter(pk=found.pk).update(first_seq=found.first_seq + count)
        Chunk.objects.filter(pk=found.pk).update(state=state)
    return taken


@pytest.mark.parametrize("seed", range(6))
def test_work_is_shared_by_organization(seed: int) -> None:
    """Whatever number and size of campaigns: of those who still wait, nobody is more than one turn ahead."""
    chance = random.Random(seed)
    size = 12
    names = [f"Org{n} Ltd" for n in range(chance.randint(2, 5))]
    wanted: Counter[int] = Counter()
    for name in names:
        organization = make_organization(name, allowance=100_000)
        for number in range(chance.randint(1, 4)):
            sizes = [chance.randint(1, size) for _ in range(chance.randint(1, 12))]
            wanted[organization.pk] += sum(_work(organization, sizes, str(number)).mailable_count for _ in [0])
    bite = chance.choice((5, 1_000_000))
    got: Counter[int] = Counter()
    for organization, people in _claims(bite):
        waiting = [pk for pk in wanted if got[pk] < wanted[pk]]
        assert got[organization] <= min(got[pk] for pk in waiting) + size
        got[organization] += people
    assert got == wanted


def test_idling_saves_up_nothing_and_costs_nothing() -> None:
    old, new = make_organization("Old Ltd", allowance=100_000), make_organization("New Ltd", allowance=100_000)
    _work(old, [10] * 30)
    assert Counter(pk for pk, _ in _claims(most=20)) == {old.pk: 20}
    _work(new, [10] * 10)
    assert Counter(pk for pk, _ in _claims(most=10)) == {old.pk: 5, new.pk: 5}
    assert [pk for pk, _ in _claims(most=4)].count(new.pk) == 2


def test_turns_stand_in_the_database_and_each_lane_has_its_own() -> None:
    one, two = make_organization("One Ltd", allowance=100_000), make_organization("Two Ltd", allowance=100_000)
    _work(one, [10] * 4)
    _work(two, [10] * 4)
    _claims(most=3)
    rows = {row.organization_id: row.served for row in Turn.objects.filter(relay="relay-1")}
    assert sorted(rows.values()) == [10, 20]
    first = min(rows, key=lambda pk: rows[pk])
    connections.close_all()  # as after a restart
    assert _claims(most=1)[0][0] == first
    assert not Turn.objects.exclude(relay="relay-1").exists()


def test_who_may_not_send_loses_no_turn_for_others() -> None:
    good, braked, poor, paused = (make_organization(f"{n} Ltd", allowance=100_000) for n in ("A", "B", "C", "D"))
    for organization in (braked, poor, paused, good):
        _work(organization, [10] * 3)
    brakes.set_brake(Brake.Kind.STAFF, "look", organization=braked)
    Usage.objects.create(organization=poor, day=clock.now().date(), count=100_000)
    Campaign.objects.filter(organization=paused).update(state="paused")
    assert {pk for pk, _ in _claims()} == {good.pk}


def test_retries_take_turns_too(larkfield: Organization, pair: Pair) -> None:
    """A thousand due retries of one customer are not in front of another's first messages."""
    planned(larkfield, 60)
    Chunk.objects.update(relay="relay-1")
    pair[0].on(Phase.RCPT, reply("450 4.2.0 try again later"), times=60)
    deliver.run_lane("relay-1")
    assert Retry.objects.count() == 60
    make_due()
    other = make_organization("Other Ltd", allowance=100_000)
    _work(other, [10] * 2)
    kinds = []
    for _ in range(4):
        held = claim.claim_next("relay-1", ME, Without(), Share(people=10))
        assert held is not None
        kinds.append(CHUNK if held.chunk_id else RETRY)
    assert sorted(kinds) == [CHUNK, CHUNK, RETRY, RETRY]


def test_the_claim_reads_no_chunk_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred organizations and a campaign of a million people: the plan walks partial indexes, no table.

    That for these values, and that which a connection keeps for all values.
    """
    organizations = [make_organization(f"Org{n} Ltd", allowance=100_000) for n in range(100)]
    for number, organization in enumerate(organizations):
        campaign = Campaign.objects.create(organization=organization, name="x", state="sending")
        Chunk.objects.bulk_create(
            Chunk(
                campaign=campaign, organization=organization, first_seq=500 * n + 1, last_seq=500 * n + 500, relay=relay
            )
            for n, relay in zip(range(2000 if not number else 4), ["relay-1", "relay-2"] * 1000, strict=False)
        )
    look = Look("relay-1", ["relay-1"], (CHUNK, RETRY), (), ())
    assert len(turns.waiting(look)) == turns.LOOK_AT
    best = 9.9
    for _ in range(5):
        begun = time.perf_counter()
        turns.waiting(look)
        best = min(best, time.perf_counter() - begun)
    assert best < 0.03
    asked: list[tuple[str, Mapping[str, Any]]] = []
    monkeypatch.setattr(prepared, "ask", lambda *question: asked.append(question) or [])
    turns.waiting(look)
    statement, values = asked[0]
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    numbered = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", statement)
    with connection.cursor() as cursor:
        for question, given in (
            (f"EXPLAIN {statement}", values),
            (f"EXPLAIN (GENERIC_PLAN) {numbered}", None),
        ):
            cursor.execute(question, given)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan on campaigns_chunk" not in plan
            assert "chunk_ready" in plan


@pytest.mark.parametrize(
    ("rate", "attempted", "seconds", "people"),
    [(0.0, 0, 0.0, 100), (20.0, 0, 0.0, 40), (1.0, 0, 0.0, 10), (0.0, 3000, 3.0, 2000), (0.0, 6, 3.0, 10)],
)
def test_a_turn_takes_two_seconds_of_the_lanes_work(rate: float, attempted: int, seconds: float, people: int) -> None:
    relay = RelayConfig.from_url(1, f"smtp://127.0.0.1:2501?rate={rate}")
    supply = Supply(SimpleNamespace(key="relay-1", relay=relay, attempted=attempted, db=None))  # type: ignore[arg-type]
    supply._began = time.monotonic() - seconds
    assert supply._bite() == pytest.approx(people, rel=0.02)


def test_a_small_campaign_is_through_while_a_large_one_runs(larkfield: Organization, pair: Pair, settings: Any) -> None:
    """The promise of the page: who starts behind a large campaign is served at once, by both lanes."""
    settings.SENDING = {**settings.SENDING, "chunk_size": 500, "slice_seconds": 60}
    for relay in pair:
        relay.delay = 0.004
    large = planned(larkfield, 6000)
    stop = threading.Event()
    threads = [threading.Thread(target=_lane, args=(key, stop)) for key in ("relay-1", "relay-2")]
    for thread in threads:
        thread.start()
    try:
        _until(lambda: len(pair[0].accepted) > 200 and len(pair[1].accepted) > 200)
        small = planned(make_organization("Small Ltd", allowance=100_000), 200)
        started = time.monotonic()
        _until(lambda: states(small).get("accepted") == 200, 15)
        seconds = time.monotonic() - started
        left = states(large).get("planned", 0)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert left > 1000, f"{seconds:.1f} s"
    taken = Counter(pair[0].recipients + pair[1].recipients)
    shared = {f"reader{n}@crowd.example" for n in range(200)}  # the small one's people are on both lists
    assert all(count <= (2 if who in shared else 1) for who, count in taken.items())


def _lane(key: str, stop: threading.Event) -> None:
    try:
        deliver.run_lane(key, should_end=stop.is_set)
    finally:
        connections.close_all()


def _until(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
