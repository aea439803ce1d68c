"""The outbox: what the relays kept, read as its receiver would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client

from sendserver.local import mailstore, outbox
from sendserver.local.outbox import Query
from sendserver.local.tests.conftest import Keep, newsletter

pytestmark = pytest.mark.django_db


def test_an_empty_outbox_says_so(var: Path, client: Client) -> None:
    page = client.get("/local/outbox/").content.decode()
    assert "0 messages that relay-1 and relay-2" in page
    assert "Nothing accepted yet" in page


def test_shows_the_newest_with_sender_subject_relay_and_answer(keep: Keep, client: Client) -> None:
    keep(newsletter(), "first@town.example", 1)
    queue_id = keep(newsletter(), "last@town.example", 2)
    page = client.get("/local/outbox/").content.decode()
    assert "2 messages that relay-1 and relay-2" in page
    assert page.index("to last@town.example") < page.index("to first@town.example")
    assert "Grüße" in page
    assert "Larkfield Garden Co." in page
    assert f"250 2.0.0 Ok: queued as {queue_id}" in page
    assert f'src="/local/outbox/{queue_id}/frame/" sandbox="allow-popups allow-popups-to-escape-sandbox"' in page


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ("text", "Six days, plain"),
        ("source", "RCPT TO:&lt;ada@town.example&gt;"),
        ("events", "Nothing yet"),
        ("odd", "sealed frame"),
    ],
)
def test_four_ways_to_read(keep: Keep, client: Client, view: str, text: str) -> None:
    queue_id = keep(newsletter())
    answer = client.get(f"/local/outbox/{queue_id}/?as={view}")
    assert text in answer.content.decode()


def test_the_source_says_what_is_signed(keep: Keep, client: Client) -> None:
    page = client.get(f"/local/outbox/{keep(newsletter())}/?as=source").content.decode()
    assert "Not signed" in page
    assert "<b>Subject:</b> =?utf-8?q?" in page
    assert "<b>Return-Path:</b> &lt;b.tok@b.larkfield.example&gt;" in page


def test_the_frame_is_sealed(keep: Keep, client: Client) -> None:
    html = "<html><head></head><body><script>alert(1)</script><img src=//evil.example/x onerror=alert(2)>"
    answer = client.get(f"/local/outbox/{keep(newsletter(html=html))}/frame/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert '<head><base target="_blank">' in answer.content.decode()


def test_a_mail_without_html_shows_its_text_with_links(keep: Keep, client: Client) -> None:
    queue_id = keep(b"Subject: Your code\r\n\r\nYour code is 123456 <script>x</script> http://localhost:8000/go/\r\n")
    page = client.get(f"/local/outbox/{queue_id}/").content.decode()
    assert "Your code is 123456 &lt;script&gt;" in page
    assert '<a href="http://localhost:8000/go/"' in page
    assert "Mail of the platform itself or a test" in page


def test_downloads_the_octets(keep: Keep, var: Path, client: Client) -> None:
    queue_id = keep(newsletter())
    answer = client.get(f"/local/outbox/{queue_id}/mail.eml")
    assert answer.content == mailstore.path_of(var, queue_id).read_bytes()
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{queue_id}.eml"'


@pytest.mark.parametrize("path", ["1000000000000f/", "1000000000000f/frame/", "1000000000000f/mail.eml", "etc-passwd/"])
def test_unknown_messages_are_not_found(var: Path, client: Client, path: str) -> None:
    assert client.get(f"/local/outbox/{path}").status_code == 404


def test_finds_by_address_subject_and_message_id_and_relay(keep: Keep, var: Path) -> None:
    keep(newsletter(), "ada@town.example", 1)
    keep(b"Subject: Carols\r\nMessage-ID: <c9@x>\r\n\r\n", "edda@town.example", 2)
    box = outbox.outbox_of(var)
    assert [row.line.rcpt_to for row in box.listing(Query("grüße")).rows] == ["ada@town.example"]
    assert [row.line.rcpt_to for row in box.listing(Query("EDDA@")).rows] == ["edda@town.example"]
    assert [row.line.rcpt_to for row in box.listing(Query("c9@x")).rows] == ["edda@town.example"]
    assert [row.line.rcpt_to for row in box.listing(Query(relay="relay-1")).rows] == ["ada@town.example"]
    assert box.listing(Query("nobody")).rows == []


def test_pages(keep: Keep, var: Path, client: Client) -> None:
    for number in range(20):
        keep(newsletter(), f"p{number}@town.example", 1 + number % 2)
    second = outbox.outbox_of(var).listing(Query(page=2))
    assert (second.first, second.last, second.total, second.older, second.newer) == (9, 16, 20, 3, 1)
    assert second.rows[0].line.rcpt_to == "p11@town.example"
    page = client.get("/local/outbox/?p=3").content.decode()
    assert "17 to 20 of 20" in page
    assert len(re.findall(r"<li><a class=\"f-c", page)) == 4


@pytest.mark.parametrize("query", ["p=x", "p=-1", "p=99999999999", "relay=relay-9", "q=%01"])
def test_odd_queries_are_answered(keep: Keep, client: Client, query: str) -> None:
    keep(newsletter())
    assert client.get(f"/local/outbox/?{query}").status_code == 200


def test_the_list_alone_keeps_the_chosen_row(keep: Keep, client: Client) -> None:
    queue_id = keep(newsletter())
    part = client.get(f"/local/outbox/list/?current={queue_id}").content.decode()
    assert part.startswith('<div id="messages"')
    assert 'aria-current="true"' in part


def test_emptying(keep: Keep, client: Client) -> None:
    queue_id = keep(newsletter())
    assert client.get("/local/outbox/empty/").status_code == 405
    assert client.post("/local/outbox/empty/").status_code == 302
    assert client.get(f"/local/outbox/{queue_id}/").status_code == 404
    keep(newsletter(), "new@town.example")
    assert "1 message that relay-1" in client.get("/local/outbox/").content.decode()


def test_another_letter_to_the_same_person_is_no_second_try(keep: Keep, var: Path) -> None:
    first = keep(newsletter())
    second = keep(newsletter().replace(b"Message-ID: <", b"Message-ID: <other-"))
    box = outbox.outbox_of(var)
    assert [found[1] for found in (box.find(first), box.find(second)) if found] == [1, 1]


def test_counts_tries(keep: Keep, var: Path) -> None:
    first = keep(newsletter())
    second = keep(newsletter())
    box = outbox.outbox_of(var)
    assert [found[1] for found in (box.find(first), box.find(second)) if found] == [1, 2]


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: =?bogus?q?x?=\r\nContent-Type: text/plain; charset=nonsense\r\n\r\nhi \xff\r\n",
        b"\r\n",
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n",
    ],
)
def test_broken_mail_is_shown_all_the_same(keep: Keep, client: Client, raw: bytes) -> None:
    queue_id = keep(raw)
    for view in ("html", "text", "source", "events"):
        assert client.get(f"/local/outbox/{queue_id}/?as={view}").status_code == 200


def test_other_pages_answer(keep: Keep, client: Client) -> None:
    keep(newsletter())
    assert "anyone@bounce.example" in client.get("/local/people/").content.decode()
    assert "1 message" in client.get("/local/relays/").content.decode()
    assert "No sending domains yet" in client.get("/local/names/").content.decode()


def test_the_pages_keep_the_strict_policy(keep: Keep, client: Client) -> None:
    queue_id = keep(newsletter())
    for path in (
        "outbox/",
        f"outbox/{queue_id}/?as=source",
        f"outbox/{queue_id}/?as=events",
        "people/",
        "relays/",
        "names/",
    ):
        answer = client.get(f"/local/{path}")
        assert " style=" not in answer.content.decode()
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
