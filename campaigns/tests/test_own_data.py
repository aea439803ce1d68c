"""A copy of one's own data and its erasure: by mail to the address itself, and nothing of anybody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core import mail

from accounts.models import AuditEntry, Organization
from campaigns import choosing, erasure, own_data, returning
from campaigns.inbound.addresses import Links
from campaigns.models import Delivery, SystemMail
from campaigns.sending.system import queue
from campaigns.tests.lanes import frozen, planned
from campaigns.tests.own_pages import FORM, choose, contact_of, path_of, reader, text_of
from campaigns.tests.world import World, add_person, make_world
from compliance import consent_events, people, suppression
from compliance.consent_events import Circumstances, Kind, Step
from compliance.models import Contact, ContactList, ListMembership
from compliance.people import Person
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey
from sendserver.lib.tokens import Purpose, seal
from sendserver.testing.personas import Persona


@pytest.fixture
def delivery(db: None, larkfield: Organization) -> Delivery:
    planned(larkfield, 2)
    return Delivery.objects.order_by("seq")[0]


@pytest.fixture
def letter(delivery: Delivery) -> ContactList:
    return ListMembership.objects.get(contact_id=delivery.contact_id).contact_list


# --- copy


def copy_of(delivery: Delivery) -> dict[str, Any]:
    holder = returning.holder_of(Links.of(delivery.pk).token)
    assert holder is not None
    found: dict[str, Any] = json.loads(own_data.collect(holder).as_json(holder))
    return found


def test_the_copy_goes_to_the_address_itself_and_holds_what_is_stored(delivery: Delivery, letter: ContactList) -> None:
    person = contact_of(delivery)
    Contact.objects.filter(pk=person.pk).update(first_name="Ädel", fields={"shoe size": "44"})
    consent_events.record(person, Step(Kind.REQUESTED, clock.now(), letter), Circumstances(wording="Yes please."))
    page = text_of(reader().post(path_of(delivery, "p", "copy/")))
    assert "Ädel" not in page
    assert delivery.address not in page
    (message,) = mail.outbox
    assert message.to == [delivery.address]
    name, content, kind = message.attachments[0]
    assert (name, kind) == ("your-data.json", "application/json")
    data = json.loads(content)
    assert data["person"][0]["first_name"] == "Ädel"
    assert data["person"][0]["further_fields"] == {"shoe size": "44"}
    assert data["lists"][0]["list"] == letter.name
    assert data["lists"][0]["statement"]["wording_version"] == "ATT-EN-1.0"
    assert data["consent_steps"][0]["words_shown"] == "Yes please."
    assert [row["subject"] for row in data["messages"]] == ["Come and dig on 14 November"]


def test_the_copy_leaves_by_our_relays_with_its_file(delivery: Delivery) -> None:
    reader().post(path_of(delivery, "p", "copy/"))
    assert queue(mail.outbox[0]) == 1
    raw = bytes(SystemMail.objects.get().message)
    assert b'filename="your-data.json"' in raw
    assert b"base64" in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_a_copy_holds_nothing_of_others(delivery: Delivery, hollin: Organization, alice: Persona) -> None:
    """Not of the neighbour on the list, not of another sender, and not of whom the contact was turned into."""
    theirs = make_world(hollin, 0, list_name="Potters")
    add_person(theirs, delivery.address, first_name="Hollinname")
    suppression.suppress(AddressKey(delivery.address), organization=hollin, reason="complaint", source="arf")
    before = json.dumps(copy_of(delivery))
    for foreign in ("reader1@", "Potters", "Hollinname", "Complained"):
        assert foreign not in before
    people.correct(contact_of(delivery), Person("someone.else@reader.example", "Else"), actor=alice.user)
    Delivery.objects.create(
        campaign=frozen(theirs),
        organization=delivery.organization,
        contact_id=delivery.contact_id,
        address="someone.else@reader.example",
        address_hash=contact_of(delivery).address_hash,
        domain="reader.example",
        merge={"first_name": "Else"},
    )
    after = copy_of(delivery)
    assert "lse" not in json.dumps(after["person"] + after["messages"] + after["lists"])
    assert len(after["messages"]) == 1
    assert choosing.topics_of(returning.holder_of(Links.of(delivery.pk).token)) == []  # type: ignore[arg-type]


def test_copies_and_erase_links_are_limited_to_one_mailbox(delivery: Delivery) -> None:
    for _ in range(3):
        reader().post(path_of(delivery, "p", "copy/"))
        reader().post(path_of(delivery, "p", "erase/"))
    assert len(mail.outbox) == 3
    assert "Not mailed again today" in text_of(reader().post(path_of(delivery, "p", "copy/")))


# --- erasure


def test_erasing_needs_the_link_that_only_the_mailbox_gets(delivery: Delivery) -> None:
    token = Links.of(delivery.pk).token
    reader().post(f"/p/{token}/erase/")
    assert f"/erase/{seal(Purpose.ERASE, delivery.pk)}/" in mail.outbox[0].body
    assert token not in mail.outbox[0].body
    assert reader().post(f"/erase/{token}/").status_code == 404
    assert reader().get(f"/erase/{seal(Purpose.ERASE, delivery.pk)}/").status_code == 200
    assert Contact.objects.filter(pk=delivery.contact_id).exists()


def test_erased_by_the_person_and_every_link_still_answers(delivery: Delivery, letter: ContactList) -> None:
    address, erase = delivery.address, f"/erase/{seal(Purpose.ERASE, delivery.pk)}/"
    assert "Erased" in text_of(reader().post(erase))
    assert not Contact.objects.filter(address_key=address).exists()
    assert Contact.objects.count() == 1  # the neighbour
    delivery.refresh_from_db()
    assert (delivery.address, delivery.merge) == ("", {})
    assert suppression.is_suppressed(letter.organization, AddressKey(address))
    entry = AuditEntry.objects.get(action="contact.erased")
    assert (entry.actor_uid, entry.detail) == (None, {"messages": 1})
    for path in (path_of(delivery, door) for door in ("u", "p", "why")):
        page = text_of(reader().get(path))
        assert "an erased address" in page
        assert address not in page
    assert "Already erased" in text_of(reader().get(erase))
    assert "Erased" in text_of(reader().post(erase))
    for act in ("lists", "pause-30", "resume", "tracking-off"):
        choose(delivery, act)
    assert "nothing any more" in text_of(reader().post(path_of(delivery, "p", "copy/")))
    assert "You stay unsubscribed" in text_of(reader().post(path_of(delivery, "u", "undo/")))
    assert reader().post(path_of(delivery, "u"), "List-Unsubscribe=One-Click", content_type=FORM).status_code == 200
    assert mail.outbox == []
    assert suppression.is_suppressed(letter.organization, AddressKey(address))


def test_erasing_reaches_who_was_removed_and_uploaded_again(delivery: Delivery, alice: Persona) -> None:
    address, old = delivery.address, contact_of(delivery)
    world = World(delivery.organization, old.memberships.get().contact_list, None, old.memberships.get().attestation)  # type: ignore[arg-type]
    people.remove(old, actor=alice.user)
    add_person(world, address)
    reader().post(f"/erase/{seal(Purpose.ERASE, delivery.pk)}/")
    assert not Contact.objects.filter(address_key=address).exists()
    delivery.refresh_from_db()
    assert delivery.address == ""


def test_a_person_whom_the_sender_removed_has_pages_too(delivery: Delivery, alice: Persona) -> None:
    people.remove(contact_of(delivery), actor=alice.user)
    assert "no longer on the list" in text_of(reader().get(path_of(delivery, "why")))
    assert "What you want to get" not in text_of(reader().get(path_of(delivery, "p")))
    choose(delivery, "pause-30")
    assert reader().post(path_of(delivery, "p", "copy/")).status_code == 200
    assert erasure.erase_holder(returning.holder_of(Links.of(delivery.pk).token))  # type: ignore[arg-type]
    delivery.refresh_from_db()
    assert delivery.address == ""


# --- strangers


@pytest.mark.parametrize("path", ["/p/{}/copy/", "/p/{}/erase/", "/erase/{}/"])
def test_a_forged_token_learns_nothing_and_moves_nothing(delivery: Delivery, path: str) -> None:
    unknown = text_of(reader().post(path.format("k1" + "a" * 26)))
    for bad in (seal(Purpose.CAMPAIGN, delivery.pk), seal(Purpose.CONTACT, delivery.pk), "x", "a" * 300):
        answer = reader().post(path.format(bad))
        assert (answer.status_code, text_of(answer)) == (404, unknown)
    assert mail.outbox == []
    assert Contact.objects.count() == 2
