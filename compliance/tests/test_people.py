"""One person: added, found, corrected, removed; who said stop stays stopped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from compliance import lists, people, suppression
from compliance.errors import PersonRefusedError
from compliance.models import Attestation, Contact, ListMembership
from compliance.people import Permission, Person
from compliance.tests.helpers import csv_of, finished
from compliance.tests.helpers import people as rows
from sendserver.lib.addresses import AddressKey, suppression_hash

YES = Permission("express_soi", datetime(2026, 10, 1, tzinfo=UTC), None, "Garden show")
ADA = Person("Ada@Reader.example", "Ada", "Lind", "GB")


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def readers(larkfield, alice):
    """Return a list with a statement and two people."""
    return finished(larkfield, alice.user, csv_of(rows(2))).contact_list


@pytest.fixture
def empty(larkfield, alice):
    """Return a list without a statement."""
    return lists.create_list(larkfield, "Empty", actor=alice.user)


def add(contact_list, alice, person=ADA, permission=YES):
    return people.add_person(contact_list, person, permission, actor=alice.user)


def test_added_under_the_lists_statement(readers, alice):
    membership = add(readers, alice)
    assert membership.attestation == Attestation.objects.get()
    assert (membership.contact.address, membership.contact.address_key) == ("Ada@reader.example", "ada@reader.example")
    assert lists.mailable_count(readers) == 3
    readers.refresh_from_db()
    assert readers.people_count == 3
    assert AuditEntry.objects.filter(action="contact.added").count() == 1


def test_without_a_statement_nobody_is_mailed(empty, alice):
    add(empty, alice)
    assert lists.reason_counts([empty]) == {empty.pk: {"no_attestation": 1}}


def test_twice_is_refused_and_changes_nothing(readers, alice):
    add(readers, alice)
    with pytest.raises(PersonRefusedError):
        add(readers, alice, Person("ada@READER.example"))
    assert ListMembership.objects.count() == 3


@pytest.mark.parametrize("text", ["", "ada", "a@b", "abuse@reader.example", "ada@gmial.com", "a@b.example\r\nBcc: c"])
def test_addresses_that_are_refused(readers, alice, text):
    with pytest.raises(PersonRefusedError) as refusal:
        add(readers, alice, Person(text))
    assert refusal.value.field == "address"


def test_somebody_who_said_stop_stays_stopped(readers, alice, larkfield):
    suppression.suppress(AddressKey("ada@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    add(readers, alice)
    assert lists.reason_counts([readers])[readers.pk] == {"": 2, "suppressed": 1}


def test_stopped_before_a_key_rotation_stays_stopped_after(readers, alice, larkfield, settings):
    suppression.suppress(AddressKey("ada@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    settings.SUPPRESSION_KEYS = {"k9": b"n" * 32, **settings.SUPPRESSION_KEYS}
    add(readers, alice)
    assert lists.reason_counts([readers])[readers.pk] == {"": 2, "suppressed": 1}


def test_an_upload_after_a_key_rotation_leaves_them_out(larkfield, alice, settings):
    suppression.suppress(AddressKey("person1@reader.example"), organization=larkfield, reason="complaint", source="arf")
    settings.SUPPRESSION_KEYS = {"k9": b"n" * 32, **settings.SUPPRESSION_KEYS}
    job = finished(larkfield, alice.user, csv_of(rows(3)))
    assert (job.added_count, job.suppressed_reasons) == (2, {"complaint": 1})


def test_corrected_address_is_a_new_key(readers, alice):
    contact = add(readers, alice, permission=Permission("express_doi", YES.consent_at, YES.consent_at)).contact
    people.correct(contact, Person("ada.lind@reader.example", "Ada", "Lind", "GB"), actor=alice.user)
    kept = Contact.objects.get(pk=contact.pk)
    assert (kept.address, kept.address_key, kept.domain) == (
        "ada.lind@reader.example",
        "ada.lind@reader.example",
        "reader.example",
    )
    assert bytes(kept.address_hash) == suppression_hash(AddressKey("ada.lind@reader.example"))
    assert kept.memberships.get().confirmed_at is None


@pytest.mark.parametrize(
    ("reason", "follows"),
    [("unsubscribe", True), ("complaint", True), ("objection", True), ("owner", True), ("hard_bounce", False)],
)
def test_what_follows_a_corrected_address(readers, alice, larkfield, reason, follows):
    contact = add(readers, alice).contact
    suppression.suppress(AddressKey("ada@reader.example"), organization=larkfield, reason=reason, source="page")
    people.correct(contact, Person("new@reader.example"), actor=alice.user)
    assert suppression.is_suppressed(larkfield, AddressKey("new@reader.example")) is follows
    assert suppression.is_suppressed(larkfield, AddressKey("ada@reader.example"))


def test_corrected_into_another_persons_address_is_refused(readers, alice):
    contact = add(readers, alice).contact
    with pytest.raises(PersonRefusedError):
        people.correct(contact, Person("person0@reader.example"), actor=alice.user)
    contact.refresh_from_db()
    assert contact.address_key == "ada@reader.example"


def test_removed_with_every_membership_but_not_from_the_do_not_mail_list(readers, empty, alice, larkfield):
    contact = add(readers, alice).contact
    add(empty, alice)
    suppression.suppress(AddressKey("ada@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    people.remove(contact, actor=alice.user)
    assert not Contact.objects.filter(address_key="ada@reader.example").exists()
    for row in (readers, empty):
        row.refresh_from_db()
    assert (readers.people_count, empty.people_count) == (2, 0)
    assert suppression.is_suppressed(larkfield, AddressKey("ada@reader.example"))
    job = finished(larkfield, alice.user, csv_of([("ada@reader.example", "2026-10-01", "GB")]), contact_list=readers)
    assert (job.added_count, job.suppressed_count) == (0, 1)


def test_found_by_the_beginning_of_address_or_name(readers, alice, larkfield, hollin):
    add(readers, alice)
    for text in ("ada@", "ADA@reader", "Ada", "lin", "ada l"):
        assert [row.address_key for row in people.find(larkfield, text)] == ["ada@reader.example"], text
    assert not people.find(larkfield, "nobody").exists()
    assert not people.find(hollin, "ada").exists()


def test_samples_are_mailable_people_of_these_lists_once(readers, empty, alice, larkfield, hollin):
    add(readers, alice)
    add(empty, alice)
    suppression.suppress(AddressKey("person0@reader.example"), organization=larkfield, reason="owner", source="portal")
    found = people.sample_contacts(larkfield, [readers.uid, empty.uid], 5)
    assert [row.address_key for row in found] == ["person1@reader.example", "ada@reader.example"]
    assert len(people.sample_contacts(larkfield, [readers.uid], 1)) == 1
    assert people.sample_contacts(larkfield, [empty.uid], 5) == []
    assert people.sample_contacts(hollin, [readers.uid], 5) == []


def test_record_mailed_keeps_a_permission_fresh(readers):
    membership = ListMembership.objects.first()
    old = datetime(2020, 1, 1, tzinfo=UTC)
    ListMembership.objects.update(consent_at=old)
    assert lists.mailable_count(readers) == 0
    now = datetime.now(UTC)
    assert lists.record_mailed([membership.pk], now) == 1
    assert lists.record_mailed([membership.pk], now - timedelta(days=900)) == 1
    assert lists.mailable_count(readers) == 1


# --- pages

FORM = {
    "address": "ada@reader.example", "first_name": "Ada", "last_name": "", "country": "GB", "basis": "express_written",
    "consent_on": "2026-10-01", "confirmed_on": "", "source": "Paper form",
}  # fmt: skip


def test_add_page(readers, alice):
    url = reverse("contact_add", args=[readers.uid])
    assert alice.client.get(url).status_code == 200
    answer = alice.client.post(url, FORM)
    contact = Contact.objects.get(address_key="ada@reader.example")
    assert answer.url == reverse("contact_detail", args=[contact.uid])
    page = alice.client.get(answer.url).content.decode()
    assert "Agreed in writing" in page
    assert "Paper form" in page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"address": "ada"}, "No @ sign"),
        ({"address": "ada@gmial.com"}, "Did you mean ada@gmail.com?"),
        ({"basis": ""}, "Choose how they agreed"),
        ({"consent_on": "2999-01-01"}, "This day is still to come"),
        ({"confirmed_on": "2026-09-01"}, "They cannot confirm before they signed up"),
        ({"source": ""}, "id_source_error"),
    ],
)
def test_add_page_says_what_is_wrong(readers, alice, change, words):
    page = alice.client.post(reverse("contact_add", args=[readers.uid]), {**FORM, **change})
    assert words in page.content.decode()
    assert ListMembership.objects.count() == 2


def test_contact_page_corrects_and_removes(readers, alice):
    contact = Contact.objects.get(address_key="person0@reader.example")
    url = reverse("contact_detail", args=[contact.uid])
    form = {"address": "zero@reader.example", "first_name": "Zero", "last_name": "", "country": "FR"}
    assert alice.client.post(url, form).url == url
    contact.refresh_from_db()
    assert (contact.address, contact.first_name, contact.country) == ("zero@reader.example", "Zero", "FR")
    remove = reverse("contact_remove", args=[contact.uid])
    assert alice.client.get(remove).status_code == 405
    alice.client.post(remove, {"list": str(readers.uid)})
    assert contact.memberships.count() == 0
    alice.client.post(remove)
    assert not Contact.objects.filter(pk=contact.pk).exists()


def test_people_pages_are_closed_to_others(readers, victor, mallory, client):
    contact = Contact.objects.get(address_key="person0@reader.example")
    page, remove = reverse("contact_detail", args=[contact.uid]), reverse("contact_remove", args=[contact.uid])
    add_url = reverse("contact_add", args=[readers.uid])
    assert victor.client.get(page).status_code == 200
    assert victor.client.post(page, FORM).status_code == 403
    assert victor.client.post(remove).status_code == 403
    assert victor.client.get(add_url).status_code == 403
    for url in (page, add_url, reverse("list_detail", args=[readers.uid])):
        assert mallory.client.get(url).status_code == 404
        assert client.get(url).status_code == 302
    assert mallory.client.post(remove).status_code == 404
    assert mallory.client.post(reverse("list_close", args=[readers.uid])).status_code == 404
    assert Contact.objects.count() == 2


def test_list_pages(readers, alice, victor):
    page = alice.client.get(reverse("lists")).content.decode()
    assert "Readers" in page
    page = alice.client.get(reverse("list_detail", args=[readers.uid])).content.decode()
    assert "2 of 2 people can be mailed" in page
    assert "person1@reader.example" in page
    assert "United Kingdom" in page
    found = victor.client.post(reverse("list_detail", args=[readers.uid]), {"q": "person1@"}).content.decode()
    assert "person1@reader.example" in found
    assert "person0@reader.example" not in found


def test_a_person_of_another_list_cannot_be_taken_off_through_a_foreign_list(readers, alice, mallory, hollin):
    theirs = lists.create_list(hollin, "Theirs", actor=mallory.user)
    contact = Contact.objects.get(address_key="person0@reader.example")
    url = reverse("contact_remove", args=[contact.uid])
    assert alice.client.post(url, {"list": str(theirs.uid)}).status_code == 404
    assert alice.client.post(url, {"list": "no uid"}).status_code == 404
    assert contact.memberships.count() == 1


def test_new_list_and_close(alice, larkfield):
    answer = alice.client.post(reverse("list_new"), {"name": "Spring", "topics": "tips", "frequency": "monthly"})
    made = lists.open_lists(larkfield).get()
    assert answer.url == reverse("list_detail", args=[made.uid])
    alice.client.post(reverse("list_close", args=[made.uid]))
    assert not lists.open_lists(larkfield).exists()


def test_list_pages_ask_the_database_as_often_for_one_as_for_many(readers, alice, django_assert_num_queries, larkfield):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    url = reverse("lists")
    alice.client.get(url)
    with CaptureQueriesContext(connection) as one:
        alice.client.get(url)
    for name in ("B", "C"):
        lists.create_list(larkfield, name, actor=alice.user)
    with CaptureQueriesContext(connection) as three:
        alice.client.get(url)
    assert len(three) == len(one)


# --- do not mail


def test_do_not_mail_counts_and_finds_one_address(larkfield, alice, hollin):
    url = reverse("do_not_mail")
    suppression.suppress(AddressKey("ada@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    suppression.suppress(AddressKey("ben@reader.example"), organization=hollin, reason="complaint", source="arf")
    page = alice.client.get(url).content.decode()
    assert "Unsubscribed" in page
    assert "Complained" not in page
    found = alice.client.post(url, {"address": "ADA@reader.example", "action": "find"}).content.decode()
    assert "Unsubscribed, since" in found
    assert "Not on the list" in alice.client.post(url, {"address": "ben@reader.example"}).content.decode()
    assert "Enter a whole address" in alice.client.post(url, {"address": "ada@"}).content.decode()


def test_do_not_mail_takes_an_address_and_gives_it_back(larkfield, alice):
    url = reverse("do_not_mail")
    alice.client.post(url, {"address": "ada@reader.example", "action": "add"})
    assert suppression.is_suppressed(larkfield, AddressKey("ada@reader.example"))
    alice.client.post(url, {"address": "ada@reader.example", "action": "lift"})
    assert not suppression.is_suppressed(larkfield, AddressKey("ada@reader.example"))


def test_an_unsubscribe_cannot_be_lifted_from_the_page(larkfield, alice):
    suppression.suppress(AddressKey("ada@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    alice.client.post(reverse("do_not_mail"), {"address": "ada@reader.example", "action": "lift"})
    assert suppression.is_suppressed(larkfield, AddressKey("ada@reader.example"))


@pytest.mark.parametrize("action", ["add", "lift"])
def test_do_not_mail_changes_need_the_right(larkfield, victor, alice, action):
    suppression.suppress(AddressKey("own@reader.example"), organization=larkfield, reason="owner", source="portal")
    for address in ("own@reader.example", "ada@reader.example"):
        answer = victor.client.post(reverse("do_not_mail"), {"address": address, "action": action})
        assert answer.status_code == 403
    assert suppression.is_suppressed(larkfield, AddressKey("own@reader.example"))
    assert not suppression.is_suppressed(larkfield, AddressKey("ada@reader.example"))


def test_look_ups_are_limited(larkfield, alice, monkeypatch):
    from compliance.views import do_not_mail

    monkeypatch.setattr(do_not_mail, "LOOKUPS_A_MINUTE", 2)
    url = reverse("do_not_mail")
    pages = [alice.client.post(url, {"address": "ada@reader.example"}).content.decode() for _ in range(3)]
    assert ["a lot of look-ups" in page for page in pages] == [False, False, True]
