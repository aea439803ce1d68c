"""A test to oneself from the editor, and the counting of clicks."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts.domains import ensure_keys
from accounts.models import Organization, SendingDomain, Standing
from campaigns import tracking
from campaigns.models import Campaign, ClickCount, Link, SystemMail
from campaigns.tests.world import make_draft, make_world
from compliance import policy
from sendserver.lib import clock, tokens
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(larkfield: Organization, alice: Persona) -> Campaign:
    made = make_draft(make_world(larkfield), alice.user, body="Dear {{ first_name }}, hello.")
    ensure_keys(made.from_address.domain)
    return made


def send(persona: Persona, draft: Campaign) -> str:
    answer = persona.client.post(reverse("campaign_test", args=[draft.uid]), follow=True)
    return answer.content.decode()


def test_it_goes_to_the_own_address_before_verification(draft: Campaign, alice: Persona) -> None:
    Organization.objects.update(standing=Standing.UNVERIFIED)
    assert "A test is on its way to alice@larkfield.example" in send(alice, draft)
    queued = SystemMail.objects.get()
    assert queued.recipient == "alice@larkfield.example"
    assert b"Subject: [Test] Come and dig" in bytes(queued.message)


@pytest.mark.parametrize("standing", [Standing.SUSPENDED, Standing.BLOCKED])
def test_a_stopped_organization_sends_no_tests(draft: Campaign, alice: Persona, standing: str) -> None:
    Organization.objects.update(standing=standing)
    assert "Nothing leaves while sending is stopped" in send(alice, draft)
    assert not SystemMail.objects.exists()


def test_nothing_leaves_in_the_name_of_a_domain_that_is_not_proven(draft: Campaign, alice: Persona) -> None:
    SendingDomain.objects.update(verified_at=None)
    assert "is yours" in send(alice, draft)
    assert not SystemMail.objects.exists()


def test_there_is_a_limit_an_hour(draft: Campaign, alice: Persona, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "TEST_SENDS_PER_H", 2)
    send(alice, draft)
    send(alice, draft)
    assert "Wait a little" in send(alice, draft)
    assert SystemMail.objects.count() == 2


def test_a_broken_text_is_not_sent(draft: Campaign, alice: Persona) -> None:
    Campaign.objects.update(body="{% for %}")
    assert "Not sent." in send(alice, draft)
    assert SystemMail.objects.count() == 0


def test_links_are_found_by_token_and_number_only(draft: Campaign) -> None:
    link = Link.objects.create(campaign=draft, number=1, url="https://larkfield.example/a")
    url = tracking.click_url(draft)(1)
    token = url.split("/")[-3]
    assert tracking.find(token, 1) == link
    assert tracking.find(token, 2) is None
    assert tracking.find(token[:-1] + ("a" if token[-1] != "a" else "b"), 1) is None
    assert tracking.find(tokens.seal(tokens.Purpose.DELIVERY, draft.pk), 1) is None


def test_clicks_are_counted_by_the_hour_and_machines_apart(draft: Campaign) -> None:
    link = Link.objects.create(campaign=draft, number=1, url="https://larkfield.example/a")
    now = clock.now()
    for automated in (False, False, True):
        tracking.count(link, now, automated=automated)
    row = ClickCount.objects.get()
    assert (row.clicks, row.automated, row.hour.minute) == (2, 1, 0)


@pytest.mark.parametrize(
    ("method", "headers", "wanted"),
    [
        ("GET", {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}, False),
        ("HEAD", {"User-Agent": "Mozilla/5.0"}, True),
        ("GET", {}, True),
        ("GET", {"User-Agent": "Mozilla/5.0", "Sec-Purpose": "prefetch"}, True),
        ("GET", {"User-Agent": "Barracuda Sentinel"}, True),
        ("GET", {"User-Agent": "python-requests/2"}, True),
    ],
)
def test_scanners_are_told_from_people(method: str, headers: dict[str, str], wanted: bool) -> None:
    assert tracking.looks_automated(method, headers) is wanted
