"""Pages of campaigns: each works, and refuses whom and what it must."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Organization
from campaigns import compose
from campaigns.models import Campaign, CampaignState, ClickCount, Event, Link, Tally
from campaigns.tests.world import World, add_person, make_draft, make_world
from compliance import policy
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
GET_PAGES = ("campaign_edit", "campaign_preview", "campaign_checks", "campaign_review")
ATTACKS = ("Hi\r\nBcc: x@y.example", "Hi\nthere", "Hi\x00", "Hi\u2028there", "Hi\x85", "Hi\u202ethere")
POST_ONLY = ("campaign_test", "campaign_pause", "campaign_resume", "campaign_stop", "campaign_copy")


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


# ---------- access


@pytest.mark.parametrize("name", [*GET_PAGES, *POST_ONLY, "campaign_progress", "campaign_report"])
def test_a_stranger_finds_nothing(name: str, draft: Campaign, mallory: Persona) -> None:
    url = reverse(name, args=[draft.uid])
    answer = mallory.client.post(url) if name in POST_ONLY else mallory.client.get(url)
    assert answer.status_code == 404


@pytest.mark.parametrize("name", [*GET_PAGES, "campaign_progress"])
def test_a_visitor_is_sent_to_sign_in(name: str, draft: Campaign) -> None:
    answer = Client().get(reverse(name, args=[draft.uid]))
    assert answer.status_code == 302
    assert "/login" in answer["Location"]


@pytest.mark.parametrize("name", POST_ONLY)
def test_changes_are_post_only(name: str, draft: Campaign, alice: Persona) -> None:
    assert alice.client.get(reverse(name, args=[draft.uid])).status_code == 405


@pytest.mark.parametrize("name", [*POST_ONLY, "campaign_edit", "campaign_review"])
def test_a_viewer_may_look_only(name: str, draft: Campaign, victor: Persona) -> None:
    assert victor.client.post(reverse(name, args=[draft.uid])).status_code == 403


def test_an_editor_writes_but_does_not_send(draft: Campaign, eve: Persona) -> None:
    url = reverse("campaign_edit", args=[draft.uid])
    assert eve.client.post(url, typed(draft, subject="By Eve")).status_code == 302
    assert eve.client.post(reverse("campaign_review", args=[draft.uid]), ordered(draft)).status_code == 403
    draft.refresh_from_db()
    assert (draft.subject, draft.state) == ("By Eve", CampaignState.DRAFT)


# ---------- list, new, copy


def test_the_list_shows_own_campaigns_only(
    draft: Campaign, hollin: Organization, alice: Persona, mallory: Persona
) -> None:
    compose.new_draft(hollin, name="Secret glaze", actor=mallory.user)
    page = alice.client.get(reverse("campaigns")).content.decode()
    assert "Open day" in page
    assert "Secret glaze" not in page


def test_the_list_asks_the_database_as_often_for_three_as_for_one(
    world: World, draft: Campaign, alice: Persona, django_assert_num_queries
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    alice.client.get(reverse("campaigns"))
    with CaptureQueriesContext(
        connection,
    ) as one:
        alice.client.get(reverse("campaigns"))
    make_draft(world, alice.user)
    make_draft(world, alice.user)
    with django_assert_num_queries(len(one)):
        alice.client.get(reverse("campaigns"))


def test_a_new_campaign_is_not_blank(world: World, alice: Persona) -> None:
    answer = alice.client.post(reverse("campaign_new"), {"name": "Spring letter"})
    made = Campaign.objects.get(name="Spring letter")
    assert answer["Location"] == reverse("campaign_edit", args=[made.uid])
    assert made.body
    assert list(made.lists.all()) == [world.contact_list]
    assert made.from_address == world.from_address


def test_a_new_campaign_needs_a_name(world: World, alice: Persona) -> None:
    answer = alice.client.post(reverse("campaign_new"), {"name": " "})
    assert answer.status_code == 422
    assert not Campaign.objects.exists()


def test_a_copy_has_the_words_and_none_of_the_sending(draft: Campaign, alice: Persona) -> None:
    Campaign.objects.filter(pk=draft.pk).update(state=CampaignState.SENT, send_key=uuid.uuid4(), planned_count=3)
    alice.client.post(reverse("campaign_copy", args=[draft.uid]))
    copied = Campaign.objects.get(copied_from=draft)
    assert (copied.subject, copied.state, copied.send_key, copied.planned_count) == (draft.subject, "draft", None, 0)
    assert list(copied.lists.all()) == list(draft.lists.all())


# ---------- editor


def test_the_editor_shows_draft_checks_and_people(draft: Campaign, alice: Persona) -> None:
    page = alice.client.get(reverse("campaign_edit", args=[draft.uid])).content.decode()
    assert "Come and dig on 14 November" in page
    assert "3 will get it; 0 are left out" in page
    assert "person0@reader.example" in page
    assert "sandbox" in page
    assert "<style" not in page
    assert 'style="' not in page


def test_saving_raises_the_version(draft: Campaign, alice: Persona) -> None:
    answer = alice.client.post(reverse("campaign_edit", args=[draft.uid]), typed(draft, subject="New words"))
    assert answer.status_code == 302
    draft.refresh_from_db()
    assert (draft.subject, draft.version) == ("New words", 2)


def test_autosave_answers_with_the_new_version(draft: Campaign, alice: Persona) -> None:
    url = reverse("campaign_edit", args=[draft.uid])
    answer = alice.client.post(url, typed(draft, subject="New words"), headers={"HX-Request": "true"})
    assert answer["HX-Trigger"] == "draft-saved"
    assert 'name="version" value="2"' in answer.content.decode()


def test_an_old_window_loses_nothing_and_overwrites_nothing(draft: Campaign, alice: Persona, eve: Persona) -> None:
    url = reverse("campaign_edit", args=[draft.uid])
    eve.client.post(url, typed(draft, subject="Eve was first"))
    answer = alice.client.post(url, typed(draft, subject="Alice was second"))
    assert answer.status_code == 422
    assert "saved in another window" in answer.content.decode()
    assert "Alice was second" in answer.content.decode()
    draft.refresh_from_db()
    assert draft.subject == "Eve was first"


@pytest.mark.parametrize("field", ["subject", "preheader", "name"])
@pytest.mark.parametrize(
    "attack", ["Hi\r\nBcc: x@y.example", "Hi\nthere", "Hi\x00", "Hi\u2028there", "Hi\x85", "Hi\u202ethere"]
)
def test_a_header_cannot_be_slipped_in(draft: Campaign, alice: Persona, field: str, attack: str) -> None:
    answer = alice.client.post(reverse("campaign_edit", args=[draft.uid]), typed(draft, **{field: attack}))
    assert answer.status_code == 422
    draft.refresh_from_db()
    assert draft.version == 1


def test_lists_and_addresses_of_others_cannot_be_chosen(draft: Campaign, hollin: Organization, alice: Persona) -> None:
    other = make_world(hollin)
    url = reverse("campaign_edit", args=[draft.uid])
    assert alice.client.post(url, typed(draft, lists=[other.contact_list.pk])).status_code == 422
    assert alice.client.post(url, typed(draft, from_address=other.from_address.pk)).status_code == 422


def test_the_fix_button_gives_words_to_use(draft: Campaign, alice: Persona) -> None:
    body = "Dear {{ first_name }}, welcome."
    alice.client.post(reverse("campaign_edit", args=[draft.uid]), typed(draft, body=body, fix="first_name"))
    draft.refresh_from_db()
    assert draft.body == 'Dear {{ first_name | default: "there" }}, welcome.'


def test_what_was_sent_is_no_longer_edited(draft: Campaign, alice: Persona) -> None:
    Campaign.objects.filter(pk=draft.pk).update(state=CampaignState.SENDING)
    answer = alice.client.post(reverse("campaign_edit", args=[draft.uid]), typed(draft, subject="Too late"))
    assert answer.status_code == 302
    draft.refresh_from_db()
    assert draft.subject != "Too late"


def test_the_checks_panel_names_what_to_fix(draft: Campaign, alice: Persona) -> None:
    Campaign.objects.filter(pk=draft.pk).update(subject="Re: hello")
    page = alice.client.get(reverse("campaign_checks", args=[draft.uid])).content.decode()
    assert "1 to fix" in page
    assert "Remove “Re:”" in page


# ---------- preview


def test_the_preview_is_fenced_in(draft: Campaign, alice: Persona) -> None:
    answer = alice.client.get(reverse("campaign_preview", args=[draft.uid]))
    assert "Hello Name" in answer.content.decode()
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "script" not in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "SAMEORIGIN"


def test_the_preview_shows_the_chosen_contact_escaped(world: World, draft: Campaign, alice: Persona) -> None:
    evil = add_person(world, "evil@reader.example", first_name="<script>alert(1)</script>{{ email }}")
    page = alice.client.get(reverse("campaign_preview", args=[draft.uid]), {"contact": str(evil.uid)}).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ email }}" in page
    assert "<script" not in page


def test_the_preview_of_text_is_plain(draft: Campaign, alice: Persona) -> None:
    answer = alice.client.get(reverse("campaign_preview", args=[draft.uid]), {"as": "text"})
    assert answer["Content-Type"].startswith("text/plain")
    assert "Unsubscribe: " in answer.content.decode()


@pytest.mark.parametrize("contact", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_the_preview_knows_own_contacts_only(draft: Campaign, alice: Persona, contact: str) -> None:
    url = reverse("campaign_preview", args=[draft.uid])
    assert alice.client.get(url, {"contact": contact}).status_code == 404


def test_a_broken_text_gives_a_sentence_and_no_error(draft: Campaign, alice: Persona) -> None:
    Campaign.objects.filter(pk=draft.pk).update(body="{% for x in y %}")
    page = alice.client.get(reverse("campaign_preview", args=[draft.uid]))
    assert page.status_code == 200
    assert "No preview yet" in page.content.decode()
    assert alice.client.get(reverse("campaign_edit", args=[draft.uid])).status_code == 200


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
