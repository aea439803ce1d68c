"""Public pages: they answer, say what they must, print numbers from the policy, and keep the strict content policy."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.core import mail
from django.test import Client

from compliance import policy, policy_text

PAGES = [
    "/",
    "/about/",
    "/privacy/",
    "/terms/",
    "/terms/processing/",
    "/anti-spam/",
    "/anti-spam/v1/",
    "/postmaster/",
    "/rules/",
    "/help/",
    "/status/",
    "/stats/",
]
INLINE = re.compile(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=|javascript:", re.IGNORECASE)


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES)
def test_a_page_answers_and_keeps_the_content_policy(client: Client, path: str) -> None:
    response = client.get(path)
    text = response.content.decode()
    assert response.status_code == 200
    assert INLINE.findall(text) == []
    assert text.count("<h1") == 1
    assert "<title>" in text
    assert 'href="#"' not in text
    assert len(set(re.findall(r'\sid="([^"]+)"', text))) == len(re.findall(r'\sid="([^"]+)"', text))


@pytest.mark.django_db
@pytest.mark.parametrize("path", [path for path in PAGES if path != "/help/"])
def test_a_page_refuses_to_be_posted_to(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405


@pytest.mark.django_db
def test_the_policy_names_the_four_laws_and_the_four_prohibited_lists(client: Client) -> None:
    text = client.get("/anti-spam/").content.decode()
    for must in (
        "CAN-SPAM Act of 2003",
        "CASL",
        "2000/31/EC",
        "2002/58/EC",
        "Purchased",
        "Rented",
        "Third-party",
        "Harvested",
        "explicit permission",
        "in its sole discretion",
        "at any time",
        "Mail to them is spam",
        "anti-spam services",
        "several steps to keep abuse to a minimum",
        "exactly two mail servers",
        "help@",
        "warn, suspend or block",
    ):
        assert must in text, must


@pytest.mark.django_db
def test_every_rule_has_its_anchor(client: Client) -> None:
    text = client.get("/anti-spam/").content.decode()
    anchors = re.findall(r'class="s-rule" id="(r\d-\d)"', text)
    assert anchors == [one.anchor for part in policy_text.SECTIONS for one in part.rules]
    assert len(anchors) == 29


@pytest.mark.django_db
def test_the_policy_prints_its_numbers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "PROOF_DEADLINE_BD", 77)
    monkeypatch.setattr(policy, "HB_PAUSE", 0.061)
    policy_text._numbers.cache_clear()
    try:
        text = client.get("/anti-spam/").content.decode()
    finally:
        policy_text._numbers.cache_clear()
    assert "Proof within 77 working days" in text
    assert '<td class="r" data-l="Campaign paused">61</td>' in text


@pytest.mark.django_db
def test_a_version_that_never_was_is_not_found(client: Client) -> None:
    assert client.get("/anti-spam/v99/").status_code == 404


@pytest.mark.django_db
def test_the_privacy_page_prints_how_long_things_are_kept(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "RET_RAW_D", 171)
    assert "171 days" in client.get("/privacy/").content.decode()


@pytest.mark.django_db
def test_the_rules_page_prints_every_number(client: Client) -> None:
    text = client.get("/rules/").content.decode()
    for number in policy.NUMBERS:
        assert f'id="{number.id.lower()}"' in text


@pytest.mark.django_db
def test_about_shows_the_operator(client: Client, settings) -> None:  # type: ignore[no-untyped-def]
    from dataclasses import replace

    settings.PLATFORM = replace(
        settings.PLATFORM, legal_name="Harbour Mail Ltd.", postal_address="12 Harbour Row", responsible_person="Ruth A."
    )
    text = client.get("/about/").content.decode()
    for must in ("Harbour Mail Ltd.", "12 Harbour Row", "Ruth A."):
        assert must in text


@pytest.mark.django_db
def test_postmaster_json_names_both_servers_and_the_limits(client: Client) -> None:
    found = client.get("/postmaster.json").json()
    assert [one["name"] for one in found["servers"]] == ["out1.sendserver.example", "out2.sendserver.example"]
    assert found["limits"]["retry_max_hours"] == policy.RETRY_MAX_H


def test_security_txt_ends_within_a_year(client: Client) -> None:
    text = client.get("/.well-known/security.txt").content.decode()
    expires = datetime.strptime(re.findall(r"Expires: (\S+)", text)[0], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert 0 < (expires - datetime.now(UTC)).days < 366
    assert "Contact: mailto:security@" in text


def test_robots_keep_out_of_personal_links(client: Client) -> None:
    text = client.get("/robots.txt").content.decode()
    assert "Disallow: /u/" in text
    assert "Disallow: /portal/" in text


@pytest.mark.django_db
def test_healthz_answers(client: Client) -> None:
    assert client.get("/healthz").content == b"ok\n"


ASKED = {"email": "pat@inbox.example", "about": "mail", "text": "Who sent this?"}


@pytest.mark.django_db
def test_a_question_reaches_a_person_and_gets_a_reference(client: Client, settings) -> None:  # type: ignore[no-untyped-def]
    response = client.post("/help/", ASKED, follow=True)
    (sent,) = mail.outbox
    reference = re.findall(r"HE-[0-9A-Z]{4}-[0-9A-Z]{4}", response.content.decode())[0]
    assert sent.to == [settings.PLATFORM.help_email]
    assert sent.reply_to == ["pat@inbox.example"]
    assert sent.subject.startswith(reference)
    assert "Who sent this?" in sent.body


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"),
    [("email", "nobody"), ("email", "a@b.example\nBcc: c@d.example"), ("about", "gossip"), ("text", "")],
)
def test_a_bad_question_is_told_how_to_correct_it(client: Client, field: str, value: str) -> None:
    response = client.post("/help/", {**ASKED, field: value})
    assert response.status_code == 422
    assert "data-errors" in response.content.decode()
    assert mail.outbox == []


@pytest.mark.django_db
def test_questions_are_limited_by_network(client: Client) -> None:
    codes = [client.post("/help/", ASKED).status_code for _ in range(11)]
    assert codes == [302] * 10 + [429]
    assert len(mail.outbox) == 10


@pytest.mark.django_db
def test_the_thanks_page_without_a_question_goes_back(client: Client) -> None:
    assert client.get("/help/sent/").status_code == 302


@pytest.mark.django_db
def test_an_unknown_page_is_a_page_of_ours(client: Client) -> None:
    response = client.get("/no-such-page/")
    assert response.status_code == 404
    assert "This page does not exist" in response.content.decode()
