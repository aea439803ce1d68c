"""Section 7 of the rules, about leaving: tests 5, 6, 8, 9, 10 and 11. Each is named after its rule and its number."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.urls import reverse
from pytest_django import Settings as SettingsWrapper

from accounts.models import Organization, Standing
from campaigns import erasure
from campaigns.inbound.addresses import Links
from campaigns.models import ClickCount, Delivery, Event, Outcome
from campaigns.tests.lanes import planned, run_both, states, two_relays
from compliance import lists, policy, signups
from compliance.models import Contact, ContactList, ListMembership, Signup, SignupForm, Suppression
from compliance.suppression import is_suppressed, suppress
from compliance.tests.helpers import csv_of, finished
from sendserver.lib import clock
from sendserver.lib.addresses import Address, AddressKey, parse
from sendserver.lib.tokens import Purpose, seal
from sendserver.testing.personas import Persona
from sendserver.testing.relay import Phase, reply

ONE_CLICK = "List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"
KINDS = [FORM, "multipart/form-data; boundary=x", "text/plain", "application/json", "nonsense", ""]


def reader() -> Client:
    """Return a mail program: no cookie, no session, no CSRF token."""
    return Client(enforce_csrf_checks=True)


def path_of(delivery: Delivery, door: str = "u") -> str:
    return f"/{door}/{Links.of(delivery.pk).token}/"


# --- 5


@pytest.mark.django_db(transaction=True)
def test_05_unsub_post_fifty_at_once(larkfield: Organization) -> None:
    """Every POST is answered 200, without redirect or cookie, and there is one row."""
    planned(larkfield, 1)
    path, answers = path_of(Delivery.objects.get()), []
    begin = threading.Barrier(50)

    def post(number: int) -> None:
        kind = FORM if number % 2 else "multipart/form-data; boundary=x"
        begin.wait(30)
        answers.append(reader().post(path, ONE_CLICK, content_type=kind))
        connections.close_all()

    threads = [threading.Thread(target=post, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Counter(answer.status_code for answer in answers) == {200: 50}
    assert not any(answer.cookies or answer.has_header("Location") for answer in answers)
    assert Suppression.objects.count() == 1
    assert Event.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_05_unsub_post_takes_any_content_type_and_is_the_same_twice(larkfield: Organization, kind: str) -> None:
    """415 never: whatever a mail program calls its body, the person is stopped."""
    planned(larkfield, 1)
    delivery = Delivery.objects.get()
    for _ in range(2):
        answer = reader().generic(
            "POST", path_of(delivery), ONE_CLICK, content_type=kind, HTTP_REFERER="https://x.example/"
        )
        assert (answer.status_code, dict(answer.cookies), answer.has_header("Location")) == (200, {}, False)
    assert Suppression.objects.get().reason == "unsubscribe"


# --- 6


@pytest.mark.django_db(transaction=True)
def test_06_unsub_get_safe_and_a_scanner_opens_every_link(
    settings: SettingsWrapper, tmp_path: Path, larkfield: Organization
) -> None:
    """GET, HEAD and OPTIONS on every link of a message that left: nobody is unsubscribed, nobody is written down."""
    with two_relays(settings, tmp_path) as relays:
        campaign = planned(larkfield, 2)
        run_both()
        wire = b"".join(message.raw for relay in relays for message in relay.accepted).decode()
    assert states(campaign) == {"accepted": 2}
    links = found_links(wire)
    assert {link.split("/")[1] for link in links} >= {"u", "why", "abuse", "c"}
    before = Event.objects.count()
    for link in sorted(links):
        for method in ("get", "head", "options"):
            answer = getattr(reader(), method)(link, HTTP_USER_AGENT="LinkScanner/2.0")
            assert answer.status_code in (200, 302, 405), (method, link)
    assert not Suppression.objects.exists()
    assert Event.objects.count() == before
    assert sum(ClickCount.objects.values_list("clicks", flat=True)) == 0  # the scanner is counted apart
    assert {field.name for field in ClickCount._meta.concrete_fields} == {"id", "link", "hour", "clicks", "automated"}


def found_links(wire: str) -> set[str]:
    """Return the paths of our own addresses in raw messages, quoted-printable undone."""
    text = wire.replace("=\r\n", "").replace("=3D", "=")
    return {match.rstrip(".>)") for match in re.findall(r"http://localhost:8000(/[\w/.?=&-]+)", text)}


# --- 8

OPTED_OUT = 500


def spellings(number: int) -> tuple[str, str]:
    """Return an address as it opted out and as the file has it: other case, tag kept, host in the other script."""
    host = ("reader.example", "READER.Example") if number % 2 else ("xn--bcher-kva.example", "Bücher.example")
    tag = "+news" if number % 3 else ""
    return f"person{number}{tag}@{host[0]}", f"  PERSON{number}{tag}@{host[1]} "


@pytest.mark.django_db
def test_08_unsub_no_resurrect_five_hundred_come_back_in_a_file(larkfield: Organization, alice: Persona) -> None:
    for number in range(OPTED_OUT):
        address = parse(spellings(number)[0])
        assert isinstance(address, Address)
        suppress(address.key, organization=larkfield, reason="unsubscribe", source="one_click")
    rows = [(spellings(number)[1], "2026-10-01", "GB") for number in range(OPTED_OUT)]
    rows += [(f"new{number}@reader.example", "2026-10-01", "GB") for number in range(3)]
    job = finished(larkfield, alice.user, csv_of(rows))
    assert (job.added_count, job.suppressed_count) == (3, OPTED_OUT)
    assert job.suppressed_reasons == {"unsubscribe": OPTED_OUT}
    kept = {
        reason: people
        for reason, people in lists.reason_counts([job.contact_list])[job.contact_list_id].items()
        if reason not in ("suppressed", "list_held")
    }
    assert sum(kept.values()) <= 3  # (a list with so many refusals waits for staff)
    for number in range(OPTED_OUT):
        address = parse(spellings(number)[1])
        assert isinstance(address, Address)
        assert is_suppressed(larkfield, address.key)


@pytest.mark.django_db
def test_08_a_tag_is_another_mailbox(larkfield: Organization) -> None:
    """Folding goes as far as case: two people never share one refusal."""
    suppress(AddressKey("ada+news@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    assert not is_suppressed(larkfield, AddressKey("ada@reader.example"))


# --- 10


@pytest.mark.django_db
@pytest.mark.parametrize("door", ["u", "p", "why"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_10_tokens_that_are_not_ours_change_nothing(larkfield: Organization, door: str, method: str) -> None:
    planned(larkfield, 1)
    delivery = Delivery.objects.get()
    good = Links.of(delivery.pk).token
    flipped = [good[:at] + ("a" if good[at] != "a" else "b") + good[at + 1 :] for at in range(len(good))]
    others = [seal(purpose, delivery.pk) for purpose in (Purpose.CAMPAIGN, Purpose.CONFIRM, Purpose.CASE)]
    for token in [*flipped, *others, seal(Purpose.DELIVERY, delivery.pk + 1)]:
        answer = getattr(reader(), method)(f"/{door}/{token}/")
        assert answer.status_code in (403, 404, 405), token
    assert not Suppression.objects.exists()
    assert ListMembership.objects.count() == 1


# --- 11

FATES: dict[str, dict[str, Any]] = {
    "suspended": {"standing": Standing.SUSPENDED},
    "blocked": {"standing": Standing.BLOCKED},
    "deleted": {"closed_at": datetime(2026, 11, 1, tzinfo=clock.now().tzinfo)},
}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "later", [timedelta(0), timedelta(days=60), timedelta(days=3 * 366)], ids=["now", "60 d", "3 y"]
)
@pytest.mark.parametrize("fate", FATES)
def test_11_unsub_link_life(
    larkfield: Organization,
    settings: SettingsWrapper,
    monkeypatch: pytest.MonkeyPatch,
    fate: str,
    later: timedelta,
) -> None:
    """The links of a message work whatever becomes of its sender, behind a new key, and years later."""
    planned(larkfield, 1)
    delivery = Delivery.objects.get()
    paths = {door: path_of(delivery, door) for door in ("u", "p", "why")}
    Organization.objects.filter(pk=larkfield.pk).update(**FATES[fate])
    settings.TOKEN_KEYS = {"k8": b"\x08" * 32, **settings.TOKEN_KEYS}
    settings.SUPPRESSION_KEYS = {"k8": b"\x07" * 32, **settings.SUPPRESSION_KEYS}
    moment = clock.now() + later
    monkeypatch.setattr(clock, "now", lambda: moment)
    for path in paths.values():
        assert reader().get(path).status_code == 200
    assert reader().post(paths["u"], ONE_CLICK, content_type=FORM).status_code == 200
    assert is_suppressed(larkfield, AddressKey(delivery.address))


@pytest.mark.django_db(transaction=True)
def test_11_a_stop_under_a_new_key_holds_for_who_was_hashed_before(
    settings: SettingsWrapper, tmp_path: Path, larkfield: Organization
) -> None:
    """The contact carries a hash of the old key; the entry made after the rotation still finds it at sending."""
    with two_relays(settings, tmp_path) as relays:
        campaign = planned(larkfield, 2)
        settings.SUPPRESSION_KEYS = {"k8": b"\x07" * 32, **settings.SUPPRESSION_KEYS}
        first = Delivery.objects.order_by("pk")[0]
        assert reader().post(path_of(first), ONE_CLICK, content_type=FORM).status_code == 200
        run_both()
        assert first.address not in [one for relay in relays for one in relay.recipients]
    assert states(campaign) == {"accepted": 1, "suppressed": 1}
    assert Outcome.objects.get(delivery_id=first.pk).state == "suppressed"


# --- 9


def plain_places(address: str) -> list[str]:
    """Return every table and column of the database in which the address can be read."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND data_type IN ('text', 'character varying', 'jsonb')"
        )
        for table, column in cursor.fetchall():
            cursor.execute(f'SELECT count(*) FROM "{table}" WHERE "{column}"::text ILIKE %s', [f"%{address}%"])
            found += [f"{table}.{column}"] * bool(cursor.fetchone()[0])
    return sorted(found)


@pytest.mark.django_db
def test_09_data_erasure_leaves_a_hash_and_no_address(larkfield: Organization, alice: Persona) -> None:
    """Erased after mail was planned: unreadable everywhere but in the record of the consent, and out for good."""
    planned(larkfield, 2)
    delivery = Delivery.objects.order_by("pk")[0]
    address, token = delivery.address, Links.of(delivery.pk).token
    contact = Contact.objects.get(pk=delivery.contact_id)
    assert {"compliance_contact.address", "campaigns_delivery.address"} <= set(plain_places(address))
    answer = alice.client.post(reverse("contact_erase", args=[contact.uid]))
    assert answer.status_code == 302
    assert plain_places(address) == []
    again = finished(larkfield, alice.user, csv_of([(address.upper(), "2026-10-01", "GB")]))
    assert (again.added_count, again.suppressed_count) == (0, 1)
    assert is_suppressed(larkfield, AddressKey(address))
    assert reader().post(f"/u/{token}/", ONE_CLICK, content_type=FORM).status_code == 200
    assert reader().get(f"/why/{token}/").status_code == 200


@pytest.mark.django_db
def test_09_data_erasure_of_somebody_who_signed_up(
    larkfield: Organization, alice: Persona, client: Client, settings: SettingsWrapper
) -> None:
    """The steps of the consent keep the address beside the ledger, for their years; nothing else does."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    found = ContactList.objects.create(organization=larkfield, name="Tips")
    form = SignupForm.objects.create(organization=larkfield, contact_list=found, title="Tips", wording="x")
    signups.ask(form, signups.Asked("ada@reader.example", "192.0.2.0/24", first_name="Ada"))
    signups.confirm(Signup.objects.get(), network="192.0.2.0/24")
    contact = Contact.objects.get()
    assert "compliance_signup.address" in plain_places("ada@reader.example")
    assert alice.client.post(reverse("contact_erase", args=[contact.uid])).status_code == 302
    assert plain_places("ada@reader.example") == ["compliance_consenteventperson.address"]


@pytest.mark.django_db(transaction=True)
def test_09_data_erasure_no_log_of_ours_names_an_address(
    settings: SettingsWrapper, tmp_path: Path, larkfield: Organization, alice: Persona, caplog: pytest.LogCaptureFixture
) -> None:
    """Planned, sent, refused, stopped, uploaded, looked up, erased, with every log at its most talkative."""
    caplog.set_level(logging.DEBUG)
    with two_relays(settings, tmp_path) as relays:
        planned(larkfield, 4)
        first, second = Delivery.objects.order_by("pk")[:2]
        for relay in relays:
            relay.on(Phase.RCPT, reply("550 5.1.1 no such user"), when=lambda one: one.recipient == second.address)
        run_both()
    reader().post(path_of(first), ONE_CLICK, content_type=FORM)
    finished(larkfield, alice.user, csv_of([(first.address, "2026-10-01", "GB"), ("not an address", "x", "GB")]))
    alice.client.post(reverse("do_not_mail"), {"address": first.address, "action": "find"})
    erasure.erase(Contact.objects.get(pk=first.contact_id), actor=alice.user)
    said = [row for row in caplog.records if not row.name.startswith("django.db")]  # (SQL, with DEBUG only)
    assert said
    host = f"@{first.domain}"
    assert [row.getMessage() for row in said if host in row.getMessage()] == []


@pytest.mark.django_db(transaction=True)
def test_09_data_erasure_while_the_campaign_runs(
    settings: SettingsWrapper, tmp_path: Path, larkfield: Organization
) -> None:
    """A delivery that still waits goes to nobody."""
    with two_relays(settings, tmp_path) as relays:
        campaign = planned(larkfield, 2)
        first = Delivery.objects.order_by("pk")[0]
        erasure.erase(Contact.objects.get(pk=first.contact_id), actor=None)
        run_both()
        assert len([one for relay in relays for one in relay.recipients]) == 1
    assert states(campaign) == {"accepted": 1, "suppressed": 1}


def test_09_the_schedule_of_backups_and_logs_is_written_down() -> None:
    text = (Path(__file__).parent.parent.parent / "docs" / "operations.md").read_text()
    assert f"{policy.RET_SMTP_D} days" in text
    assert "backup" in text.lower()
