"""Unsubscribe, undo, preferences, why, lost links, clicks: for people without an account."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connections
from django.test import Client

from accounts.models import Organization, Standing
from campaigns import lost_links
from campaigns.inbound.addresses import Links
from campaigns.models import ClickCount, Delivery, Event, Link, LinkRequest, Outcome
from campaigns.tests.lanes import planned
from campaigns.tests.world import add_person, make_world
from compliance import lists
from compliance.models import ContactList, ListMembership, Suppression
from compliance.suppression import is_suppressed
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey
from sendserver.lib.tokens import Purpose, seal

pytestmark = pytest.mark.django_db


@pytest.fixture
def delivery(larkfield: Organization) -> Delivery:
    planned(larkfield, 2)
    return Delivery.objects.order_by("seq")[0]


@pytest.fixture
def token(delivery: Delivery) -> str:
    return Links.of(delivery.pk).token


@pytest.fixture
def reader() -> Client:
    return Client(enforce_csrf_checks=True)


def list_states(contact_list: ContactList) -> dict[str, int]:
    return lists.reason_counts([contact_list])[contact_list.pk]


def _stopped(delivery: Delivery) -> bool:
    return is_suppressed(delivery.organization, AddressKey(delivery.address))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"data": {"List-Unsubscribe": "One-Click"}},
        {"data": "List-Unsubscribe=One-Click", "content_type": "application/x-www-form-urlencoded"},
        {"data": b"", "content_type": "text/plain"},
        {"data": b"{}", "content_type": "application/json"},
        {"data": b"--x broken", "content_type": "multipart/form-data; boundary=x"},
        {"data": b"\x00\xff" * 5000, "content_type": "application/octet-stream"},
        {"data": b"a=" + b"b" * 4_000_000, "content_type": "application/x-www-form-urlencoded"},
    ],
)
def test_one_click_answers_200_whatever_is_posted(reader: Client, delivery: Delivery, token: str, kwargs: dict) -> None:
    for _ in range(2):
        answer = reader.post(f"/u/{token}/", **kwargs)
        assert answer.status_code == 200
        assert not answer.cookies
        assert b"unsubscribed" in answer.content
    assert Suppression.objects.get().source == "one_click"
    assert Event.objects.get().source == "one_click"
    assert _stopped(delivery)


@pytest.mark.parametrize("method", ["get", "head", "options"])
@pytest.mark.parametrize("path", ["/u/{}/", "/p/{}/", "/why/{}/", "/u/{}/undo/"])
def test_looking_changes_nothing_and_sets_no_cookie(
    reader: Client, delivery: Delivery, token: str, method: str, path: str
) -> None:
    answer = getattr(reader, method)(path.format(token))
    assert answer.status_code in (200, 405)
    assert not answer.cookies
    assert not Suppression.objects.exists()
    assert not Event.objects.exists()


def test_the_page_has_one_button_and_no_question(reader: Client, delivery: Delivery, token: str) -> None:
    page = reader.get(f"/u/{token}/")
    body = page.content.decode().partition("<main")[2].partition("</main>")[0]
    assert body.count("<button") == 1
    assert 'type="text"' not in body
    assert 'type="email"' not in body
    assert delivery.address not in body
    assert page["Cache-Control"] == "no-store"
    assert page["Referrer-Policy"] == "no-referrer"


def test_the_page_unsubscribes_and_takes_back(reader: Client, delivery: Delivery, token: str) -> None:
    page = reader.post(f"/u/{token}/", "from=page", content_type="application/x-www-form-urlencoded")
    assert page.status_code == 200
    assert f"/u/{token}/undo/" in page.content.decode()
    assert _stopped(delivery)
    assert "Taken back" in reader.post(f"/u/{token}/undo/").content.decode()
    assert not _stopped(delivery)
    assert set(Event.objects.values_list("kind", flat=True)) == {"unsubscribed", "subscribed"}
    reader.post(f"/u/{token}/", "from=page", content_type="application/x-www-form-urlencoded")
    assert _stopped(delivery)  # once more after the undo


def test_no_undo_behind_ten_minutes_or_one_click(
    reader: Client, delivery: Delivery, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.post(f"/u/{token}/", "from=page", content_type="application/x-www-form-urlencoded")
    later = clock.now() + timedelta(minutes=10, seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert "You stay unsubscribed" in reader.post(f"/u/{token}/undo/").content.decode()
    assert _stopped(delivery)


def test_one_click_is_final(reader: Client, delivery: Delivery, token: str) -> None:
    reader.post(f"/u/{token}/", {"List-Unsubscribe": "One-Click"})
    reader.post(f"/u/{token}/undo/")
    assert _stopped(delivery)


@pytest.mark.parametrize("path", ["/u/{}/", "/p/{}/", "/why/{}/", "/u/{}/undo/"])
def test_altered_and_foreign_tokens_change_nothing(reader: Client, delivery: Delivery, token: str, path: str) -> None:
    flipped = token[:10] + ("a" if token[10] != "a" else "b") + token[11:]
    for bad in (flipped, seal(Purpose.CAMPAIGN, delivery.pk), seal(Purpose.DELIVERY, 999_999), "x", "a" * 300):
        assert reader.post(path.format(bad)).status_code in (403, 404, 405)
        assert reader.get(path.format(bad)).status_code in (404, 405)
    assert not Suppression.objects.exists()


def test_a_test_messages_links_say_so(reader: Client, delivery: Delivery) -> None:
    path = f"/u/{Links.of(0).token}/"
    for answer in (reader.get(path), reader.post(path, {"List-Unsubscribe": "One-Click"})):
        assert answer.status_code == 200
        assert b"test message" in answer.content
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("standing", [Standing.SUSPENDED, Standing.BLOCKED])
def test_everything_works_for_senders_that_are_gone(
    reader: Client, delivery: Delivery, token: str, standing: str
) -> None:
    Organization.objects.update(standing=standing, closed_at=clock.now())
    for path in ("u", "p", "why"):
        assert reader.get(f"/{path}/{token}/").status_code == 200
    assert reader.post(f"/u/{token}/", {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert _stopped(delivery)


def test_tokens_live_through_a_new_key(reader: Client, delivery: Delivery, token: str, settings) -> None:  # type: ignore[no-untyped-def]
    settings.TOKEN_KEYS = {"k9": b"\x09" * 32, **settings.TOKEN_KEYS}
    assert reader.post(f"/u/{token.upper()}/").status_code == 200
    assert _stopped(delivery)
    assert Links.of(delivery.pk).token.startswith("k9")


def test_preferences_leave_a_list_pause_and_stop_every_sender(
    reader: Client, delivery: Delivery, token: str, hollin: Organization
) -> None:
    mine = ListMembership.objects.get(contact_id=delivery.contact_id)
    assert mine.contact_list.name in reader.get(f"/p/{token}/").content.decode()
    reader.post(f"/p/{token}/", {"act": "lists", "list": [str(mine.contact_list.uid)]})
    assert ListMembership.objects.filter(pk=mine.pk).exists()
    reader.post(f"/p/{token}/", {"act": "lists"})
    assert list_states(mine.contact_list) == {"": 1, "left_list": 1}  # the other reader stays
    reader.post(f"/p/{token}/", {"act": "pause-30"})
    row = Suppression.objects.get()
    assert row.until is not None
    assert timedelta(days=29) < row.until - clock.now() < timedelta(days=31)
    reader.post(f"/p/{token}/", {"act": "never"})
    assert is_suppressed(hollin, AddressKey(delivery.address))


@pytest.mark.parametrize("act", ["", "pause-1", "pause-x", "delete"])
def test_unknown_choices_do_nothing(reader: Client, delivery: Delivery, token: str, act: str) -> None:
    assert reader.post(f"/p/{token}/", {"act": act}).status_code == 200
    assert not Suppression.objects.exists()
    assert ListMembership.objects.count() == 2


def test_why_tells_the_record(reader: Client, delivery: Delivery, token: str) -> None:
    Outcome.objects.create(
        delivery_id=delivery.pk, campaign_id=delivery.campaign_id, state="accepted", relay="relay-1", at=clock.now()
    )
    page = reader.get(f"/why/{token}/").content.decode()
    for part in (
        "Larkfield Garden Co. Ltd",
        "4 Mill Lane",
        "website form",
        "Confirmed by link",
        "stated to us",
        "news@mail.larkfield.example",
        "out1.sendserver.example",
    ):
        assert part in page, part
    assert delivery.address not in page
    ListMembership.objects.all().delete()
    assert "no longer on the list" in reader.get(f"/why/{token}/").content.decode()


def test_lost_links_give_one_answer_and_mail_only_the_address(delivery: Delivery) -> None:
    Outcome.objects.create(
        delivery_id=delivery.pk, campaign_id=delivery.campaign_id, state="accepted", relay="relay-1", at=clock.now()
    )
    client = Client()
    known = client.post("/u/", {"address": delivery.address})
    unknown = client.post("/u/", {"address": "nobody@elsewhere.example"})
    nonsense = client.post("/u/", {"address": "x\r\ny"})

    def shown(answer) -> str:  # type: ignore[no-untyped-def]
        return answer.content.decode().partition("<h1")[2].partition("csrfmiddlewaretoken")[0]

    assert shown(known) == shown(unknown) == shown(nonsense)
    assert mail.outbox == []  # the page itself looks nothing up
    assert lost_links.answer_waiting() == 1
    assert [message.to for message in mail.outbox] == [[delivery.address]]
    assert Links.of(delivery.pk).unsubscribe_url in mail.outbox[0].body
    assert not LinkRequest.objects.exists()


def test_lost_links_are_limited(delivery: Delivery) -> None:
    Outcome.objects.create(
        delivery_id=delivery.pk, campaign_id=delivery.campaign_id, state="accepted", relay="relay-1", at=clock.now()
    )
    for _ in range(6):
        assert Client().post("/u/", {"address": delivery.address}).status_code == 200
        lost_links.answer_waiting()
    assert len(mail.outbox) == 3


def test_a_click_is_counted_and_goes_only_where_the_table_says(reader: Client, delivery: Delivery) -> None:
    link = Link.objects.get(campaign=delivery.campaign, number=1)
    token = seal(Purpose.CAMPAIGN, delivery.campaign_id)
    answer = reader.get(f"/c/{token}/1/?url=https://evil.example", HTTP_USER_AGENT="Mozilla/5.0 Firefox/140")
    assert (answer.status_code, answer["Location"]) == (302, link.url)
    assert not answer.cookies
    reader.head(f"/c/{token}/1/", HTTP_USER_AGENT="Mozilla/5.0 Firefox/140")
    reader.get(f"/c/{token}/1/", HTTP_USER_AGENT="SomeScanner/1.0 bot")
    count = ClickCount.objects.get()
    assert (count.clicks, count.automated) == (1, 2)
    for bad in (f"/c/{token}/99/", f"/c/{seal(Purpose.DELIVERY, delivery.campaign_id)}/1/", "/c/x/1/"):
        assert reader.get(bad).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_fifty_posts_at_once_make_one_row(larkfield: Organization) -> None:
    world = make_world(larkfield, 0)
    person = add_person(world, "ada@inbox.example")
    planned_campaign = __import__("campaigns.tests.lanes", fromlist=["frozen"]).frozen(world)
    delivery = Delivery.objects.create(
        campaign=planned_campaign,
        organization=larkfield,
        contact_id=person.pk,
        address=person.address,
        address_hash=person.address_hash,
        domain=person.domain,
    )
    path, codes = f"/u/{Links.of(delivery.pk).token}/", []

    def post() -> None:
        codes.append(Client().post(path, {"List-Unsubscribe": "One-Click"}).status_code)
        connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 20
    assert Suppression.objects.count() == 1
    assert Event.objects.count() == 1
