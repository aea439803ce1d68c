"""Consent step, sources, sign-up with its questions, do-not-mail and a person in a real browser: axe, widths, looks."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.urls import reverse

from accounts.models import Organization
from compliance import brought_along, signups
from compliance.imports import lifecycle
from compliance.models import Contact, ContactList, ImportState, SavedPage, SignupForm
from compliance.tests.helpers import ANSWERS, csv_of, mapped, people
from compliance.tests.test_signups import link, solved
from sendserver.lib import clock
from sendserver.testing.browser import LOOKS, Look, sign_in
from sendserver.testing.personas import Persona

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _aside(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def check(look: Look, name: str) -> None:
    for details in look.page.locator("main details").all():
        details.evaluate("one => one.open = true")
    look.picture(f"statement-{name}")
    assert look.findings() == [], name
    assert look.overflow() == 0, name
    assert look.complaints == [], name


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_the_pages_of_a_statement(look: Look, larkfield: Organization, alice: Persona, live_server: Any) -> None:
    job = mapped(larkfield, alice.user, csv_of(people(12)))
    kept = {
        **ANSWERS,
        "source": "previous_tool",
        "background": {"minors": "no", "before_tool": "Mailtool", "before_why": "Too dear", "optouts": "yes"},
        "optouts": [brought_along.bring(larkfield, [b"a@reader.example\nb@x\n"], actor=alice.user).to_json()],
    }
    lifecycle.move(job, ImportState.ANSWERED, actor=alice.user, answers=kept)
    SavedPage.objects.create(
        organization=larkfield,
        import_uid=job.uid,
        url=kept["page_url"],
        at=clock.now(),
        problem="The page answered with 404.",
    )
    sign_in(look, live_server.url, alice.client)
    consent = live_server.url + reverse("upload_consent", args=[job.uid])
    look.go(consent)
    check(look, "consent")
    look.page.fill("#id_signer_name", "Somebody Else")
    look.page.get_by_role("button", name="Save and check answers").click()
    look.page.wait_for_selector("#id_name_is_mine")
    check(look, "other-name")
    look.page.check("#id_name_is_mine")
    for code in ("agreed", "not_bought", "proof"):
        look.page.check(f"#id_statement_{code}")
    look.page.get_by_role("button", name="Save and check answers").click()
    look.page.wait_for_selector("text=Check your answers")
    check(look, "check")
    for name in ("upload_sources", "do_not_mail"):
        look.go(live_server.url + reverse(name, args=[job.uid] if name == "upload_sources" else []))
        check(look, name)


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_the_pages_of_a_sign_up(look: Look, larkfield: Organization, alice: Persona, live_server: Any) -> None:
    found = ContactList.objects.create(organization=larkfield, name="Tips")
    form = SignupForm.objects.create(
        organization=larkfield,
        contact_list=found,
        title="Planting tips",
        wording="Yes, send me tips once a month. I can stop at any time.",
        asks_names=True,
        asks_tracking=True,
    )
    look.go(live_server.url + reverse("signup", args=[form.uid]))
    check(look, "signup")
    asked = signups.Asked("ada@reader.example", "192.0.2.0/24", *solved(form), first_name="Ada", may_count=True)
    signups.ask(form, asked)
    assert len(mail.outbox) == 1
    look.go(live_server.url + link())
    check(look, "confirm")
    look.page.get_by_role("button", name="Yes, I want this").click()
    look.page.wait_for_selector("text=You are on the list")
    sign_in(look, live_server.url, alice.client)
    look.go(live_server.url + reverse("signup_form", args=[found.uid]))
    check(look, "signup-form")
    look.go(live_server.url + reverse("contact_detail", args=[Contact.objects.get().uid]))
    check(look, "person")
