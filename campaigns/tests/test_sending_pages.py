"""From check to report: review, send, progress, pause, stop, and what came back."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.urls import reverse

from accounts.models import AuditEntry, Organization
from campaigns.models import Campaign, CampaignState, ClickCount, Event, Link, Tally
from campaigns.tests.world import World, add_person, make_draft, make_world
from compliance import policy
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(larkfield: Organization) -> World:
    return make_world(larkfield)


@pytest.fixture
def draft(world: World, alice: Persona) -> Campaign:
    return make_draft(world, alice.user)


def typed(draft: Campaign, **changes: object) -> dict[str, object]:
    values = {
        "version": draft.version,
        "name": draft.name,
        "lists": [one.pk for one in draft.lists.all()],
        "from_address": draft.from_address_id,
        "subject": draft.subject,
        "preheader": draft.preheader,
        "body_format": draft.body_format,
        "body": draft.body,
    }
    return {**values, **changes}


def ordered(draft: Campaign, **changes: object) -> dict[str, object]:
    return {"key": str(uuid.uuid4()), "version": draft.version, "when": "now", **changes}


# ---------- review and send


def test_the_review_says_who_gets_it_and_why_not(world: World, draft: Campaign, alice: Persona) -> None:
    add_person(world, "anna@reader.example", country="DE", basis="express_soi")
    bought = add_person(world, "=cmd@reader.example", country="US", basis="us_customer")
    page = alice.client.get(reverse("campaign_review", args=[draft.uid])).content.decode()
    assert "4 of 5 people will get it" in page
    assert "1 no explicit permission" in page
    file = alice.client.get(reverse("campaign_review", args=[draft.uid]), {"as": "csv"})
    lines = b"".join(file.streaming_content).decode().splitlines()
    assert lines[1:] == [f"'{bought.address},US,No explicit permission"]


def test_sending_moves_the_campaign(draft: Campaign, alice: Persona) -> None:
    answer = alice.client.post(reverse("campaign_review", args=[draft.uid]), ordered(draft))
    assert answer["Location"] == reverse("campaign_progress", args=[draft.uid])
    draft.refresh_from_db()
    assert draft.state == CampaignState.PLANNING


def test_a_double_click_sends_once(draft: Campaign, alice: Persona) -> None:
    values = ordered(draft)
    first = alice.client.post(reverse("campaign_review", args=[draft.uid]), values)
    second = alice.client.post(reverse("campaign_review", args=[draft.uid]), values)
    assert first["Location"] == second["Location"] == reverse("campaign_progress", args=[draft.uid])


def test_a_time_in_a_zone_is_understood(draft: Campaign, alice: Persona) -> None:
    day = (clock.now() + timedelta(days=3)).date()
    values = ordered(draft, when="later", date=f"{day}", time="08:30", zone="America/New_York")
    alice.client.post(reverse("campaign_review", args=[draft.uid]), values)
    draft.refresh_from_db()
    assert draft.state == CampaignState.SCHEDULED
    assert draft.schedule_zone == "America/New_York"
    assert f"{draft.scheduled_at:%H:%M}" in ("12:30", "13:30")


def test_a_time_without_a_date_is_asked_for(draft: Campaign, alice: Persona) -> None:
    answer = alice.client.post(reverse("campaign_review", args=[draft.uid]), ordered(draft, when="later"))
    assert answer.status_code == 422
    assert "Enter date and time" in answer.content.decode()


def test_a_wrong_count_is_refused(draft: Campaign, alice: Persona, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "TYPED_COUNT_ABOVE", 1)
    url = reverse("campaign_review", args=[draft.uid])
    assert "Type 3 to confirm" in alice.client.get(url).content.decode()
    assert alice.client.post(url, ordered(draft, typed="4")).status_code == 422
    assert alice.client.post(url, ordered(draft, typed="3")).status_code == 302


def test_a_blocked_message_is_not_sent(draft: Campaign, alice: Persona) -> None:
    Campaign.objects.filter(pk=draft.pk).update(subject="Re: hello")
    answer = alice.client.post(reverse("campaign_review", args=[draft.uid]), ordered(draft))
    assert answer.status_code == 422
    assert "It cannot be sent yet" in answer.content.decode()


# ---------- on its way


@pytest.fixture
def running(draft: Campaign) -> Campaign:
    fields = {"state": CampaignState.SENDING, "planned_count": 5, "mailable_count": 4}
    now = clock.now()
    Campaign.objects.filter(pk=draft.pk).update(**fields, planned_at=now, started_at=now - timedelta(minutes=2))
    for relay, state, count in (("relay-1", "accepted", 2), ("relay-2", "rejected", 1), ("", "suppressed", 1)):
        Tally.objects.create(campaign=draft, relay=relay, state=state, count=count)
    draft.refresh_from_db()
    return draft


def test_progress_counts_people(running: Campaign, alice: Persona) -> None:
    page = alice.client.get(reverse("campaign_progress", args=[running.uid])).content.decode()
    assert "75%" in page
    assert "3 of 4 done" in page
    assert "1 was left out" in page


def test_progress_asks_again_only_for_the_part_that_changes(running: Campaign, alice: Persona) -> None:
    answer = alice.client.get(reverse("campaign_progress", args=[running.uid]), headers={"HX-Request": "true"})
    assert answer.content.decode().startswith('<div id="progress"')
    Campaign.objects.filter(pk=running.pk).update(state=CampaignState.SENT)
    answer = alice.client.get(reverse("campaign_progress", args=[running.uid]), headers={"HX-Request": "true"})
    assert answer["HX-Refresh"] == "true"


@pytest.mark.parametrize(("seen", "anew"), [("planning", True), ("sending", False)])
def test_progress_loads_the_page_anew_when_the_campaign_moved_on(
    running: Campaign, alice: Persona, seen: str, anew: bool
) -> None:
    """The heading says the state, and only the whole page has it."""
    url = reverse("campaign_progress", args=[running.uid])
    answer = alice.client.get(f"{url}?seen={seen}", headers={"HX-Request": "true"})
    assert answer.has_header("HX-Refresh") is anew


def test_a_scheduled_campaign_shows_no_lanes(running: Campaign, alice: Persona) -> None:
    Campaign.objects.filter(pk=running.pk).update(state=CampaignState.SCHEDULED, scheduled_at=running.started_at)
    page = alice.client.get(reverse("campaign_progress", args=[running.uid])).content.decode()
    assert "It starts by itself" in page
    assert "s-lane" not in page


def test_pause_resume_and_stop(running: Campaign, alice: Persona) -> None:
    for name, state in (("pause", "paused"), ("resume", "sending"), ("stop", "stopped")):
        alice.client.post(reverse(f"campaign_{name}", args=[running.uid]))
        running.refresh_from_db()
        assert running.state == state
    assert running.brakes.filter(lifted_at=None).count() == 0


def test_stopped_is_for_good(running: Campaign, alice: Persona) -> None:
    alice.client.post(reverse("campaign_stop", args=[running.uid]))
    alice.client.post(reverse("campaign_resume", args=[running.uid]))
    running.refresh_from_db()
    assert running.state == CampaignState.STOPPED


def test_a_look_by_staff_is_no_pause(running: Campaign, alice: Persona, moderator: Persona) -> None:
    before = _titles(alice, running)
    moderator.client.get(reverse("admin:campaigns_campaign_change", args=[running.pk]))
    assert AuditEntry.objects.filter(action="campaign.opened_by_staff", subject=f"campaign:{running.uid}").exists()
    assert _titles(alice, running) == before
    alice.client.post(reverse("campaign_pause", args=[running.uid]))
    assert _titles(alice, running)[0] == "Paused"


def _titles(person: Persona, campaign: Campaign) -> list[str]:
    page = person.client.get(reverse("campaign_progress", args=[campaign.uid]))
    return [line["title"] for line in page.context["log"]]


def test_a_brake_of_ours_is_not_lifted_by_the_customer(running: Campaign, alice: Persona) -> None:
    from campaigns import brakes

    alice.client.post(reverse("campaign_pause", args=[running.uid]))
    brakes.set_brake("complaints", "Too many people complained.", campaign=running)
    alice.client.post(reverse("campaign_resume", args=[running.uid]))
    running.refresh_from_db()
    assert running.state == CampaignState.PAUSED
    assert running.brakes.filter(lifted_at=None).count() == 2


def test_a_late_start_waits_for_the_customer(running: Campaign, alice: Persona) -> None:
    from campaigns import brakes

    brakes.set_brake("late", "The planned time passed hours ago.", campaign=running)
    page = alice.client.get(reverse("campaign_progress", args=[running.uid])).content.decode()
    assert "Go on" in page
    alice.client.post(reverse("campaign_resume", args=[running.uid]))
    running.refresh_from_db()
    assert running.state == CampaignState.SENDING
    assert running.brakes.filter(lifted_at=None).count() == 0


def test_an_old_page_cannot_send_a_changed_draft(draft: Campaign, alice: Persona) -> None:
    values = ordered(draft)
    alice.client.post(reverse("campaign_edit", args=[draft.uid]), typed(draft, subject="Other words"))
    answer = alice.client.post(reverse("campaign_review", args=[draft.uid]), values, follow=True)
    assert "This draft changed" in answer.content.decode()
    draft.refresh_from_db()
    assert draft.state == CampaignState.DRAFT


def test_a_scheduled_campaign_goes_back_to_draft(draft: Campaign, alice: Persona) -> None:
    Campaign.objects.filter(pk=draft.pk).update(
        state=CampaignState.SCHEDULED, scheduled_at=clock.now() + timedelta(days=1)
    )
    alice.client.post(reverse("campaign_pause", args=[draft.uid]))
    draft.refresh_from_db()
    assert (draft.state, draft.version) == (CampaignState.DRAFT, 2)


# ---------- report


def test_the_report_counts_what_came_back(running: Campaign, alice: Persona) -> None:
    Campaign.objects.filter(pk=running.pk).update(state=CampaignState.SENT, finished_at=clock.now())
    link = Link.objects.create(campaign=running, number=1, url="https://larkfield.example/open-day")
    ClickCount.objects.create(
        link=link, hour=running.started_at.replace(minute=0, second=0, microsecond=0), clicks=5, automated=2
    )
    for number, kind in enumerate(("bounced", "unsubscribed", "complained")):
        Event.objects.create(
            kind=kind,
            at=clock.now(),
            organization=running.organization,
            campaign_id=running.pk,
            delivery_id=number,
            source="dsn",
            dedupe=f"{number}",
            bounce_class="hard_recipient" if kind == "bounced" else "",
        )
    page = alice.client.get(reverse("campaign_report", args=[running.uid])).content.decode()
    assert "3 sent, 2 accepted, 1 not bounced, 5 clicks" in page
    assert "larkfield.example/open-day" in page
    assert "No such mailbox, taken off" in page
    assert "2 that look like a machine" in page
    file = alice.client.get(reverse("campaign_report", args=[running.uid]), {"as": "csv"}).content.decode()
    assert "total,clicks,5" in file
    assert "link,https://larkfield.example/open-day,5" in file


def test_a_draft_has_no_report(draft: Campaign, alice: Persona) -> None:
    answer = alice.client.get(reverse("campaign_report", args=[draft.uid]))
    assert answer["Location"] == reverse("campaign_progress", args=[draft.uid])
