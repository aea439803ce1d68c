"""Held campaigns in the staff area: who may answer, what the customer reads, what starts."""

from __future__ import annotations

import uuid

import pytest
from django.core import mail
from django.urls import reverse

from accounts.models import AuditEntry, Organization
from campaigns.approve import Order, approve
from campaigns.models import Campaign, CampaignState
from campaigns.tests.world import make_draft, make_world
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _letters_stay_here(settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def held(larkfield: Organization, alice: Persona) -> Campaign:
    draft = make_draft(make_world(larkfield), alice.user, subject="Last chance for tulips")
    return approve(draft, Order(key=uuid.uuid4(), version=draft.version), actor=alice.user).campaign


def answer(persona: Persona, held: Campaign, **values: str):
    url = reverse("admin:campaigns_campaign_answer", args=[held.pk])
    return persona.client.post(url, {"answer": "release", "reason": "The season does end.", **values})


def test_the_queue_shows_held_campaigns_only(held: Campaign, alice: Persona, moderator: Persona) -> None:
    running = Campaign.objects.create(organization=held.organization, name="Running one", state="sending")
    page = moderator.client.get(reverse("admin:campaigns_campaign_changelist")).content.decode()
    assert held.name in page
    assert running.name not in page


def test_the_page_shows_why_and_what(held: Campaign, moderator: Persona) -> None:
    page = moderator.client.get(reverse("admin:campaigns_campaign_change", args=[held.pk])).content.decode()
    assert "SUBJ-TRUTH" in page
    assert "Last chance for tulips" in page
    assert AuditEntry.objects.filter(action="campaign.opened_by_staff").count() == 1


def test_the_message_is_fenced_in(held: Campaign, moderator: Persona) -> None:
    page = moderator.client.get(reverse("admin:campaigns_campaign_message", args=[held.pk]))
    assert "The potting shed is open" in page.content.decode()
    assert "sandbox" in page["Content-Security-Policy"]


def test_no_picture_tells_a_customer_that_staff_read_the_message(
    larkfield: Organization, alice: Persona, moderator: Persona
) -> None:
    """Nor when somebody asks for pictures: the button is the customer's alone."""
    body = "![Tulips](https://far.example/t.png)"
    draft = make_draft(make_world(larkfield), alice.user, subject="Last chance for tulips", body=body)
    held = approve(draft, Order(key=uuid.uuid4(), version=draft.version), actor=alice.user).campaign
    url = reverse("admin:campaigns_campaign_message", args=[held.pk])
    for answer in (moderator.client.get(url), moderator.client.get(url, {"pictures": "web"})):
        assert "<img" not in answer.content.decode()
        assert "“Tulips” <br>https://far.example/t.png" in answer.content.decode()
        assert "img-src data:;" in answer["Content-Security-Policy"]


def test_release_starts_it_and_writes_a_letter(held: Campaign, moderator: Persona) -> None:
    assert answer(moderator, held).status_code == 302
    held.refresh_from_db()
    assert held.state == CampaignState.PLANNING
    assert [letter.to for letter in mail.outbox] == [["alice@larkfield.example"]]
    assert "The season does end." in mail.outbox[0].body


def test_return_makes_it_a_draft(held: Campaign, moderator: Persona) -> None:
    answer(moderator, held, answer="return", reason="Say when it ends.")
    held.refresh_from_db()
    assert (held.state, held.snapshot) == (CampaignState.DRAFT, None)
    assert "gives it back" in mail.outbox[0].body


@pytest.mark.parametrize("values", [{"reason": " "}, {"answer": "maybe"}])
def test_an_answer_needs_both_parts(held: Campaign, moderator: Persona, values: dict[str, str]) -> None:
    assert answer(moderator, held, **values).status_code == 422
    held.refresh_from_db()
    assert held.state == CampaignState.HELD
    assert mail.outbox == []


def test_the_second_answer_changes_nothing(held: Campaign, moderator: Persona) -> None:
    answer(moderator, held)
    answer(moderator, held, answer="return")
    held.refresh_from_db()
    assert held.state == CampaignState.PLANNING
    assert len(mail.outbox) == 1


def test_a_customer_cannot_answer_itself(held: Campaign, alice: Persona) -> None:
    assert answer(alice, held).status_code == 302  # to the sign-in of staff
    held.refresh_from_db()
    assert held.state == CampaignState.HELD


def test_answers_are_posts(held: Campaign, moderator: Persona) -> None:
    assert moderator.client.get(reverse("admin:campaigns_campaign_answer", args=[held.pk])).status_code == 405
