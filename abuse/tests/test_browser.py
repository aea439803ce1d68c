"""Pages of the desk in a real browser: a year of public figures, an appeal with files, a case to hand over."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from pytest_django import Settings as SettingsWrapper

from abuse import appeals, cases, transparency
from abuse.models import DecisionKind, MonthFigures
from abuse.tests import make
from abuse.tests.test_moderation import decide
from accounts.models import Organization
from sendserver.lib import clock
from sendserver.testing.browser import LOOKS, Look, sign_in
from sendserver.testing.personas import Persona

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def check(look: Look, name: str, url: str) -> None:
    """Open a page, take its picture, and expect nothing wrong."""
    assert look.go(url) == 200, url
    look.picture(name)
    assert look.findings() == [], url
    assert look.overflow() == 0, url
    assert look.complaints == [], url


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_a_year_of_public_figures(look: Look, live_server: Any, settings: SettingsWrapper, db: None) -> None:
    settings.REQUIRE_SECOND_PERSON = False
    for number in range(13):
        month = date(2025 + number // 12, number % 12 + 1, 1)
        counts = {key: 10**number % 99_991 for key, _, _ in transparency.ROWS} | {"decide_s": 86_400.0 * number}
        MonthFigures.objects.create(month=month, counts=counts | {"second_person": False}, counted_at=clock.now())
    check(look, "transparency", f"{live_server.url}/transparency/")


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_an_appeal_with_a_file_and_a_case_to_hand_over(
    look: Look, live_server: Any, larkfield: Organization, alice: Persona, settings: SettingsWrapper, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT, settings.EMAIL_BACKEND = tmp_path, "django.core.mail.backends.locmem.EmailBackend"
    ruth, _ = make.staff("Ruth"), make.staff("Tomas")
    decision = decide(make.case_of(larkfield), ruth.user, DecisionKind.WARN)
    sign_in(look, live_server.url, alice.client)
    check(look, "standing-appeal", live_server.url + reverse("standing"))
    made = appeals.make(decision, user=alice.user, ground="facts", text="See it.", files=[("form.txt", b"12:00 yes")])
    check(look, "standing-appeal-made", live_server.url + reverse("standing"))
    held = make.case_of(larkfield)
    cases.claim(held, ruth.user)
    sign_in(look, live_server.url, ruth.client)
    check(look, "staff-appeal-files", live_server.url + reverse("admin:abuse_appeal_change", args=[made.pk]))
    assert look.go(live_server.url + reverse("admin:abuse_case_change", args=[held.pk])) == 200
    look.page.get_by_text("Hand to a colleague").click()
    look.picture("staff-case-hand")
    assert look.findings() == []
    assert look.overflow() == 0
