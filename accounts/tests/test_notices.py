"""Who hears of what, and the form of our letters."""

from __future__ import annotations

import pytest
from django.core import mail
from pytest_django import Settings as SettingsWrapper

from accounts import digest, notices, people
from accounts.models import FromAddress, Membership, Organization, SendingDomain, Verification
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _outbox(settings: SettingsWrapper) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def test_everybody_who_wants_it_owners_first(larkfield: Organization, eve: Persona, alice: Persona) -> None:
    """Of the kind that was asked for."""
    Membership.objects.filter(user=eve.user).update(notify_digest=False)
    assert people.members_to_notify(larkfield, urgent=True) == [alice.user, eve.user]
    assert people.members_to_notify(larkfield, urgent=False) == [alice.user]


def test_an_owner_always_hears_what_is_urgent(larkfield: Organization, alice: Persona, eve: Persona) -> None:
    """Even with every box unticked; people who are switched off never do."""
    Membership.objects.update(notify_urgent=False)
    assert people.members_to_notify(larkfield, urgent=True) == [alice.user]
    alice.user.is_active = False
    alice.user.save()
    assert people.members_to_notify(larkfield, urgent=True) == []


def test_a_letter_is_plain_text_first(alice: Persona, larkfield: Organization) -> None:
    """HTML of the same words, marked as sent by a machine, answers reach a person, one letter a person."""
    context = {"organization": larkfield, "lines": ["A & B"]}
    assert (
        notices.send_notice(
            [alice.user, "x@else.example"], subject="Two\r\nlines", template="emails/digest.txt", context=context
        )
        == 2
    )
    first, second = mail.outbox
    assert (first.to, second.to) == (["alice@larkfield.example"], ["x@else.example"])
    assert first.subject == "Two lines"
    assert first.reply_to == ["help@sendserver.example"]
    raw = first.message()
    assert raw["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in raw.walk()][1:] == ["text/plain", "text/html"]
    text, html = (part.get_payload(decode=True).decode() for part in raw.walk() if not part.is_multipart())
    assert "- A & B" in text
    assert "- A &amp; B" in html
    assert "<img" not in html


def test_one_summary_a_day(alice: Persona, larkfield: Organization) -> None:
    """What waits, once; nothing when nothing waits."""
    assert digest.send_all() == 0
    domain = SendingDomain.objects.create(
        organization=larkfield, name="larkfield.example", challenge="x", checked_at=clock.now()
    )
    FromAddress.objects.create(organization=larkfield, domain=domain, display_name="L", local_part="news")
    Verification.objects.create(organization=larkfield, state="questions")
    assert [digest.send_all(), digest.send_all()] == [1, 0]
    letter = mail.outbox[0]
    assert letter.subject == "Larkfield Garden Co.: 3 things to do"
    assert "Records of larkfield.example are missing or different." in str(letter.body)
    assert "answers to news@larkfield.example are read" in str(letter.body)
