"""Lists narrowed by a segment: chosen in a draft, shown and checked, frozen, planned once, proven afterwards."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.urls import reverse

from campaigns import approve, compose, narrowing, planning
from campaigns.compose import StaleDraftError
from campaigns.models import Brake, Campaign, CampaignState, Delivery
from campaigns.proof import gather
from campaigns.tests.lanes import frozen
from campaigns.tests.world import World, add_person, attest, make_draft, make_world
from campaigns.views.review import _left_out_file
from compliance import policy, tags
from compliance.models import Contact, ContactList, ListMembership, Tag
from compliance.segments import store
from compliance.segments.conditions import Condition, Conditions, Group
from compliance.suppression import suppress
from compliance.tests.segment_world import one, segment
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey

pytestmark = pytest.mark.django_db
TENS = one("first_name", "starts", "Ten")


@pytest.fixture
def world(larkfield):
    """Return twelve people on a list; two of them are called Ten."""
    made = make_world(larkfield, 10)
    add_person(made, "ten1@reader.example", first_name="Tenley")
    add_person(made, "ten2@reader.example", first_name="Ten")
    return made


@pytest.fixture
def tens(larkfield, alice, world):
    """Return the segment of those two."""
    return segment(larkfield, TENS, alice.user, name="Tens")


def planned_names() -> set[str]:
    return {row.address.split("@")[0] for row in Delivery.objects.all()}


def sendable(world: World, actor: Any, **fields: Any) -> Campaign:
    """Return a draft that passes every check."""
    return make_draft(world, actor, from_address=world.from_address, **fields)


def order(draft: Campaign, **more: Any) -> approve.Order:
    return approve.Order(key=uuid.uuid4(), version=draft.version, **more)


def test_only_people_of_the_segment_are_planned(larkfield, world, tens):
    result = planning.plan(frozen(world, segment=tens))
    assert (result.planned, result.mailable, result.left_out) == (2, 2, {})
    assert planned_names() == {"ten1", "ten2"}


def test_a_segment_brings_in_nobody_whom_the_lists_do_not(larkfield, world, tens):
    other = ContactList.objects.create(organization=larkfield, name="Open days")
    outsider = add_person(world, "ten3@reader.example", first_name="Tennyson")
    ListMembership.objects.filter(contact=outsider).update(contact_list=other)
    planning.plan(frozen(world, segment=tens))
    assert planned_names() == {"ten1", "ten2"}


def test_consent_stays_with_the_membership(larkfield, world, alice):
    """Two lists, one person: mailed through the one whose own permission fits the conditions, and only if it counts."""
    other = ContactList.objects.create(organization=larkfield, name="Open days")
    person = Contact.objects.get(address="ten1@reader.example")
    old = clock.now() - timedelta(days=500)
    weaker = ListMembership.objects.create(
        contact_list=other, contact=person, basis="express_soi", consent_at=old, attestation=attest(larkfield, other, 1)
    )
    made = segment(larkfield, one("consent_at", "older", "400"), alice.user)
    campaign = frozen(world, segment=made)
    campaign.lists.add(other)
    planning.plan(campaign)
    assert Delivery.objects.get().membership_id == weaker.pk
    Delivery.objects.all().delete()
    ListMembership.objects.filter(pk=weaker.pk).update(basis="")
    again = frozen(world, segment=made)
    again.lists.add(other)
    planning.plan(again)
    assert Delivery.objects.get().skip_reason == "no_basis"


def test_the_do_not_mail_list_is_no_part_of_a_segment(larkfield, alice, world, tens):
    suppress(AddressKey("ten1@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    suppress(AddressKey("person0@reader.example"), organization=None, reason="complaint", source="arf")
    campaign = frozen(world, segment=tens)
    assert planning.plan(campaign).planned == 1
    assert planned_names() == {"ten2"}
    everybody = segment(larkfield, one("first_name", "is_not", "nobody"), alice.user, name="All")
    draft = sendable(world, alice.user, segment=everybody)
    told = b"".join(_left_out_file(draft).streaming_content).decode()
    assert "ten1" not in told
    assert "person0" not in told
    draft.segment = None
    assert "ten1" in b"".join(_left_out_file(draft).streaming_content).decode()


def test_two_organizations_keep_apart(larkfield, hollin, alice, mallory, world, tens):
    foreign = make_world(hollin, 0)
    add_person(foreign, "ten9@reader.example", first_name="Ten")
    campaign = frozen(world, segment=tens)
    campaign.lists.add(foreign.contact_list)
    planning.plan(campaign)
    assert planned_names() == {"ten1", "ten2"}
    draft = sendable(world, alice.user)
    theirs = segment(hollin, TENS, mallory.user, name="Theirs")
    answer = alice.client.post(reverse("campaign_edit", args=[draft.uid]), form_of(draft) | {"segment": theirs.uid})
    assert answer.status_code == 422
    draft.refresh_from_db()
    assert draft.segment is None


def form_of(draft: Campaign) -> dict[str, Any]:
    """Return what the editor posts, without the segment."""
    lists = [str(uid) for uid in draft.lists.values_list("pk", flat=True)]
    names = ("version", "name", "subject", "preheader", "body_format", "body")
    return {name: getattr(draft, name) for name in names} | {"lists": lists, "from_address": draft.from_address_id}


def test_the_editor_keeps_shows_and_checks_it(larkfield, alice, world, tens):
    draft = sendable(world, alice.user)
    url = reverse("campaign_edit", args=[draft.uid])
    assert alice.client.post(url, form_of(draft) | {"segment": tens.uid}).status_code == 302
    draft.refresh_from_db()
    assert draft.segment == tens
    page = alice.client.get(url).content.decode()
    assert f'<option value="{tens.uid}" selected>Tens</option>' in page
    assert "2 will get it" in page
    review = alice.client.get(reverse("campaign_review", args=[draft.uid])).content.decode()
    assert "Tens: First name begins with “Ten”" in review
    assert "only those in “Tens”" in review
    assert "2 of 2 people will get it" in review
    # A page from before segments were known leaves the choice as it is.
    assert alice.client.post(url, form_of(draft)).status_code == 302
    draft.refresh_from_db()
    assert draft.segment == tens
    assert compose.copy(draft, actor=alice.user).segment == tens
    assert alice.client.post(url, form_of(draft) | {"segment": ""}).status_code == 302
    draft.refresh_from_db()
    assert draft.segment is None


def test_a_deleted_segment_stops_a_draft_and_never_widens_it(larkfield, alice, world, tens):
    draft = sendable(world, alice.user, segment=tens)
    store.delete(tens, actor=alice.user)
    draft.refresh_from_db()
    done = approve.approve(draft, order(draft), actor=alice.user)
    assert not done.accepted
    page = alice.client.get(reverse("campaign_edit", args=[draft.uid])).content.decode()
    assert "Tens (deleted: choose another)" in page
    assert (
        "The segment “Tens” was deleted"
        in alice.client.get(reverse("campaign_review", args=[draft.uid])).content.decode()
    )
    # Saving something else keeps it, so that the draft does not grow to whole lists by itself.
    alice.client.post(
        reverse("campaign_edit", args=[draft.uid]), form_of(draft) | {"segment": tens.uid, "subject": "x"}
    )
    draft.refresh_from_db()
    assert (draft.segment, draft.subject) == (tens, "x")
    assert narrowing.where(draft).sql == "false"


def test_a_deleted_or_changed_segment_does_not_touch_an_approved_campaign(larkfield, alice, world, tens):
    draft = sendable(world, alice.user, segment=tens)
    assert approve.approve(draft, order(draft), actor=alice.user).accepted
    store.save(larkfield, "Tens", one("first_name", "is_not", "nobody"), actor=alice.user, segment=tens)
    store.delete(tens, actor=alice.user)
    draft.refresh_from_db()
    assert approve.against_start(draft) == ""
    assert planning.plan(draft).planned == 2
    assert planned_names() == {"ten1", "ten2"}


def test_a_segment_changed_behind_the_page_is_noticed(larkfield, alice, world, tens):
    draft = sendable(world, alice.user, segment=tens)
    shown = narrowing.digest(narrowing.chosen(draft))
    store.save(larkfield, "Tens", one("first_name", "is_not", "nobody"), actor=alice.user, segment=tens)
    draft.refresh_from_db()
    with pytest.raises(StaleDraftError, match="segment was changed"):
        approve.approve(draft, order(draft, segment=shown), actor=alice.user)
    with pytest.raises(StaleDraftError, match="segment was changed"):
        approve.approve(draft, order(draft, segment=""), actor=alice.user)
    assert approve.approve(
        draft, order(draft, segment=narrowing.digest(narrowing.chosen(draft))), actor=alice.user
    ).accepted


def test_the_conditions_are_bound_by_the_content_hash(larkfield, alice, world, tens):
    draft = sendable(world, alice.user, segment=tens)
    approve.approve(draft, order(draft), actor=alice.user)
    draft.refresh_from_db()
    kept = draft.snapshot.content["segment"]
    assert kept == {
        "uid": str(tens.uid),
        "name": "Tens",
        "conditions": TENS.to_json(),
        "words": ["First name begins with “Ten”"],
    }
    plain = sendable(world, alice.user)
    approve.approve(plain, order(plain), actor=alice.user)
    plain.refresh_from_db()
    assert "segment" not in plain.snapshot.content
    assert bytes(plain.snapshot.sha256) != bytes(draft.snapshot.sha256)


def test_a_tag_deleted_after_approval_stops_the_start_and_never_widens(larkfield, alice, world):
    tag = tags.create(larkfield, "spring", actor=alice.user)
    made = segment(larkfield, one("tag", "lacks", str(tag.uid)), alice.user, name="Not spring")
    draft = sendable(world, alice.user, segment=made)
    later = clock.now() + timedelta(hours=1)
    assert approve.approve(draft, order(draft, at=later), actor=alice.user).accepted
    Tag.objects.all().delete()
    Campaign.objects.filter(pk=draft.pk).update(scheduled_at=clock.now())
    planning.start_due()
    assert "asks for something that is not there" in Brake.objects.get().reason
    assert planned_names() == set()


def test_nobody_in_the_segment_is_said_so(larkfield, alice, world):
    made = segment(larkfield, one("first_name", "is", "Nobody"), alice.user, name="Nobody")
    draft = sendable(world, alice.user, segment=made)
    done = approve.approve(draft, order(draft), actor=alice.user)
    assert not done.accepted
    assert "Nobody on the chosen lists is in the segment “Nobody”." in [check.text for check in done.answer.checks]


def test_the_number_that_is_typed_is_that_of_the_segment(larkfield, alice, world, tens, monkeypatch):
    monkeypatch.setattr(policy, "TYPED_COUNT_ABOVE", 1)
    draft = sendable(world, alice.user, segment=tens)
    with pytest.raises(approve.OrderRefusedError, match="Type 2 "):
        approve.approve(draft, order(draft, typed=12), actor=alice.user)
    assert approve.approve(draft, order(draft, typed=2), actor=alice.user).accepted


def test_the_proof_and_the_report_show_the_conditions(larkfield, alice, world, tens):
    campaign = frozen(world, segment=tens)
    planning.plan(campaign)
    delivery = Delivery.objects.filter(address="ten1@reader.example").get()
    store.save(larkfield, "Other <b>name</b>", one("last_name", "empty"), actor=alice.user, segment=tens)
    assert gather.message_of(delivery).delivery.campaign.snapshot.content["segment"]["name"] == "Tens"
    person = Contact.objects.get(address="ten1@reader.example")
    page = alice.client.get(reverse("contact_proof", args=[person.uid])).content.decode()
    assert "the segment “Tens”: First name begins with “Ten”" in page
    report = alice.client.get(reverse("campaign_report", args=[campaign.uid])).content.decode()
    assert "those in “Tens”" in report


def test_a_sample_goes_first_within_the_segment(larkfield, world, alice, monkeypatch):
    from compliance.provenance.canary import Unproven

    made = segment(larkfield, one("first_name", "is_not", "Tenley"), alice.user, name="Most")
    campaign = frozen(world, segment=made)
    monkeypatch.setattr(planning, "unproven", lambda _: Unproven((1,), "new"))
    ListMembership.objects.update(import_job=None)
    planning.plan(campaign)
    assert "ten1" not in planned_names()
    assert len(planned_names()) == 11


@pytest.mark.django_db(transaction=True)
def test_two_planners_make_one_plan(larkfield, alice):
    world = make_world(larkfield, 40)
    conditions = Conditions(
        "any",
        (
            Group("all", (Condition("first_name", "starts", "Name1"), Condition("country", "is", "GB"))),
            Group("all", (Condition("address", "contains", "person2@"),)),
        ),
    )
    campaign = frozen(world, segment=segment(larkfield, conditions, alice.user))
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
    assert sorted(result.is_new for result in results) == [False, False, False, True]
    assert {result.planned for result in results} == {12}
    assert planned_names() == {"person1", "person2", *(f"person{n}" for n in range(10, 20))}
    assert Campaign.objects.get(pk=campaign.pk).state == CampaignState.SENDING
