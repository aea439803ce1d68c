"""Behind a clean sample the rest goes in steps of 5, 25 and 100 %; small uploads of one sender count as one list."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from campaigns import brakes, canary, planning
from campaigns.canary import Found, against
from campaigns.models import Brake, Campaign, CampaignState, Canary, Chunk, Delivery
from campaigns.sending import sweep
from campaigns.tests.lanes import frozen, run_both, states, tallies, two_relays
from campaigns.tests.test_canary import make_other, report, upload, waited, world
from compliance import policy
from compliance.models import ContactList, ImportJob
from compliance.provenance.canary import sample_size, steps
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db(transaction=True)
S = Canary.State
__all__ = ["world"]  # (a fixture)


@pytest.mark.parametrize(
    ("people", "ends"),
    [
        (500, [400]),  # 5 and 25 % of 500 are no more than the sample itself
        (1000, [150, 900]),  # 25 % of 1,000 are 250, of which 100 have theirs
        (4000, [100, 900, 3900]),
        (100_000, [4000, 24_000, 99_000]),
        (5_000_000, [249_000, 1_249_000, 4_999_000]),
    ],
)
def test_steps_of_a_list(people: int, ends: list[int]) -> None:
    assert steps(people, sample_size(people)) == ends


@pytest.mark.parametrize(
    ("people", "pooled", "size"),
    [(499, 0, 499), (300, 199, 300), (300, 200, 60), (90, 2000, 18), (1, 5000, 1), (500, 5000, 100)],
)
def test_small_uploads_share_one_bound(people: int, pooled: int, size: int) -> None:
    assert sample_size(people, pooled) == size


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (Found(1000, 0, 1), None),
        (Found(1000, 0, 2), Brake.Kind.COMPLAINTS),
        (Found(25_000, 0, 49), None),  # the brake of L_PAUSE stops this campaign long before
        (Found(25_000, 0, 50), Brake.Kind.COMPLAINTS),
        (Found(25_000, 1300, 0), None),
        (Found(25_000, 1320, 0), Brake.Kind.BOUNCES),
    ],
)
def test_what_stops_a_step(found: Found, kind: str | None) -> None:
    bad = against(found)
    assert (bad[0] if bad else None) == kind


def test_the_rest_goes_in_steps_and_everybody_gets_one(
    world: Any, alice: Persona, settings: Any, tmp_path: Path
) -> None:
    upload(world, alice.user, 4000)
    campaign = frozen(world)
    with two_relays(settings, tmp_path) as relays:
        settings.SENDING["chunk_size"] = 500
        planning.plan(campaign)
        campaign.refresh_from_db()
        mailed = []
        for _ in range(3):
            assert _until_waiting(campaign).state == S.WAITING
            mailed.append(states(campaign)["accepted"])
            assert ImportJob.objects.get().canary_at is None
            waited(campaign.canary)
        assert mailed == [100, 200, 1000]
        assert campaign.canary.state == S.CLEAN
        while states(campaign).get("planned"):
            run_both()
        sweep.sweep()
        taken = Counter(one for relay in relays for one in relay.recipients)
    assert (len(taken), set(taken.values())) == (4000, {1})
    assert states(campaign) == tallies(campaign) == {"accepted": 4000}
    campaign.refresh_from_db()
    assert campaign.state == CampaignState.SENT
    assert ImportJob.objects.get().canary_at is not None
    moved = [row.detail["to"] for row in AuditEntry.objects.filter(action="canary.moved").order_by("pk")]
    assert moved == ["waiting", "sending", "waiting", "sending", "waiting", "clean"]


def _until_waiting(campaign: Campaign) -> Canary:
    for _ in range(20):
        run_both()
        canary.look()
        campaign.canary.refresh_from_db()
        if campaign.canary.state == S.WAITING:
            break
    return campaign.canary


@pytest.fixture
def second_step(world: Any, alice: Persona) -> Canary:
    """Return the canary of 4,000 people whose sample was clean; nobody of the next part is mailed yet."""
    upload(world, alice.user, 4000)
    campaign = frozen(world)
    planning.plan(campaign)
    _served()
    canary.look()
    row = Canary.objects.select_related("campaign").get()
    waited(row)
    return row


def _served() -> None:
    """Call what is ready sent; who answered what is not the question of these tests."""
    Chunk.objects.filter(state=Chunk.State.READY).update(state=Chunk.State.DONE)


def test_a_step_is_let_go_alone(second_step: Canary) -> None:
    assert (second_step.state, second_step.step) == (S.SENDING, 1)
    ready = Chunk.objects.filter(state=Chunk.State.READY).order_by("first_seq")
    assert (ready[0].first_seq, ready.last().last_seq) == (101, 200)  # type: ignore[union-attr]
    canary.look()
    second_step.refresh_from_db()
    assert second_step.state == S.SENDING  # its chunks are not through


def test_a_step_that_went_badly_stops_the_rest(second_step: Canary) -> None:
    _served()
    canary.look()
    for delivery in Delivery.objects.filter(seq__gt=100, seq__lte=200)[:2]:
        report(delivery, "complained")
    waited(second_step)
    assert second_step.state == S.FAILED
    assert brakes.live(campaign=second_step.campaign).get().kind == Brake.Kind.COMPLAINTS
    waiting = Chunk.objects.filter(state=Chunk.State.LATER).order_by("first_seq")
    assert waiting[0].first_seq == 201


def test_complaints_of_those_who_wait_are_none_of_a_step(second_step: Canary) -> None:
    _served()
    canary.look()
    for delivery in Delivery.objects.filter(seq__gt=200)[:2]:  # from another campaign's mail, reported under this one
        report(delivery, "complained")
    waited(second_step)
    assert (second_step.state, second_step.step) == (S.SENDING, 2)


def test_the_parts_are_drawn_not_the_order_of_the_file(second_step: Canary) -> None:
    part = Delivery.objects.filter(campaign=second_step.campaign, seq__gt=100, seq__lte=200)
    numbers = sorted(int(one.address[6:].partition("@")[0]) for one in part)
    assert sum(number >= 2000 for number in numbers) in range(25, 76)
    assert numbers[-1] - numbers[0] > 3000


def test_the_page_names_the_next_step(second_step: Canary, alice: Persona) -> None:
    url = reverse("campaign_progress", args=[second_step.campaign.uid])
    page = alice.client.get(url).content.decode()
    assert "The first 200 people are mailed now; 3,800 wait" in page
    assert "the next 800 go by themselves, 4 hours later" in page
    _served()
    canary.look()
    page = alice.client.get(url).content.decode()
    assert "3,800 people wait until" in page
    assert "the next 800 go by themselves then" in page
    waited(second_step)
    assert "the rest goes by itself" in alice.client.get(url).content.decode()


def _small(world: Any, user: Any, people: int) -> Campaign:
    """Plan a campaign to a new list of its own with a small upload."""
    world.contact_list = ContactList.objects.create(organization=world.organization, name=f"List of {people}")
    upload(make_other(world), user, people)
    campaign = frozen(world)
    planning.plan(campaign)
    campaign.refresh_from_db()
    return campaign


def test_several_small_uploads_count_as_one_list(world: Any, alice: Persona) -> None:
    first = _small(world, alice.user, 300)
    assert (first.canary.size, first.canary.waits) == (300, 0)
    second = _small(world, alice.user, 250)
    assert (second.canary.size, second.canary.waits) == (50, 200)
    assert second.canary.reason == "This list is new here, and others came these days"


def test_uploads_of_long_ago_do_not_count(world: Any, alice: Persona) -> None:
    _small(world, alice.user, 300)
    Canary.objects.update(created_at=clock.now() - timedelta(days=policy.LIST_POOL_D, seconds=1))
    assert _small(world, alice.user, 250).canary.waits == 0


def test_two_campaigns_to_the_same_small_upload_count_it_once(world: Any, alice: Persona) -> None:
    _small(world, alice.user, 300)
    again = frozen(world)
    planning.plan(again)
    again.refresh_from_db()
    assert again.canary.waits == 0


def test_a_clean_small_upload_is_proven_after_its_wait(world: Any, alice: Persona) -> None:
    campaign = _small(world, alice.user, 40)
    _served()
    Campaign.objects.filter(pk=campaign.pk).update(state=CampaignState.SENT)
    canary.look()
    row = campaign.canary
    row.refresh_from_db()
    assert row.state == S.WAITING
    report(Delivery.objects.filter(campaign=campaign)[0], "complained")
    report(Delivery.objects.filter(campaign=campaign)[1], "bounced", "hard_recipient")
    report(Delivery.objects.filter(campaign=campaign)[2], "bounced", "hard_recipient")
    waited(row)
    assert row.state == S.CLEAN
    assert ImportJob.objects.get().canary_at is not None


def test_trouble_with_one_small_upload_stops_the_next(world: Any, alice: Persona) -> None:
    first = _small(world, alice.user, 300)
    for delivery in Delivery.objects.filter(campaign=first)[:2]:
        report(delivery, "complained")
    Campaign.objects.filter(pk=first.pk).update(state=CampaignState.SENT)
    world.contact_list = ContactList.objects.create(organization=world.organization, name="Another")
    upload(make_other(world), alice.user, 250)
    second = frozen(world)
    planning.plan(second)
    second.refresh_from_db()
    _served()
    canary.look()
    waited(second.canary)
    assert second.canary.state == S.FAILED
    assert "not mailed" in second.canary.brake.reason
