"""Counting opens and clicks is asked by a box of its own: empty, recorded apart, confirmed by the mail's link too."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.models import Organization
from compliance import consent_events, people, signups, tracking_consent
from compliance.errors import SignatureRefusedError
from compliance.imports import columns, undo
from compliance.models import ConsentEvent, Contact, ImportJob, Signup, SignupForm
from compliance.signups import Asked
from compliance.tests.helpers import csv_of, finished
from compliance.tests.test_signups import _mail, form, link, post, solved
from sendserver.lib import clock
from sendserver.lib.addresses import parse
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
__all__ = ["_mail", "form"]  # (fixtures)
Kind = ConsentEvent.Kind
# Anybody who edits published words breaks this line; a new version is a new entry.
FINGERPRINTS = {"TRK-EN-1.0": "a9c35f3d75d941360f36b31790fc610808d8d7b4ad672d1e202f2e36855d3038"}
WORDS = "Larkfield Garden Co. may see which of its messages I open"


@pytest.fixture
def asking(form: SignupForm) -> SignupForm:
    """Return a form that asks for names and counting."""
    form.asks_names = form.asks_tracking = True
    form.save()
    return form


def kinds() -> list[str]:
    return list(ConsentEvent.objects.order_by("pk").values_list("kind", flat=True))


def test_published_words_never_change() -> None:
    assert {one.version: one.sha256 for one in tracking_consent.VERSIONS.values()} == FINGERPRINTS


def test_the_box_is_empty_and_the_names_may_stay_so(client: Client, asking: SignupForm) -> None:
    page = client.get(reverse("signup", args=[asking.uid])).content.decode()
    box = re.search(r'<input type="checkbox" name="tracking"[^>]*>', page)
    assert box is not None
    assert "checked" not in box[0]
    assert WORDS in page
    assert "required" not in re.search(r'<input[^>]*id="first_name"[^>]*>', page)[0]  # type: ignore[index]
    post(client, asking, email="ada@reader.example")
    client.post(link())
    contact = Contact.objects.get()
    assert (contact.first_name, contact.last_name, contact.tracking_consent_at) == ("", "", None)
    assert kinds() == [Kind.REQUESTED, Kind.CONFIRMED]


def test_both_yeses_stand_apart(client: Client, asking: SignupForm, alice: Persona) -> None:
    post(client, asking, email="ada@reader.example", tracking="yes", first_name="Ada", last_name="Field")
    assert WORDS in mail.outbox[0].body
    assert not Contact.objects.exists()  # a tick alone is nobody's yes
    assert "You also ticked" in client.get(link()).content.decode()
    client.post(link())
    contact = Contact.objects.get()
    assert (contact.first_name, contact.last_name) == ("Ada", "Field")
    assert contact.tracking_consent_at is not None
    assert kinds() == [Kind.REQUESTED, Kind.CONFIRMED, Kind.TRACKING_GIVEN]
    given = ConsentEvent.objects.get(kind=Kind.TRACKING_GIVEN)
    part, asked = consent_events.person_of(given), ConsentEvent.objects.order_by("pk")[0]
    assert part is not None
    assert WORDS in part.wording
    assert "TRK-EN-1.0" in part.wording
    assert bytes(given.wording_sha256) != bytes(asked.wording_sha256)
    page = alice.client.get(reverse("contact_detail", args=[contact.uid])).content.decode()
    assert "Agreed on" in page
    assert WORDS in page


def test_the_link_can_be_pressed_without_it(client: Client, asking: SignupForm, alice: Persona) -> None:
    post(client, asking, email="ada@reader.example", tracking="yes")
    client.post(link(), {"counting": "no"})
    contact = Contact.objects.get()
    assert contact.tracking_consent_at is None
    assert Kind.TRACKING_GIVEN not in kinds()
    page = alice.client.get(reverse("contact_detail", args=[contact.uid])).content.decode()
    assert "Nothing is counted for this person." in page


def test_a_form_that_does_not_ask_takes_neither(client: Client, form: SignupForm) -> None:
    page = client.get(reverse("signup", args=[form.uid])).content.decode()
    assert 'name="tracking"' not in page
    assert 'name="first_name"' not in page
    post(client, form, email="ada@reader.example", tracking="yes", first_name="Ada")
    row = Signup.objects.get()
    assert (row.first_name, row.tracking_wording) == ("", "")
    client.post(link())
    assert Contact.objects.get().tracking_consent_at is None


def test_names_are_one_plain_line_and_do_not_overwrite(client: Client, asking: SignupForm) -> None:
    typed = "Ada\r\nBcc: x@y.example\u202e" + "x" * 300
    post(client, asking, email="ada@reader.example", first_name=typed)
    row = Signup.objects.get()
    assert row.first_name.startswith("AdaBcc: x@y.example")
    assert len(row.first_name) == 120
    assert row.first_name.isprintable()
    client.post(link())
    Contact.objects.update(first_name="Ada")
    signups.ask(asking, Asked("ben@reader.example", "192.0.2.0/24", *solved(asking), first_name="Ben"))
    client.post(link())
    again = Signup.objects.get(address="ada@reader.example")
    Signup.objects.filter(pk=again.pk).update(confirmed_at=None, first_name="Somebody")
    again.refresh_from_db()
    signups.confirm(again, network="192.0.2.0/24")
    assert set(Contact.objects.values_list("first_name", flat=True)) == {"Ada", "Ben"}


def test_a_later_sign_up_without_the_tick_changes_nothing(client: Client, asking: SignupForm) -> None:
    post(client, asking, email="ada@reader.example", tracking="yes")
    client.post(link())
    before = Contact.objects.get().tracking_consent_at
    row = Signup.objects.get()
    Signup.objects.update(confirmed_at=None, tracking_wording="")
    row.refresh_from_db()
    signups.confirm(row, network="192.0.2.0/24")
    assert Contact.objects.get().tracking_consent_at == before


def test_what_was_typed_stays_on_the_page_with_an_error(client: Client, asking: SignupForm) -> None:
    page = post(client, asking, email="nobody", tracking="yes", first_name='A"<b>').content.decode()
    assert 'value="A&quot;&lt;b&gt;"' in page
    assert re.search(r'name="tracking" value="yes" checked', page)


def test_another_address_of_the_same_person_has_not_agreed(
    client: Client, asking: SignupForm, alice: Persona, larkfield: Organization
) -> None:
    post(client, asking, email="ada@reader.example", tracking="yes")
    client.post(link())
    contact = Contact.objects.get()
    people.correct(contact, people.Person("ben@reader.example"), actor=alice.user)
    assert Contact.objects.get().tracking_consent_at is None


def test_the_customer_switches_both_questions_on(larkfield: Organization, alice: Persona, form: Any) -> None:
    url = reverse("signup_form", args=[form.contact_list.uid])
    sent = {"title": "Tips", "wording": "Once a month.", "is_open": "on", "asks_names": "on", "asks_tracking": "on"}
    assert alice.client.post(url, sent).status_code == 302
    form.refresh_from_db()
    assert (form.asks_names, form.asks_tracking) == (True, True)


# --- A column of an upload

PLAN = {
    "targets": {"0": "email", "1": "consent_at", "2": "country", "3": "tracking_at"},
    "date_order": "dmy",
    "has_header": True,
}
DETAILS = {"tracking_asked": "yes", "tracking_wording": "You may see what I open."}
ROWS = [
    ("ada@reader.example", "2026-10-01", "GB", "2026-10-02"),
    ("ben@reader.example", "2026-10-01", "GB", ""),
    ("cleo@reader.example", "2026-10-01", "GB", "no idea"),
    ("dora@reader.example", "2026-10-01", "GB", "2031-01-01"),
]


BEN = [("ben@reader.example", "2026-11-01", "GB", "2026-01-02")]


def read(larkfield: Organization, alice: Persona, rows: Any = ROWS, **more: Any) -> ImportJob:
    answers = {"details": more.pop("details", DETAILS)}
    data = csv_of(rows, "email,signed up,country,tracking consent")
    return finished(larkfield, alice.user, data, plan=PLAN, answers=answers, **more)


def agreed() -> dict[str, str]:
    rows = Contact.objects.exclude(tracking_consent_at=None)
    return {row.address: f"{row.tracking_consent_at:%Y-%m-%d}" for row in rows}


@pytest.fixture
def files(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path


def test_a_column_is_taken_where_the_statement_covers_it(larkfield: Organization, alice: Persona, files: None) -> None:
    job = read(larkfield, alice)
    assert agreed() == {"ada@reader.example": "2026-10-02"}
    assert Contact.objects.count() == 4  # a date that cannot be read is no yes, and no reason to leave somebody out
    ada = Contact.objects.get(address="ada@reader.example")
    page = alice.client.get(reverse("contact_detail", args=[ada.uid])).content.decode()
    assert "You may see what I open." in page
    proof = alice.client.get(reverse("contact_proof", args=[ada.uid])).content.decode()
    assert "You may see what I open." in proof
    ben = Contact.objects.get(address="ben@reader.example")
    assert "not agreed, not counted" in alice.client.get(reverse("contact_proof", args=[ben.uid])).content.decode()
    assert undo.undo(job, actor=alice.user)
    assert not Contact.objects.exists()


@pytest.mark.parametrize("details", [{}, {**DETAILS, "tracking_asked": "no"}, {**DETAILS, "tracking_wording": ""}])
def test_without_words_for_it_nothing_is_signed(
    larkfield: Organization, alice: Persona, files: None, details: dict[str, str]
) -> None:
    with pytest.raises(SignatureRefusedError, match="counting opens and clicks"):
        read(larkfield, alice, details=details)


def test_who_took_it_back_is_not_brought_back_by_a_file(larkfield: Organization, alice: Persona, files: None) -> None:
    contact = people.get_or_create(larkfield, parse("ADA@reader.example"), people.Person("x"))  # type: ignore[arg-type]
    step = consent_events.Step(Kind.TRACKING_WITHDRAWN, clock.now())
    consent_events.record(contact, step)
    people.delete(contact)
    read(larkfield, alice)
    assert agreed() == {}


def test_the_own_yes_outlives_the_undo_of_an_upload(larkfield: Organization, alice: Persona, files: None) -> None:
    first = read(larkfield, alice, [("ben@reader.example", "2026-10-01", "GB", "")])
    ben = Contact.objects.get()
    tracking_consent.give(ben, at=clock.now(), around=consent_events.Circumstances(wording="x"))
    own = agreed()
    second = read(larkfield, alice, BEN, contact_list=first.contact_list)
    assert agreed() == own
    undo.undo(second, actor=alice.user)
    assert agreed() == own


def test_undo_takes_the_upload_s_yes_away_again(larkfield: Organization, alice: Persona, files: None) -> None:
    first = read(larkfield, alice, [("ben@reader.example", "2026-10-01", "GB", "")])
    second = read(larkfield, alice, BEN, contact_list=first.contact_list)
    assert agreed() == {"ben@reader.example": "2026-01-02"}
    undo.undo(second, actor=alice.user)
    assert (agreed(), Contact.objects.count()) == ({}, 1)


def test_the_column_is_proposed_by_its_name() -> None:
    found = columns.propose(["E-mail", "Tracking consent date"], [["a@b.example", "2026-01-01"]])
    assert found.targets == {0: "email", 1: "tracking_at"}
