"""The Send button: judged, frozen, recorded, moved; and what makes it refuse."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from accounts import ledger
from accounts.models import AuditEntry, FromAddress, Organization, Standing
from campaigns import approve as approving
from campaigns import compose
from campaigns.approve import Order, OrderRefusedError, approve, decide_held, take_back
from campaigns.content.compile import compile_message
from campaigns.content.snapshot import load
from campaigns.models import Campaign, CampaignState, Snapshot
from campaigns.proposals import propose
from campaigns.tests.world import add_person, make_draft, make_world
from compliance import counting, gate, policy
from compliance.models import Verdict
from compliance.suppression import suppress
from sendserver.lib import clock
from sendserver.lib.states import TransitionRefusedError
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db


def order(draft: Campaign, **fields: object) -> Order:
    return Order(key=uuid.uuid4(), version=draft.version, **fields)  # type: ignore[arg-type]


def test_a_good_draft_passes_every_rule(larkfield: Organization, alice: Persona) -> None:
    draft = make_draft(make_world(larkfield), alice.user)
    answer = gate.judge(propose(draft))
    assert [(c.rule_id, c.text) for c in answer.checks if not c.ok] == []
    assert answer.decision == "pass"
    assert len(answer.checks) >= 18


def test_it_freezes_and_moves(larkfield: Organization, alice: Persona) -> None:
    draft = make_draft(make_world(larkfield), alice.user)
    done = approve(draft, order(draft), actor=alice.user)
    assert done.accepted
    assert done.campaign.state == CampaignState.PLANNING
    content = load(done.campaign.snapshot)
    assert content.subject == "Come and dig on 14 November"
    assert [link.url for link in done.campaign.links.all()] == ["https://larkfield.example/open-day"]
    assert "/c/" in content.html
    assert "https://larkfield.example/open-day" not in content.html
    verdict = Verdict.objects.get(subject_uid=draft.uid)
    assert (verdict.decision, bytes(verdict.content_sha256)) == ("pass", bytes(done.campaign.snapshot.sha256))
    assert ledger.first_broken(Verdict) is None
    assert AuditEntry.objects.filter(action="campaign.moved", subject=f"campaign:{draft.uid}").count() == 1


def test_a_second_press_changes_nothing(larkfield: Organization, alice: Persona) -> None:
    draft = make_draft(make_world(larkfield), alice.user)
    same = order(draft)
    approve(draft, same, actor=alice.user)
    again = approve(draft, same, actor=alice.user)
    assert again.accepted
    assert again.answer is None
    assert Snapshot.objects.count() == 1
    assert Verdict.objects.count() == 1


def test_a_later_time_schedules(larkfield: Organization, alice: Persona) -> None:
    draft = make_draft(make_world(larkfield), alice.user)
    at = clock.now() + timedelta(hours=3)
    done = approve(draft, order(draft, at=at, zone="Europe/London"), actor=alice.user)
    assert done.campaign.state == CampaignState.SCHEDULED
    assert (done.campaign.scheduled_at, done.campaign.schedule_zone) == (at, "Europe/London")


@pytest.mark.parametrize("delta", [timedelta(minutes=-1), timedelta(days=366)])
def test_a_time_out_of_reach_is_refused(larkfield: Organization, alice: Persona, delta: timedelta) -> None:
    draft = make_draft(make_world(larkfield), alice.user)
    with pytest.raises(OrderRefusedError):
        approve(draft, order(draft, at=clock.now() + delta), actor=alice.user)
    draft.refresh_from_db()
    assert draft.state == CampaignState.DRAFT


def test_an_old_version_is_refused(larkfield: Organization, alice: Persona) -> None:
    draft = make_draft(make_world(larkfield), alice.user)
    with pytest.raises(compose.StaleDraftError):
        approve(draft, Order(key=uuid.uuid4(), version=draft.version - 1), actor=alice.user)


def test_many_people_are_typed(larkfield: Organization, alice: Persona, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "TYPED_COUNT_ABOVE", 2)
    draft = make_draft(make_world(larkfield, people=3), alice.user)
    with pytest.raises(OrderRefusedError):
        approve(draft, order(draft, typed=2), actor=alice.user)
    assert approve(draft, order(draft, typed=3), actor=alice.user).accepted


def test_a_block_is_recorded_and_moves_nothing(larkfield: Organization, alice: Persona) -> None:
    draft = make_draft(make_world(larkfield), alice.user, subject="Re: your order")
    done = approve(draft, order(draft), actor=alice.user)
    assert not done.accepted
    draft.refresh_from_db()
    assert (draft.state, draft.snapshot) == (CampaignState.DRAFT, None)
    assert Verdict.objects.get(subject_uid=draft.uid).decision == "block"


@pytest.mark.parametrize("standing", [Standing.UNVERIFIED, Standing.SUSPENDED, Standing.BLOCKED])
def test_without_standing_nothing_leaves(larkfield: Organization, alice: Persona, standing: str) -> None:
    draft = make_draft(make_world(larkfield), alice.user)
    Organization.objects.filter(pk=larkfield.pk).update(standing=standing)
    done = approve(draft, order(draft), actor=alice.user)
    assert not done.accepted
    assert "ID-LEGAL-ENTITY" in [c.rule_id for c in done.answer.checks if c.decision == "block"]


def test_a_hold_waits_for_staff_and_can_be_released(
    larkfield: Organization, alice: Persona, moderator: Persona
) -> None:
    draft = make_draft(make_world(larkfield), alice.user, subject="Last chance for tulips")
    held = approve(draft, order(draft), actor=alice.user).campaign
    assert held.state == CampaignState.HELD
    assert [check["id"] for check in approving.hold_reasons(held)] == ["SUBJ-TRUTH"]
    released = decide_held(held, release=True, actor=moderator.user, reason="Real season end")
    assert released.state == CampaignState.PLANNING
    assert Verdict.objects.filter(subject_uid=draft.uid).order_by("-pk").first().decision == "pass"


def test_a_hold_given_back_needs_a_reason_and_a_new_approval(
    larkfield: Organization, alice: Persona, moderator: Persona
) -> None:
    draft = make_draft(make_world(larkfield), alice.user, subject="Last chance for tulips")
    held = approve(draft, order(draft), actor=alice.user).campaign
    with pytest.raises(OrderRefusedError):
        decide_held(held, release=False, actor=moderator.user, reason=" ")
    back = decide_held(held, release=False, actor=moderator.user, reason="Say when it ends")
    assert (back.state, back.snapshot, back.send_key) == (CampaignState.DRAFT, None, None)
    assert back.version == draft.version + 1


def test_staff_cannot_overrule_a_block(larkfield: Organization, alice: Persona, moderator: Persona) -> None:
    draft = make_draft(make_world(larkfield), alice.user, subject="Last chance for tulips")
    held = approve(draft, order(draft), actor=alice.user).campaign
    Organization.objects.filter(pk=larkfield.pk).update(standing=Standing.SUSPENDED)
    with pytest.raises(OrderRefusedError):
        decide_held(held, release=True, actor=moderator.user, reason="fine")


def test_taken_back_it_can_be_approved_again(larkfield: Organization, alice: Persona) -> None:
    draft = make_draft(make_world(larkfield), alice.user)
    at = clock.now() + timedelta(hours=3)
    scheduled = approve(draft, order(draft, at=at), actor=alice.user).campaign
    back = take_back(scheduled, actor=alice.user)
    assert back.state == CampaignState.DRAFT
    again = approve(back, order(back), actor=alice.user)
    assert again.campaign.state == CampaignState.PLANNING
    assert Snapshot.objects.filter(campaign_uid=draft.uid).count() == 2
    with pytest.raises(TransitionRefusedError):  # while it is planned, only the planner may give it back
        take_back(again.campaign, actor=alice.user)


def test_the_audience_counts_people_once_with_reasons(larkfield: Organization, alice: Persona) -> None:
    world = make_world(larkfield, people=2)
    add_person(world, "hans@reader.example", country="DE", basis="express_written")
    add_person(world, "bought@reader.example", basis="us_customer", country="US")
    no = add_person(world, "no@reader.example")
    suppress(no.address_key, organization=larkfield, reason="unsubscribe", source="page")
    second = make_world_list(world)
    facts = propose(make_both(world, second, alice)).audience
    assert (facts.total, facts.mailable) == (5, 3)
    assert {code: people for code, _, people in facts.left_out} == {"suppressed": 1, "basis_not_allowed": 1}
    assert {country: (got, left) for country, got, left in facts.by_country} == {
        "GB": (2, 1),
        "DE": (1, 0),
        "US": (0, 1),
    }


def make_world_list(world):
    from compliance.models import ContactList, ListMembership

    second = ContactList.objects.create(organization=world.organization, name="Second")
    for membership in list(world.contact_list.memberships.all()):
        ListMembership.objects.create(contact_list=second, contact=membership.contact, basis="")
    return second


def make_both(world, second, alice):
    draft = make_draft(world, alice.user)
    draft.lists.set([world.contact_list, second])
    return draft


def test_a_needed_field_that_is_empty_blocks(larkfield: Organization, alice: Persona) -> None:
    world = make_world(larkfield)
    add_person(world, "blank@reader.example")
    draft = make_draft(world, alice.user, body="Dear {{ first_name }},\n\nhello there, all of you.")
    answer = gate.judge(propose(draft))
    check = next(c for c in answer.checks if c.rule_id == "CONTENT-MERGE")
    assert (check.decision, check.evidence) == ("block", {"field": "first_name", "people": 1})


def test_a_removed_from_address_blocks(larkfield: Organization, alice: Persona) -> None:
    draft = make_draft(make_world(larkfield), alice.user)
    FromAddress.objects.update(removed_at=clock.now())
    again = Campaign.objects.get(pk=draft.pk)
    check = next(c for c in gate.judge(propose(again)).checks if c.rule_id == "ID-FROM-TRUTH")
    assert (check.decision, check.text) == ("block", "Choose a From address.")


def test_long_lists_are_counted_by_a_worker_for_the_editor_and_freshly_for_sending(
    larkfield: Organization, alice: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "COUNTED_AT_ONCE", 1)
    world = make_world(larkfield)
    draft = make_draft(world, alice.user)
    assert not propose(draft, for_page=True).audience.is_counted
    counting.work()
    assert propose(draft, for_page=True).audience.mailable == 3
    add_person(world, "late@reader.example", first_name="Late")
    assert propose(draft, for_page=True).audience.mailable == 3
    assert propose(draft).audience.mailable == 4


def test_a_column_is_written_by_its_plain_name(larkfield: Organization, alice: Persona) -> None:
    world = make_world(larkfield, people=1)
    add_person(world, "fan@reader.example", first_name="Fan", fields={"Favourite plant": "Fig", "Größe": "M"})
    draft = make_draft(
        world, alice.user, body="Dear reader, take a {{ favourite_plant }} in {{ grosse | default: 'L' }}."
    )
    proposal = propose(draft)
    assert proposal.merge_problems == ()
    assert proposal.audience.missing_values == (("Favourite plant", 1),)
    assert "take a Fig in M" in proposal.samples[0].text
    with_words = make_draft(world, alice.user, body="A {{ favourite_plant | default: 'plant' }} for you, dear reader.")
    frozen = approve(with_words, order(with_words), actor=alice.user).campaign
    message = compile_message(load(frozen.snapshot))
    values = {"unsubscribe_url": "https://x", "why_url": "https://x", "report_url": "https://x"}
    assert "A Fig for you" in message.text({**values, "Favourite plant": "Fig"})
