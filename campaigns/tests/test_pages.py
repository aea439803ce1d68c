"""Pages of campaigns: each works, and refuses whom and what it must."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Organization
from campaigns import compose
from campaigns.models import Campaign, CampaignState
from campaigns.tests.world import World, add_person, make_draft, make_world
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
