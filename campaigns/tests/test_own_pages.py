"""The person's own pages: why and choices, a break, counting; whatever became of the sender or the person."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from pytest_django import Settings as SettingsWrapper

from accounts.models import AuditEntry, Organization, Standing
from campaigns import returning
from campaigns.inbound.addresses import Links
from campaigns.models import Delivery
from campaigns.planning import plan
from campaigns.tests.lanes import crowd, frozen, planned, run_both, states, two_relays
from campaigns.tests.own_pages import FORM, choose, contact_of, path_of, reader, states_of, text_of
from campaigns.tests.world import World, make_world
from compliance import consent_events, lists, people, suppression
from compliance.consent_events import Circumstances, Kind, Step
from compliance.models import ConsentEvent, Contact, ContactList, ListExit, ListMembership, Suppression
from compliance.tests.helpers import csv_of, finished
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey
from sendserver.lib.tokens import Purpose, seal
from sendserver.testing.personas import Persona

HOSTILE = '<script>alert(1)</script>\r\nBcc: x@evil.example {{ 7|add:7 }} \u202e"'
FATES: dict[str, dict[str, Any]] = {
    "good": {},
    "suspended": {"standing": Standing.SUSPENDED},
    "blocked": {"standing": Standing.BLOCKED},
    "closed": {"closed_at": clock.now()},
    "blocked and closed": {"standing": Standing.BLOCKED, "closed_at": clock.now()},
}


@pytest.fixture
def delivery(db: None, larkfield: Organization) -> Delivery:
    planned(larkfield, 2)
    return Delivery.objects.order_by("seq")[0]


@pytest.fixture
def letter(delivery: Delivery) -> ContactList:
    return ListMembership.objects.get(contact_id=delivery.contact_id).contact_list


# --- choices


def test_a_list_left_can_be_chosen_again_with_both_steps_on_record(delivery: Delivery, letter: ContactList) -> None:
    assert "You left 1 list." in choose(delivery, "lists")
    assert states_of(letter) == {"": 1, "left_list": 1}
    page = text_of(reader().get(path_of(delivery, "p")))
    assert f'value="{letter.uid}">' in page  # shown, not ticked
    assert "Nothing changed" in choose(delivery, "lists")
    assert "You are back on 1 list." in choose(delivery, "lists", list=[str(letter.uid)])
    assert states_of(letter) == {"": 2}
    steps = list(consent_events.of_contact(contact_of(delivery)))
    assert [row.kind for row in steps] == [Kind.LIST_LEFT, Kind.LIST_BACK]
    assert {row.list_uid for row in steps} == {letter.uid}
    assert {row.actor_uid for row in steps} == {None}


def test_no_upload_and_no_removal_brings_back_who_left_a_list(
    delivery: Delivery, letter: ContactList, alice: Persona, settings: SettingsWrapper, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    choose(delivery, "lists")
    rows = [(delivery.address.upper(), "2026-10-01", "GB")]
    finished(letter.organization, alice.user, csv_of(rows), contact_list=letter)
    assert states_of(letter)["left_list"] == 1
    people.remove(contact_of(delivery), actor=alice.user)
    assert "left_list" not in states_of(letter)
    finished(letter.organization, alice.user, csv_of(rows), contact_list=letter)
    assert states_of(letter)["left_list"] == 1


def test_sql_and_python_agree_about_a_list_that_was_left(
    delivery: Delivery, letter: ContactList, alice: Persona
) -> None:
    choose(delivery, "lists")
    for page in (f"/portal/lists/{letter.uid}/", f"/portal/people/{contact_of(delivery).uid}/"):
        assert "Left this list" in text_of(alice.client.get(page)), page


def test_only_own_lists_are_shown_and_nobody_joins_one(
    delivery: Delivery, letter: ContactList, hollin: Organization
) -> None:
    secret = lists.create_list(letter.organization, "Grumblers 2024", actor=None)
    foreign = lists.create_list(hollin, "Potters", actor=None)
    page = choose(delivery, "lists", list=[str(letter.uid), str(secret.uid), str(foreign.uid), "x", ""])
    assert "Nothing changed" in page
    assert "Grumblers" not in page
    assert "Potters" not in page
    assert ListMembership.objects.filter(contact_id=delivery.contact_id).count() == 1
    assert not ListExit.objects.exists()


def test_a_pause_is_shown_ended_early_and_replaced(delivery: Delivery) -> None:
    choose(delivery, "pause-90")
    assert "Nothing comes until" in choose(delivery, "pause-30")
    holder = returning.holder_of(Links.of(delivery.pk).token)
    assert holder is not None
    assert holder.paused_until is not None
    assert holder.paused_until - clock.now() < timedelta(days=31)  # the shorter one counts
    assert not holder.is_stopped
    assert "The break has ended" in choose(delivery, "resume")
    assert not suppression.is_suppressed(delivery.organization, holder.key)
    assert "There was no break" in choose(delivery, "resume")
    assert AuditEntry.objects.filter(action="suppression.lifted", actor_uid=None).count() == 2


def test_a_stop_within_a_pause_can_be_taken_back_and_the_pause_stays(delivery: Delivery) -> None:
    choose(delivery, "pause-30")
    Suppression.objects.update(created_at=clock.now() - timedelta(days=5))
    assert "Undo" in text_of(reader().post(path_of(delivery, "u"), "from=page", content_type=FORM))
    assert "Taken back" in text_of(reader().post(path_of(delivery, "u", "undo/")))
    assert [row.reason for row in suppression.find(delivery.organization, AddressKey(delivery.address))] == ["pause"]


def test_never_through_us_can_be_taken_back_whole_or_not_at_all(delivery: Delivery, hollin: Organization) -> None:
    key = AddressKey(delivery.address)
    assert "Nothing comes through" in choose(delivery, "never")
    assert suppression.is_suppressed(hollin, key)
    assert "Taken back" in text_of(reader().post(path_of(delivery, "u", "undo/")))
    assert not suppression.is_suppressed(hollin, key)
    assert not suppression.is_suppressed(delivery.organization, key)
    choose(delivery, "never")
    suppression.suppress(key, organization=None, reason="complaint", source="abuse_form")
    assert "You stay unsubscribed" in text_of(reader().post(path_of(delivery, "u", "undo/")))
    assert suppression.is_suppressed(hollin, key)


def test_an_undo_says_when_something_else_still_stops_the_mail(delivery: Delivery) -> None:
    key = AddressKey(delivery.address)
    suppression.suppress(key, organization=delivery.organization, reason="hard_bounce", source="dsn")
    reader().post(path_of(delivery, "u"), "from=page", content_type=FORM)
    page = text_of(reader().post(path_of(delivery, "u", "undo/")))
    assert "still cannot send" in page
    assert "as before" not in page


def test_the_undo_button_stands_only_where_it_works(delivery: Delivery) -> None:
    reader().post(path_of(delivery, "u"), {"List-Unsubscribe": "One-Click"})
    assert "undo" not in text_of(reader().post(path_of(delivery, "u"), "from=page", content_type=FORM))


def test_counting_is_offered_to_end_only_where_it_was_agreed(delivery: Delivery) -> None:
    button = "Stop counting what I open and click"
    assert button not in text_of(reader().get(path_of(delivery, "p")))
    choose(delivery, "tracking-off")
    assert not ConsentEvent.objects.exists()
    Contact.objects.update(tracking_consent_at=clock.now() - timedelta(days=3))
    assert button in text_of(reader().get(path_of(delivery, "p")))
    assert "Take it back" in text_of(reader().get(path_of(delivery, "why")))
    assert button not in choose(delivery, "tracking-off")
    assert contact_of(delivery).tracking_consent_at is None
    assert Contact.objects.exclude(pk=delivery.contact_id).get().tracking_consent_at is not None
    assert [row.kind for row in ConsentEvent.objects.all()] == [Kind.TRACKING_WITHDRAWN]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_in_a_pause_and_everything_after_it(
    settings: SettingsWrapper, tmp_path: Path, larkfield: Organization
) -> None:
    with two_relays(settings, tmp_path) as relays:
        Organization.objects.filter(pk=larkfield.pk).update(daily_allowance=1000)
        larkfield.refresh_from_db()
        world = make_world(larkfield, 0)
        crowd(world, 2)
        first = _send(world)
        assert states(first) == {"accepted": 2}
        paused = Delivery.objects.filter(campaign=first).order_by("seq")[0]
        choose(paused, "pause-30")
        second = _send(world)
        assert states(second) == {"accepted": 1, "suppressed": 1}
        Suppression.objects.update(until=clock.now() - timedelta(seconds=1))  # thirty days later
        assert "Nothing comes until" not in text_of(reader().get(path_of(paused, "p")))
        third = _send(world)
        assert states(third) == {"accepted": 2}
        got = [one for relay in relays for one in relay.recipients]
        assert got.count(paused.address) == 2
        choose(paused, "pause-90")  # and a new break works
        assert states(_send(world)) == {"accepted": 1, "suppressed": 1}


@pytest.mark.django_db(transaction=True)
def test_who_leaves_the_list_while_the_campaign_runs_gets_nothing(
    settings: SettingsWrapper, tmp_path: Path, larkfield: Organization
) -> None:
    with two_relays(settings, tmp_path) as relays:
        campaign = planned(larkfield, 2)
        first = Delivery.objects.order_by("seq")[0]
        choose(first, "lists")
        run_both()
        assert first.address not in [one for relay in relays for one in relay.recipients]
    assert states(campaign) == {"accepted": 1, "skipped": 1}


def _send(world: World) -> Any:
    campaign = frozen(world)
    plan(campaign)
    run_both()
    return campaign


# --- why


def test_why_tells_each_step_with_its_words_and_who_says_so(delivery: Delivery, letter: ContactList) -> None:
    person, at = contact_of(delivery), clock.now() - timedelta(days=40)
    around = Circumstances(
        source="https://larkfield.example/news", wording="Yes, send me the letter.", network="192.0.2.0"
    )
    consent_events.record(person, Step(Kind.REQUESTED, at, letter), around)
    consent_events.record(person, Step(Kind.CONFIRMED, at + timedelta(minutes=2), letter), around)
    page = text_of(reader().get(path_of(delivery, "why")))
    for part in (
        "Someone entered this address",
        "https://larkfield.example/news",
        "Yes, send me the letter.",
        "The link in our mail was opened",
        "The sender signed for it",
        "Statement ATT-EN-1.0",
    ):
        assert part in page, part
    assert "says Larkfield" not in page  # we saw it ourselves
    for hidden in (delivery.address, "192.0.2.0", person.first_name, "The sender wrote down a yes"):
        assert hidden not in page


def test_why_keeps_other_peoples_and_other_lists_steps_to_itself(delivery: Delivery, letter: ContactList) -> None:
    other = Contact.objects.exclude(pk=delivery.contact_id).get()
    second = lists.create_list(letter.organization, "Secret list", actor=None)
    consent_events.record(other, Step(Kind.REQUESTED, clock.now(), letter), Circumstances(wording="NOT MINE"))
    consent_events.record(
        contact_of(delivery), Step(Kind.REQUESTED, clock.now(), second), Circumstances(wording="NOT HERE")
    )
    page = text_of(reader().get(path_of(delivery, "why")))
    assert "NOT MINE" not in page
    assert "NOT HERE" not in page


@pytest.mark.parametrize("fate", FATES)
def test_everything_works_whatever_became_of_the_sender(delivery: Delivery, letter: ContactList, fate: str) -> None:
    Organization.objects.filter(pk=letter.organization_id).update(**FATES[fate])
    page = text_of(reader().get(path_of(delivery, "why")))
    assert ("cannot send now" in page) == (fate in ("suspended", "blocked", "blocked and closed"))
    assert ("has left" in page) == (fate == "closed")
    assert "You left 1 list." in choose(delivery, "lists")
    choose(delivery, "pause-30")
    assert "Look into your mailbox" in text_of(reader().post(path_of(delivery, "p", "copy/")))
    assert "Look into your mailbox" in text_of(reader().post(path_of(delivery, "p", "erase/")))
    erase = f"/erase/{seal(Purpose.ERASE, delivery.pk)}/"
    assert "Erase what is stored" in text_of(reader().get(erase))
    assert "Nothing readable" in text_of(reader().post(erase))
    assert suppression.is_suppressed(letter.organization, AddressKey(delivery.address))


def test_hostile_names_and_words_stay_text(delivery: Delivery, letter: ContactList) -> None:
    Organization.objects.filter(pk=letter.organization_id).update(name=HOSTILE[:120])
    ContactList.objects.filter(pk=letter.pk).update(name=HOSTILE[:120], topics=HOSTILE, frequency=HOSTILE[:60])
    ListMembership.objects.update(source=HOSTILE)
    around = Circumstances(source=HOSTILE, wording=HOSTILE)
    consent_events.record(contact_of(delivery), Step(Kind.RECORDED, clock.now(), letter), around)
    posts = [path_of(delivery, "p", "copy/"), path_of(delivery, "p", "erase/"), path_of(delivery, "p")]
    erase = f"/erase/{seal(Purpose.ERASE, delivery.pk)}/"
    pages = [text_of(reader().get(path_of(delivery, door))) for door in ("u", "p", "why")]
    pages += [text_of(reader().get(erase))] + [text_of(reader().post(path)) for path in posts]
    for page in [*pages, text_of(reader().post(erase))]:
        assert "<script>alert(1)" not in page
        assert "{{ 7|add:7 }}" in page
    for message in mail.outbox:
        assert message.to == [delivery.address]
        assert "\n" not in str(message.subject)
        assert "\nBcc:" not in message.body  # one line, wherever it stands
