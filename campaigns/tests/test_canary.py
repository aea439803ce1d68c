"""The sample that goes first: who is in it, what waits, what lets the rest go; nobody twice, nobody lost."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import AuditEntry, Organization
from campaigns import brakes, canary, control, planning
from campaigns.events import EventData, record_event
from campaigns.models import Brake, Campaign, CampaignState, Canary, Chunk, Delivery
from campaigns.sending import sweep
from campaigns.tests.lanes import crowd, frozen, run_both, states, tallies, two_relays
from campaigns.tests.world import add_person, make_world
from compliance import policy
from compliance.models import ImportJob, ImportState, ListMembership
from compliance.provenance.canary import sample_size, unproven
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db(transaction=True)
S = Canary.State


def upload(world: Any, user: Any, people: int, **fields: Any) -> ImportJob:
    """Put people on the world's list by an upload that is done."""
    before = set(ListMembership.objects.values_list("pk", flat=True))
    crowd(world, people)
    job = ImportJob.objects.create(
        organization=world.organization,
        contact_list=world.contact_list,
        created_by=user,
        file_name="people.csv",
        stored_name="x",
        file_bytes=1,
        file_sha256=b"f" * 32,
        kind="csv",
        state=ImportState.DONE,
        added_count=people,
        **fields,
    )
    ListMembership.objects.exclude(pk__in=before).update(import_job=job, first_import=job)
    return job


@pytest.fixture
def world(larkfield: Organization) -> Any:
    Organization.objects.filter(pk=larkfield.pk).update(daily_allowance=100_000)
    larkfield.refresh_from_db()
    return make_world(larkfield, 0)


@pytest.fixture
def campaign(world: Any, alice: Persona) -> Campaign:
    """Return a campaign to 5 old readers and 600 of a new upload, planned."""
    for number in range(5):
        add_person(world, f"old{number}@reader.example")
    upload(world, alice.user, 600)
    found = frozen(world)
    planning.plan(found)
    found.refresh_from_db()
    return found


def sample_of(campaign: Campaign) -> list[Delivery]:
    return list(Delivery.objects.filter(campaign=campaign, seq__lte=campaign.canary.size))


def waited(row: Canary) -> None:
    Canary.objects.filter(pk=row.pk).update(until=clock.now() - timedelta(seconds=1))
    canary.look()
    row.refresh_from_db()


def report(delivery: Delivery, kind: str, bounce_class: str = "") -> None:
    record_event(
        EventData(kind, "dsn", f"{kind}:{delivery.pk}", clock.now(), delivery=delivery, bounce_class=bounce_class)
    )


@pytest.mark.parametrize(
    ("people", "size"),
    [(0, 0), (499, 499), (500, 100), (5000, 100), (5001, 101), (5050, 101), (49_999, 1000), (5_000_000, 1000)],
)
def test_size_of_a_sample(people: int, size: int) -> None:
    assert sample_size(people) == size


def test_the_sample_is_in_front_and_the_rest_waits(campaign: Campaign) -> None:
    row = campaign.canary
    assert (row.state, row.size, row.waits, campaign.mailable_count) == (S.SENDING, 100, 500, 605)
    seqs = list(Delivery.objects.filter(campaign=campaign).order_by("seq").values_list("seq", flat=True))
    assert seqs == list(range(1, 606))
    ranges = list(
        Chunk.objects.filter(campaign=campaign).order_by("first_seq").values_list("first_seq", "last_seq", "state")
    )
    covered = [seq for low, high, _ in ranges for seq in range(low, high + 1)]
    assert covered == seqs
    assert {state for low, _, state in ranges if low <= 105} == {"ready"}
    assert {state for low, _, state in ranges if low > 105} == {"later"}
    old = Delivery.objects.filter(campaign=campaign, address__startswith="old").values_list("seq", flat=True)
    assert sorted(old) == [101, 102, 103, 104, 105]


def test_the_sample_is_not_the_beginning_of_the_file(campaign: Campaign) -> None:
    numbers = sorted(int(one.address[6:].partition("@")[0]) for one in sample_of(campaign))
    assert numbers != list(range(100))
    assert len(set(numbers)) == 100
    assert sum(number >= 300 for number in numbers) > 25


def test_the_sample_is_spread_over_the_domains(world: Any, alice: Persona) -> None:
    upload(world, alice.user, 600)
    for number, delivery_host in enumerate(["a", "b", "c", "d", "e", "f"]):
        people = ListMembership.objects.order_by("pk")[number * 100 : number * 100 + 100]
        type(people[0].contact).objects.filter(pk__in=[one.contact_id for one in people]).update(
            domain=f"{delivery_host}.example"
        )
    found = frozen(world)
    planning.plan(found)
    found.refresh_from_db()
    counts = Counter(one.domain for one in sample_of(found))
    assert len(counts) == 6
    assert max(counts.values()) - min(counts.values()) <= 1


def test_a_clean_sample_lets_the_rest_go_and_everybody_gets_one(
    campaign: Campaign, settings: Any, tmp_path: Path
) -> None:
    with two_relays(settings, tmp_path) as relays:
        run_both()
        assert states(campaign) == {"accepted": 105, "planned": 500}
        sweep.sweep()
        row = Canary.objects.get()
        assert row.state == S.WAITING
        hours = (row.until - clock.now()).total_seconds() / 3600
        assert policy.CANARY_WAIT_H - 0.01 < hours <= policy.CANARY_WAIT_H
        run_both()
        sweep.sweep()
        assert states(campaign) == {"accepted": 105, "planned": 500}
        waited(row)
        canary.look()
        assert row.state == S.CLEAN
        for _ in range(4):
            run_both()
        sweep.sweep()
        taken = Counter(one for relay in relays for one in relay.recipients)
    assert (len(taken), set(taken.values())) == (605, {1})
    assert states(campaign) == tallies(campaign) == {"accepted": 605}
    campaign.refresh_from_db()
    assert campaign.state == CampaignState.SENT
    assert ImportJob.objects.get().canary_at is not None
    assert [row.detail["to"] for row in AuditEntry.objects.filter(action="canary.moved")] == ["waiting", "clean"]


@pytest.fixture
def waiting(campaign: Campaign, settings: Any, tmp_path: Path) -> Canary:
    """Return a canary whose sample was mailed."""
    with two_relays(settings, tmp_path):
        run_both()
    canary.look()
    return Canary.objects.get()


@pytest.mark.parametrize(
    ("kind", "bounce_class", "people", "state"),
    [
        ("bounced", "hard_recipient", 8, S.CLEAN),  # of 100: at least 4.6 %
        ("bounced", "hard_recipient", 9, S.FAILED),  # at least 5.4 %
        ("bounced", "soft", 40, S.CLEAN),
        ("complained", "", 1, S.CLEAN),
        ("complained", "", 2, S.FAILED),
    ],
)
def test_what_comes_back_decides(waiting: Canary, kind: str, bounce_class: str, people: int, state: str) -> None:
    for delivery in sample_of(waiting.campaign)[:people]:
        report(delivery, kind, bounce_class)
    waited(waiting)
    assert waiting.state == state
    later = Chunk.objects.filter(campaign=waiting.campaign, state=Chunk.State.LATER).count()
    assert (later > 0) is (state == S.FAILED)


def test_a_failed_sample_calls_a_person_who_may_let_the_rest_go(waiting: Canary, administrator: Persona) -> None:
    for delivery in sample_of(waiting.campaign)[:3]:
        report(delivery, "complained")
    waited(waiting)
    brake = brakes.live(campaign=waiting.campaign).get()
    assert (brake.kind, waiting.brake) == (Brake.Kind.COMPLAINTS, brake)
    canary.look()
    waiting.refresh_from_db()
    assert waiting.state == S.FAILED
    brakes.lift(brake, actor=administrator.user, reason="The form was shown")
    canary.look()
    waiting.refresh_from_db()
    assert waiting.state == S.RELEASED
    assert not Chunk.objects.filter(state=Chunk.State.LATER).exists()


def test_the_next_campaign_to_the_same_upload_is_braked_too(waiting: Canary, world: Any) -> None:
    for delivery in sample_of(waiting.campaign)[:2]:
        report(delivery, "complained")
    waited(waiting)
    again = frozen(world)
    planning.plan(again)
    assert brakes.live(campaign=again).get().kind == Brake.Kind.COMPLAINTS


def test_who_unsubscribes_while_the_rest_waits_gets_nothing(waiting: Canary, settings: Any, tmp_path: Path) -> None:
    last = Delivery.objects.get(campaign=waiting.campaign, seq=605)
    report(last, "unsubscribed")
    waited(waiting)
    with two_relays(settings, tmp_path) as relays:
        for _ in range(4):
            run_both()
        reached = {one for relay in relays for one in relay.recipients}
    assert last.address not in reached
    assert len(reached) == 499


def test_a_stop_while_the_rest_waits_closes_the_books(waiting: Canary, alice: Persona) -> None:
    control.stop(waiting.campaign, actor=alice.user)
    sweep.sweep()
    waited(waiting)
    assert waiting.state == S.WAITING
    assert states(waiting.campaign) == tallies(waiting.campaign) == {"accepted": 105, "cancelled": 500}
    assert not Chunk.objects.exclude(state=Chunk.State.DONE).exists()


def test_two_beats_release_once(waiting: Canary) -> None:
    Canary.objects.filter(pk=waiting.pk).update(until=clock.now() - timedelta(seconds=1))
    late = Canary.objects.select_related("campaign__organization").get()
    canary.look()
    canary._release(late, S.CLEAN, actor=None, reason="the slower beat")
    assert AuditEntry.objects.filter(action="canary.moved").count() == 2


def test_only_new_and_risky_uploads_need_one(world: Any, alice: Persona) -> None:
    lists = [world.contact_list]
    assert unproven(lists) is None  # people who signed up one by one
    first = upload(world, alice.user, 3)
    found = unproven(lists)
    assert found is not None
    assert found.reason == "This list is new here"
    ImportJob.objects.filter(pk=first.pk).update(canary_at=clock.now())
    upload(make_other(world), alice.user, 3)
    assert unproven(lists) is not None  # three clean people speak for no others
    ImportJob.objects.filter(pk=first.pk).update(added_count=policy.CANARY_FROM - 1)
    assert unproven(lists) is not None
    ImportJob.objects.filter(pk=first.pk).update(added_count=policy.CANARY_FROM)
    assert unproven(lists) is None
    ImportJob.objects.exclude(pk=first.pk).update(held_reasons=[{"rule": "SRC-PATTERN", "text": "x"}])
    found = unproven(lists)
    assert found is not None
    assert found.reason == "There were questions about this upload"


def make_other(world: Any) -> Any:
    """Return the world with names that are free again."""
    for contact in world.organization.contacts.all():
        type(contact).objects.filter(pk=contact.pk).update(address_key=f"was-{contact.address_key}")
    return world


def test_few_people_go_at_once(world: Any, alice: Persona) -> None:
    upload(world, alice.user, 40)
    found = frozen(world)
    planning.plan(found)
    assert [(row.size, row.waits) for row in Canary.objects.all()] == [(40, 0)]
    assert set(Chunk.objects.values_list("state", flat=True)) == {"ready"}
    assert 'id="canary"' not in alice.client.get(reverse("campaign_progress", args=[found.uid])).content.decode()


def test_the_page_says_how_many_wait_and_until_when(waiting: Canary, alice: Persona) -> None:
    url = reverse("campaign_progress", args=[waiting.campaign.uid])
    page = alice.client.get(url).content.decode()
    assert "500 people wait until" in page
    assert "This list is new here" in page
    assert "About" not in page.partition('id="progress"')[2].partition("<dl")[0]
    for delivery in sample_of(waiting.campaign)[:2]:
        report(delivery, "complained")
    waited(waiting)
    assert "500 people were not mailed" in alice.client.get(url).content.decode()
