"""The sign-up page in a real browser: with JavaScript it does its work, without it takes the slower path."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser

from accounts.models import Organization
from compliance.models import ContactList, Signup, SignupForm

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("script", [True, False])
def test_signing_up(script: bool, chromium: Browser, live_server: Any, larkfield: Organization, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    found = ContactList.objects.create(organization=larkfield, name="Tips")
    form = SignupForm.objects.create(organization=larkfield, contact_list=found, title="Tips", wording="Once a month.")
    context = chromium.new_context(java_script_enabled=script)
    page = context.new_page()
    page.goto(live_server.url + reverse("signup", args=[form.uid]))
    page.fill("#email", "ada@reader.example")
    page.click("main button.btn-primary")
    page.wait_for_selector("text=Look into your mailbox")
    context.close()
    assert Signup.objects.get().worked is script
