"""Planning: one audience, frozen, everybody accounted for."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction
from django.urls import reverse

from accounts.models import Organization
from campaigns import left_out, planning
from campaigns.models import Brake, Campaign, CampaignState, Chunk, Delivery
from campaigns.tests.lanes import crowd, frozen, run_both, states, tallies, two_relays
from campaigns.tests.world import add_person, attest, make_world
from compliance.models import ContactList, ListMembership
from compliance.suppression import suppress
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey
from sendserver.testing.personas import Persona


@pytest.mark.django_db
def test_everybody_is_mailed_or_left_out_with_a_reason(larkfield: Organization, hollin: Organization) -> None:
    world = make_world(larkfield, 3)
    add_person(world, "gone@reader.example")
    add_person(world, "nobody@reader.example", basis="")
    add_person(world, "everywhere@reader.example")
    suppress(AddressKey("gone@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    suppress(AddressKey("everywhere@reader.example"), organization=None, reason="complaint", source="arf")
    suppress(AddressKey("person0@reader.example"), organization=hollin, reason="unsubscribe", source="page")
    campaign = frozen(world)
    result = planning.plan(campaign)
    assert (result.planned, result.mailable) == (6, 3)
    assert result.left_out == {"suppressed": 2, "no_basis": 1}
    assert states(campaign) == tallies(campaign) == {"planned": 3, "suppressed": 2, "skipped": 1}
    campaign.refresh_from_db()
    assert (campaign.planned_count, campaign.mailable_count, campaign.state) == (6, 3, CampaignState.SENDING)
    assert sorted(Delivery.objects.exclude(seq=None).values_list("seq", flat=True)) == [1, 2, 3]
    assert not Delivery.objects.filter(seq=None, skip_reason="").exists()


@pytest.mark.django_db
def test_somebody_on_two_lists_is_one_delivery_by_the_better_permission(larkfield: Organization) -> None:
    world = make_world(larkfield, 0)
    person = add_person(world, "ada@reader.example", basis="")
    other = ContactList.objects.create(organization=larkfield, name="Open days")
    agreed = clock.now() - timedelta(days=9)
    good = ListMembership.objects.create(
        contact_list=other,
        contact=person,
        basis="express_doi",
        consent_at=agreed,
        confirmed_at=agreed,
        attestation=attest(larkfield, other, 1),
    )
    campaign = frozen(world)
    campaign.lists.add(other)
    planning.plan(campaign)
    delivery = Delivery.objects.get()
    assert delivery.membership_id == good.pk
    assert delivery.seq == 1


@pytest.mark.django_db
def test_another_tenants_list_adds_nobody(larkfield: Organization, hollin: Organization) -> None:
    world = make_world(larkfield, 1)
    foreign = make_world(hollin, 2)
    campaign = frozen(world)
    campaign.lists.add(foreign.contact_list)
    assert planning.plan(campaign).planned == 1


@pytest.mark.django_db
def test_merge_values_are_frozen(larkfield: Organization) -> None:
    world = make_world(larkfield, 0)
    person = add_person(world, "Ada@Reader.example", first_name="Ada", fields={"plot": "7", "email": "liar"})
    campaign = frozen(world)
    planning.plan(campaign)
    person.first_name = "Changed"
    person.save(update_fields=["first_name"])
    assert Delivery.objects.get().merge == {
        "plot": "7",
        "email": "Ada@reader.example",
        "first_name": "Ada",
        "last_name": "",
    }


@pytest.mark.django_db
def test_chunks_cover_every_number_once_and_alternate(larkfield: Organization, settings) -> None:  # type: ignore[no-untyped-def]
    settings.SENDING = {**settings.SENDING, "chunk_size": 10}
    world = make_world(larkfield, 0)
    crowd(world, 34)
    planning.plan(frozen(world))
    chunks = list(Chunk.objects.order_by("first_seq").values_list("first_seq", "last_seq", "relay"))
    assert chunks == [(1, 10, "relay-1"), (11, 20, "relay-2"), (21, 30, "relay-1"), (31, 34, "relay-2")]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("people", "chunks"),
    [
        (1, [(1, 1, "relay-1")]),
        (10, [(1, 10, "relay-1")]),
        (11, [(1, 10, "relay-1"), (11, 11, "relay-2")]),
        (31, [(1, 16, "relay-1"), (17, 31, "relay-2")]),
    ],
)
def test_a_small_audience_goes_over_both_relays(
    larkfield: Organization, people: int, chunks: list[tuple[int, int, str]]
) -> None:
    world = make_world(larkfield, 0)
    crowd(world, people)
    planning.plan(frozen(world))
    assert list(Chunk.objects.order_by("first_seq").values_list("first_seq", "last_seq", "relay")) == chunks


@pytest.mark.parametrize(("mailable", "size"), [(1, 10), (20, 10), (21, 11), (999, 500), (1000, 500), (10**6, 1000)])
def test_chunk_size(mailable: int, size: int) -> None:
    assert planning.chunk_size(mailable) == size


@pytest.mark.django_db
def test_nobody_to_mail_is_an_end(larkfield: Organization) -> None:
    world = make_world(larkfield, 0)
    add_person(world, "ada@reader.example", basis="")
    campaign = frozen(world)
    planning.plan(campaign)
    assert campaign.state == CampaignState.SENT
    assert not Chunk.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_planners_at_once_make_one_plan(larkfield: Organization) -> None:
    world = make_world(larkfield, 0)
    crowd(world, 50)
    campaign = frozen(world)
    results: list[planning.PlanResult] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait(10)
        results.append(planning.plan(Campaign.objects.get(pk=campaign.pk)))
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [result.planned for result in results] == [50] * 4
    assert sum(result.is_new for result in results) == 1
    assert Delivery.objects.count() == 50


@pytest.mark.django_db(transaction=True)
def test_a_planner_that_dies_half_way_leaves_nothing(larkfield: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(larkfield, 5)
    campaign = frozen(world)
    monkeypatch.setattr(planning, "_write_tallies", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        planning.plan(campaign)
    assert not Delivery.objects.exists()
    assert not Chunk.objects.exists()
    monkeypatch.undo()
    assert [result.planned for result in planning.start_due()] == [5]


@pytest.mark.django_db
def test_scheduled_campaigns_start_when_due_and_late_ones_wait(larkfield: Organization) -> None:
    world = make_world(larkfield, 2)
    rows = {name: frozen(world) for name in ("soon", "now", "late")}
    times = {"soon": timedelta(minutes=5), "now": timedelta(seconds=-5), "late": timedelta(hours=-9)}
    for name, row in rows.items():
        Campaign.objects.filter(pk=row.pk).update(state="scheduled", scheduled_at=clock.now() + times[name])
    planning.start_due()
    found = {name: Campaign.objects.get(pk=row.pk).state for name, row in rows.items()}
    assert found == {"soon": "scheduled", "now": "sending", "late": "sending"}
    assert Brake.objects.get().campaign == rows["late"]
    assert Brake.objects.get().kind == Brake.Kind.LATE


@pytest.mark.django_db
def test_a_stopped_campaign_is_not_planned(larkfield: Organization) -> None:
    world = make_world(larkfield, 2)
    campaign = frozen(world)
    Campaign.objects.filter(pk=campaign.pk).update(state="stopped")
    with transaction.atomic():
        assert planning.plan(campaign).is_new is False
    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_everybody_left_out_is_counted_by_reason_after_the_send(
    larkfield: Organization, alice: Persona, settings: Any, tmp_path: Path
) -> None:
    """At planning and in the second of sending, in words, on the report and in its file."""
    Organization.objects.filter(pk=larkfield.pk).update(daily_allowance=1000)
    world = make_world(larkfield, 4)
    add_person(world, "nobody@reader.example", basis="")
    suppress(AddressKey("person0@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    campaign = frozen(world)
    planning.plan(campaign)
    assert {one.code: (one.planned, one.sending) for one in left_out.by_reason(campaign)} == {
        "no_basis": (1, 0),
        "suppressed": (1, 0),
    }
    suppress(AddressKey("person1@reader.example"), organization=larkfield, reason="complaint", source="arf")
    ListMembership.objects.filter(contact__address="person2@reader.example").update(attestation=None)
    with two_relays(settings, tmp_path):
        run_both()
    found = {one.code: (one.planned, one.sending) for one in left_out.by_reason(campaign)}
    assert found == {"suppressed": (1, 1), "no_attestation": (0, 1), "no_basis": (1, 0)}
    page = alice.client.get(reverse("campaign_report", args=[campaign.uid])).content.decode()
    assert "No statement for the list" in page
    file = alice.client.get(reverse("campaign_report", args=[campaign.uid]), {"as": "csv"}).content.decode()
    assert "left_out_at_sending,On the do-not-mail list,1" in file
