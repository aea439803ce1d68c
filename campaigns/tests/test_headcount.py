"""Approving a campaign to a long list: on a worker's figures, for a while, and never past a change unseen."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.urls import reverse

from accounts.models import AuditEntry
from campaigns import approve, audience, planning
from campaigns.approve import Order
from campaigns.models import Campaign, CampaignState, Chunk, Delivery
from campaigns.tests.world import World, add_person, make_draft, make_world
from compliance import counting, policy
from compliance.models import ContactList, ListMembership, Verdict
from compliance.suppression import suppress
from compliance.tests.segment_world import one, segment
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey

pytestmark = pytest.mark.django_db
BARE = "Dear {{ first_name }},\n\nthe potting shed is open for all of you."


@pytest.fixture
def world(larkfield, monkeypatch) -> World:
    """Return a list that is longer than a page counts here."""
    monkeypatch.setattr(policy, "COUNTED_AT_ONCE", 2)
    monkeypatch.setattr(policy, "TYPED_COUNT_ABOVE", 2)
    return make_world(larkfield, 3)


@pytest.fixture
def draft(world, alice) -> Campaign:
    return make_draft(world, alice.user)


def page_of(client: Any, draft: Campaign) -> Any:
    return client.get(reverse("campaign_review", args=[draft.uid]))


def shown(client: Any, draft: Campaign) -> dict[str, Any]:
    """Return the order that a person makes who types the number on the page."""
    page = page_of(client, draft)
    form = page.context["form"].initial
    return {
        "key": str(uuid.uuid4()),
        "version": draft.version,
        "segment": form["segment"],
        "counted": form["counted"],
        "when": "now",
        "typed": str(page.context["audience"].mailable),
    }


def press(client: Any, draft: Campaign, order: dict[str, Any]) -> Any:
    answer = client.post(reverse("campaign_review", args=[draft.uid]), order)
    draft.refresh_from_db()
    return answer


def later(monkeypatch, **delta: float) -> None:
    moment = clock.now() + timedelta(**delta)
    monkeypatch.setattr(clock, "now", lambda: moment)


def approved(client: Any, draft: Campaign, **more: Any) -> Campaign:
    """Return the draft, approved on figures of a worker."""
    page_of(client, draft)
    counting.work()
    assert press(client, draft, shown(client, draft) | more).status_code == 302
    assert draft.state != CampaignState.DRAFT
    return draft


def test_nothing_can_be_approved_before_it_is_counted(draft, alice):
    page = page_of(alice.client, draft).content.decode()
    assert "We are counting who gets it" in page
    assert 'hx-select="#review"' in page
    assert "Approve and send" not in page
    order = {"key": str(uuid.uuid4()), "version": draft.version, "when": "now", "typed": "3"}
    answer = press(alice.client, draft, order)
    assert answer["Location"] == reverse("campaign_review", args=[draft.uid])
    assert (draft.state, Verdict.objects.count()) == (CampaignState.DRAFT, 0)


def test_a_workers_figures_are_approved_and_planned(draft, alice):
    assert approved(alice.client, draft).state == CampaignState.PLANNING
    assert draft.approved_on["people"] == 3
    verdict = Verdict.objects.get(subject_uid=draft.uid)
    figures = next(check["evidence"] for check in verdict.checks if check["id"] == "CONSENT-BASIS")
    assert figures == {"total": 3, "mailable": 3, "counted_at": draft.approved_on["counted_at"]}
    assert planning.plan(draft).mailable == 3
    progress = alice.client.get(reverse("campaign_progress", args=[draft.uid])).content.decode()
    assert "You approved it for 3 people" in progress


def test_the_number_is_typed_as_it_was_shown(draft, alice):
    page_of(alice.client, draft)
    counting.work()
    order = shown(alice.client, draft) | {"typed": "4"}
    assert press(alice.client, draft, order).status_code == 422
    assert draft.state == CampaignState.DRAFT


def test_figures_that_were_counted_anew_in_between_are_shown_first(world, draft, alice, monkeypatch):
    page_of(alice.client, draft)
    counting.work()
    order = shown(alice.client, draft)
    suppress(AddressKey("person0@reader.example"), organization=world.organization, reason="unsubscribe", source="page")
    later(monkeypatch, seconds=counting.KEPT_AT_MOST + 1)
    page_of(alice.client, draft)
    counting.work()
    answer = press(alice.client, draft, order)
    assert (answer.status_code, draft.state) == (302, CampaignState.DRAFT)
    page = page_of(alice.client, draft).content.decode()
    assert "The number of people changed" in page
    assert "Type 2 to confirm" not in page  # two need no typing here
    assert press(alice.client, draft, shown(alice.client, draft)).status_code == 302
    assert (draft.state, draft.approved_on["people"]) == (CampaignState.PLANNING, 2)


def test_the_same_figures_of_a_later_moment_are_the_same(draft, alice, monkeypatch):
    page_of(alice.client, draft)
    counting.work()
    order = shown(alice.client, draft)
    later(monkeypatch, seconds=counting.KEPT_AT_MOST + 1)
    page_of(alice.client, draft)
    counting.work()
    press(alice.client, draft, order)
    assert draft.state == CampaignState.PLANNING


def test_old_figures_are_not_approved(draft, alice, monkeypatch):
    page_of(alice.client, draft)
    counting.work()
    order = shown(alice.client, draft)
    later(monkeypatch, minutes=policy.FIGURES_AGE_MIN + 1)
    press(alice.client, draft, order)
    assert draft.state == CampaignState.DRAFT
    page = page_of(alice.client, draft).content.decode()
    assert "too old to approve" in page
    assert "Approve and send" not in page
    counting.work()
    press(alice.client, draft, shown(alice.client, draft))
    assert draft.state == CampaignState.PLANNING


@pytest.mark.parametrize("change", [{"people_count": 9}, {"held_at": "now"}, {"closed_at": "now"}])
def test_figures_of_lists_that_changed_are_not_approved(change, world, draft, alice):
    page_of(alice.client, draft)
    counting.work()
    order = shown(alice.client, draft)
    values = {name: clock.now() if value == "now" else value for name, value in change.items()}
    ContactList.objects.filter(pk=world.contact_list.pk).update(**values)
    press(alice.client, draft, order)
    assert draft.state == CampaignState.DRAFT
    page = page_of(alice.client, draft).content.decode()
    assert "The lists changed" in page
    assert "Approve and send" not in page


def test_a_page_of_before_the_list_grew_long_is_shown_anew(draft, alice, monkeypatch):
    monkeypatch.setattr(policy, "COUNTED_AT_ONCE", 10)
    order = shown(alice.client, draft)
    assert order["counted"] == ""
    monkeypatch.setattr(policy, "COUNTED_AT_ONCE", 2)
    page_of(alice.client, draft)
    counting.work()
    press(alice.client, draft, order)
    assert draft.state == CampaignState.DRAFT


def test_short_lists_are_counted_at_the_press(world, draft, alice, monkeypatch):
    monkeypatch.setattr(policy, "COUNTED_AT_ONCE", 10)
    order = shown(alice.client, draft)
    add_person(world, "late@reader.example", first_name="Late")
    assert press(alice.client, draft, order).status_code == 422  # three were typed, four are there
    assert b"Type 4 to confirm" in alice.client.post(reverse("campaign_review", args=[draft.uid]), order).content
    press(alice.client, draft, order | {"typed": "4"})
    assert (draft.state, draft.approved_on) == (CampaignState.PLANNING, None)


# ---------- the planner looks once more


def test_more_people_than_approved_lead_to_a_fresh_look(world, draft, alice):
    approved(alice.client, draft)
    add_person(world, "late@reader.example", first_name="Late")
    assert planning.plan(draft).planned == 0
    draft.refresh_from_db()
    assert (draft.state, draft.snapshot, draft.approved_on) == (CampaignState.DRAFT, None, None)
    assert draft.look_again == "4 people would get it now, 1 more than the 3 that were approved."
    assert not Delivery.objects.filter(campaign=draft).exists()
    assert not Chunk.objects.filter(campaign=draft).exists()
    assert AuditEntry.objects.filter(action="campaign.moved", reason=draft.look_again).exists()
    page = page_of(alice.client, draft).content.decode()
    assert "It was approved and came back" in page
    assert draft.look_again in page


def test_and_the_approver_reads_it_and_approves_again(world, draft, alice, django_capture_on_commit_callbacks):
    approved(alice.client, draft)
    add_person(world, "late@reader.example", first_name="Late")
    planning.plan(draft)
    draft.refresh_from_db()
    counting.KeptCount.objects.all().delete()
    assert approved(alice.client, draft).state == CampaignState.PLANNING
    assert draft.look_again == ""
    assert planning.plan(draft).mailable == 4


def test_fewer_people_are_spared_and_the_rest_goes(world, draft, alice):
    approved(alice.client, draft)
    suppress(AddressKey("person0@reader.example"), organization=world.organization, reason="unsubscribe", source="page")
    result = planning.plan(draft)
    assert (result.mailable, result.left_out) == (2, {"suppressed": 1})
    assert draft.state == CampaignState.SENDING


def test_a_few_more_of_many_are_told_and_no_more(world, draft, alice, monkeypatch):
    monkeypatch.setattr(policy, "APPROVED_GROWTH", 0.4)
    approved(alice.client, draft)
    add_person(world, "late@reader.example", first_name="Late")
    assert planning.plan(draft).mailable == 4


def test_the_planner_judges_what_is_there_by_now(world, draft, alice):
    """Nobody more gets it, yet one of them has no name to be greeted by: the figures of before knew nothing of it."""
    draft.body = BARE
    draft.save(update_fields=["body"])
    approved(alice.client, draft)
    suppress(AddressKey("person0@reader.example"), organization=world.organization, reason="unsubscribe", source="page")
    add_person(world, "blank@reader.example")
    planning.plan(draft)
    draft.refresh_from_db()
    assert (draft.state, draft.look_again) == (
        CampaignState.DRAFT,
        "First name is blank for 1 person. Add words to use instead.",
    )
    assert not Delivery.objects.filter(campaign=draft).exists()


def test_a_later_start_is_for_the_lists_as_they_are_then(world, draft, alice, monkeypatch):
    day = (clock.now() + timedelta(days=2)).date().isoformat()
    when = {"when": "later", "date": day, "time": "12:00", "zone": "UTC"}
    assert approved(alice.client, draft, **when).state == CampaignState.SCHEDULED
    add_person(world, "late@reader.example", first_name="Late")
    later(monkeypatch, days=2, hours=1)
    draft.scheduled_at = clock.now()
    draft.save(update_fields=["scheduled_at"])
    planning.start_due()
    draft.refresh_from_db()
    assert (draft.state, draft.mailable_count) == (CampaignState.SENDING, 4)


def test_who_stopped_it_meanwhile_is_obeyed(world, draft, alice, monkeypatch):
    approved(alice.client, draft)
    judged = approve.too_many

    def and_stopped(campaign: Campaign, people: int) -> str:
        return judged(campaign, people + 5)

    monkeypatch.setattr(approve, "too_many", and_stopped)
    give_back = approve.give_back

    def after_a_stop(campaign: Campaign, reason: str) -> Campaign:
        Campaign.objects.filter(pk=campaign.pk).update(state=CampaignState.STOPPED)
        return give_back(campaign, reason)

    monkeypatch.setattr(approve, "give_back", after_a_stop)
    planning.plan(draft)
    draft.refresh_from_db()
    assert draft.state == CampaignState.STOPPED


def test_without_a_page_everybody_is_counted(draft, alice):
    order = Order(key=uuid.uuid4(), version=draft.version, typed=3)
    assert approve.approve(draft, order, actor=alice.user).accepted
    draft.refresh_from_db()
    assert draft.approved_on is None


def test_staff_answer_when_it_is_counted_and_the_planner_judges(world, draft, alice, moderator, monkeypatch):
    draft.subject = "Last chance for tulips"
    draft.save(update_fields=["subject"])
    approved(alice.client, draft)
    assert draft.state == CampaignState.HELD
    counting.KeptCount.objects.all().delete()
    url = reverse("admin:campaigns_campaign_answer", args=[draft.pk])
    answer = moderator.client.post(url, {"answer": "release", "reason": "Real season end"})
    assert (answer.status_code, b"being counted" in answer.content) == (422, True)
    counting.work()
    assert moderator.client.post(url, {"answer": "release", "reason": "Real season end"}).status_code == 302
    draft.refresh_from_db()
    assert draft.state == CampaignState.PLANNING
    add_person(world, "late@reader.example", first_name="Late")  # staff read the message, not the number
    assert planning.plan(draft).mailable == 4


# ---------- the editor


def test_the_editor_says_that_it_counts_and_then_of_when_the_figures_are(draft, alice):
    url = reverse("campaign_edit", args=[draft.uid])
    page = alice.client.get(url).content.decode()
    assert "Counting who will get it" in page
    assert "draft-saved from:body, load delay:2s" in page
    assert "to fix" not in page
    counting.work()
    page = alice.client.get(url).content.decode()
    assert "3 will get it; 0 are left out" in page
    assert "Counted <time" in page
    assert "load delay" not in page


def test_a_value_more_that_the_text_needs_is_counted_beside_the_people(world, draft, alice):
    add_person(world, "blank@reader.example")
    checks = reverse("campaign_checks", args=[draft.uid])
    alice.client.get(checks)
    counting.work()
    draft.body = BARE
    draft.save(update_fields=["body"])
    page = alice.client.get(checks).content.decode()
    assert "4 will get it" in page
    assert "still counting whether everybody has the values" in page
    assert "Approve and send" not in page_of(alice.client, draft).content.decode()
    counting.work()
    assert "First name is blank for 1 person" in alice.client.get(checks).content.decode()


def test_a_segment_is_counted_the_same_way(larkfield, world, draft, alice):
    draft.segment = segment(larkfield, one("first_name", "is", "Name1"), alice.user)
    draft.save(update_fields=["segment"])
    page_of(alice.client, draft)
    counting.work()
    assert page_of(alice.client, draft).context["audience"].mailable == 1
    assert approved(alice.client, draft).approved_on["people"] == 1
    assert planning.plan(draft).mailable == 1


def test_counts_belong_to_their_organization(hollin, mallory, world, draft, alice):
    page_of(alice.client, draft)
    counting.work()
    theirs = make_draft(make_world(hollin, 3), mallory.user)
    theirs.lists.set([world.contact_list])  # by whatever mistake
    facts = audience.count(hollin.pk, [world.contact_list])
    assert facts.total == 0
    assert not page_of(mallory.client, theirs).context["audience"].is_counted
    counting.work()
    assert page_of(mallory.client, theirs).context["audience"].total == 0


def test_the_file_of_those_left_out_goes_through_all_pieces(world, draft, monkeypatch):
    monkeypatch.setattr(audience, "PIECE", 2)
    for number in range(5):
        add_person(world, f"out{number}@reader.example", basis="")
    ListMembership.objects.filter(contact__address="person1@reader.example").update(basis="")
    found = [row.address for row in audience.left_out(world.organization.pk, [world.contact_list])]
    assert found == [*(f"out{number}@reader.example" for number in range(5)), "person1@reader.example"]


def test_a_letter_says_that_it_came_back(world, draft, alice, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    approved(alice.client, draft)
    add_person(world, "late@reader.example", first_name="Late")
    planning.plan(draft)
    letter = next(one for one in mail.outbox if "look again" in one.subject)
    assert letter.to == [alice.user.email]
    assert "1 more than the 3 that were approved" in letter.body
    assert reverse("campaign_review", args=[draft.uid]) in letter.body
