"""Every rule passes what is right and stops what is wrong; one proposal, changed in one place a case."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from compliance import gate, policy
from compliance.gate import (
    AudienceFacts,
    Check,
    FromFacts,
    IdentityFacts,
    LinkFacts,
    ListFacts,
    Proposal,
    Sample,
    SenderFacts,
)
from compliance.rules import Finding, Rule, registry

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
URL = "https://portal.example/u/token/"
FOOT_STYLE = "color:#4a5567;background:#ffffff;font-size:13px"
IDENTITY = IdentityFacts(
    legal_name="Acme Tools GmbH",
    trade_name="Acme",
    register="HRB 1234",
    country="DE",
    postal_line="Domstr. 5, 50668 Köln, DE",
    contact="service@acme.example",
    website="https://acme.example",
)


def footer(style: str = FOOT_STYLE, link: str = "") -> str:
    return (
        f'<div style="{style}"><p>You get this because you are on the list “News”.</p>'
        f'<p><a href="{URL}" style="{link}">Unsubscribe</a></p><p>Acme Tools GmbH, HRB 1234<br>'
        f"<span>Domstr. 5, 50668 Köln, DE</span><br><span>service@acme.example</span></p></div>"
    )


def html(body: str = "<p>Hello Ada, saws are here.</p>", foot: str | None = None, body_style: str = "") -> str:
    return f'<html><body style="{body_style}">{body}{footer() if foot is None else foot}</body></html>'


TEXT = (
    "Hello Ada, saws are here.\n\n-- \nYou get this because you are on the list “News”.\n"
    f"Unsubscribe: {URL}\n\nAcme Tools GmbH\nHRB 1234\nDomstr. 5, 50668 Köln, DE\nservice@acme.example\n"
)
HEADERS = (
    ("From", "Acme Tools <news@acme.example>"),
    ("Subject", "Saws"),
    ("List-Unsubscribe", f"<{URL}>, <mailto:u.token@u.portal.example?subject=unsubscribe>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
)
SENDER = SenderFacts("uid", "Acme", "good", may_send=True, allowance=500, allowance_left=500)
FROM = FromFacts("Acme Tools", "news@acme.example", True, "service@acme.example", NOW - timedelta(days=10))
GOOD = Proposal(
    now=NOW,
    sender=SENDER,
    identity=IDENTITY,
    from_=FROM,
    subject="Saws for autumn",
    preheader="And hammers",
    source_html="<p>Hello</p>",
    samples=(Sample("Saws for autumn", html(), TEXT, 4_000),),
    merge_problems=(),
    headers=HEADERS,
    links=(LinkFacts("our shop", "https://acme.example/shop"),),
    unsubscribe_url=URL,
    lists=(ListFacts("l", "News", 100, attested=1),),
    audience=AudienceFacts(total=100, mailable=90, left_out=(("suppressed", "On the do-not-mail list", 10),)),
    content_sha256=b"s" * 32,
)


def changed(**fields: Any) -> Proposal:
    return dataclasses.replace(GOOD, **fields)


def with_html(page: str, **fields: Any) -> Proposal:
    return changed(samples=(Sample("Saws", page, TEXT, 4_000),), **fields)


def check(rule_id: str, proposal: Proposal) -> Check:
    return next(c for c in gate.judge(proposal).checks if c.rule_id == rule_id)


def from_(**fields: Any) -> Proposal:
    return changed(from_=dataclasses.replace(FROM, **fields))


def linked(text: str, url: str) -> Proposal:
    return changed(links=(LinkFacts(text, url),))


CASES: list[tuple[str, Proposal, str]] = [
    ("ID-LEGAL-ENTITY", changed(sender=dataclasses.replace(SENDER, may_send=False)), "block"),
    ("ID-LEGAL-ENTITY", changed(sender=dataclasses.replace(SENDER, standing="warned")), "hold"),
    ("ID-LEGAL-ENTITY", changed(sender=dataclasses.replace(SENDER, allowance_left=89)), "warn"),
    ("ID-FOOTER-BLOCK", changed(identity=dataclasses.replace(IDENTITY, legal_name="")), "block"),
    ("ID-FOOTER-BLOCK", with_html(html(foot="")), "block"),
    ("ID-FOOTER-BLOCK", changed(samples=(Sample("s", html(), "Hello", 9),)), "block"),
    ("ID-FOOTER-BLOCK", changed(samples=()), "block"),
    ("CANSPAM-POSTAL-ADDRESS", changed(identity=dataclasses.replace(IDENTITY, postal_line="")), "block"),
    ("CANSPAM-POSTAL-ADDRESS", with_html(html(foot=footer("display:none"))), "block"),
    ("CANSPAM-POSTAL-ADDRESS", with_html(html(foot=footer("color:#ffffff;background:#ffffff"))), "block"),
    ("CANSPAM-POSTAL-ADDRESS", with_html(html(foot=footer("color:#fefefe"))), "block"),
    ("CANSPAM-POSTAL-ADDRESS", with_html(html(foot=footer("font-size:8px"))), "block"),
    ("CANSPAM-POSTAL-ADDRESS", with_html(html(foot=footer("font-size:9px"))), "pass"),
    ("CANSPAM-POSTAL-ADDRESS", with_html(html(foot=footer("opacity:0"))), "block"),
    ("CANSPAM-POSTAL-ADDRESS", with_html(html(foot=footer("visibility:hidden"))), "block"),
    ("CANSPAM-POSTAL-ADDRESS", with_html(html(foot=footer("max-height:0;overflow:hidden"))), "block"),
    ("CANSPAM-POSTAL-ADDRESS", with_html(html(foot=footer(""), body_style="background:#000;color:#111")), "block"),
    ("CANSPAM-POSTAL-ADDRESS", changed(samples=(Sample("s", html(), TEXT.replace("Domstr. 5", ""), 9),)), "block"),
    ("ID-FROM-TRUTH", from_(address=""), "block"),
    ("ID-FROM-TRUTH", from_(domain_ready=False), "block"),
    ("ID-FROM-TRUTH", from_(display_name="PayPal Support"), "block"),
    ("ID-FROM-TRUTH", from_(display_name="boss@bank.example"), "block"),
    ("ID-FROM-TRUTH", from_(display_name="Acme\u202eTools"), "block"),
    ("ID-FROM-TRUTH", from_(display_name="Асme Tools"), "block"),
    ("ID-FROM-TRUTH", from_(display_name="Best Offers"), "hold"),
    ("ID-FROM-TRUTH", from_(display_name="News from ACME"), "pass"),
    ("ID-REPLY-TO", from_(reply_to="noreply@acme.example"), "block"),
    ("ID-REPLY-TO", from_(reply_confirmed_at=None), "block"),
    ("ID-REPLY-TO", from_(reply_confirmed_at=NOW - timedelta(days=policy.REPLY_CONFIRMED_D, seconds=1)), "block"),
    ("ID-HEADER-LOCK", changed(subject="Hi\r\nBcc: x"), "block"),
    ("ID-HEADER-LOCK", changed(preheader="Hi\x00"), "block"),
    ("ID-HEADER-LOCK", changed(headers=(*HEADERS, ("Bcc", "x@y.example"))), "block"),
    ("ID-HEADER-LOCK", changed(headers=(*HEADERS, ("From", "x@y.example"))), "block"),
    ("SUBJ-TRUTH", changed(subject=" "), "block"),
    ("SUBJ-TRUTH", changed(subject="Re: your question"), "block"),
    ("SUBJ-TRUTH", changed(subject="AW: Angebot"), "block"),
    ("SUBJ-TRUTH", changed(subject="FWD : news"), "block"),
    ("SUBJ-TRUTH", changed(subject="Real saws, really"), "pass"),
    ("SUBJ-TRUTH", changed(subject="Your account is suspended"), "hold"),
    ("SUBJ-TRUTH", changed(subject="Last chance: today only"), "hold"),
    ("SUBJ-TRUTH", changed(subject="Last chance", offer_ends_at=date(2026, 11, 22)), "pass"),
    ("SUBJ-TRUTH", changed(subject="Last chance", offer_ends_at=date(2026, 11, 21)), "block"),
    ("AD-LABEL", changed(audience=AudienceFacts(total=9, mailable=9, without_express=1)), "block"),
    (
        "AD-LABEL",
        changed(audience=AudienceFacts(total=9, mailable=9, without_express=1), preheader="Anzeige: Sägen"),
        "pass",
    ),
    ("CONTENT-PHISH", linked("acme.example", "https://evil.example/"), "block"),
    ("CONTENT-PHISH", linked("www.acme.example/shop", "https://shop.acme.example/x"), "pass"),
    ("CONTENT-PHISH", linked("x", "https://bit.ly/abc"), "block"),
    ("CONTENT-PHISH", linked("x", "http://192.0.2.7/a"), "block"),
    ("CONTENT-PHISH", linked("x", "http://[2001:db8::1]/a"), "block"),
    ("CONTENT-PHISH", linked("x", "javascript:alert(1)"), "block"),
    ("CONTENT-PHISH", linked("x", "data:text/html,hi"), "block"),
    ("CONTENT-PHISH", linked("x", "https://acme.example@evil.example/"), "block"),
    ("CONTENT-PHISH", linked("x", "https://xn--pple-43d.com/"), "block"),
    ("CONTENT-PHISH", linked("x", "https://xn--mnchen-3ya.example/"), "pass"),
    ("CONTENT-PHISH", linked("x", "https://[bad/"), "block"),
    ("CONTENT-PHISH", linked("x", "java\nscript:alert(1)"), "block"),
    ("CONTENT-PHISH", linked("x", "//evil.example/"), "block"),
    ("CONTENT-PHISH", linked("x", "/shop"), "block"),
    ("CONTENT-PHISH", linked("to the top", "#top"), "pass"),
    ("CONTENT-PHISH", linked("write us", "mailto:service@acme.example"), "pass"),
    ("CONTENT-ATTACH", changed(source_html="<script>1</script>"), "block"),
    ("CONTENT-ATTACH", changed(source_html="<form action=/x><input type=password></form>"), "block"),
    ("CONTENT-ATTACH", changed(source_html='<p onclick="x()">a</p>'), "block"),
    ("CONTENT-ATTACH", changed(source_html="<iframe src=//x></iframe>"), "block"),
    ("CONTENT-ATTACH", changed(source_html="<style>@import url(//x)</style>"), "block"),
    ("CONTENT-ATTACH", changed(source_html="<p style=\"background:url('javascript:x')\">a</p>"), "block"),
    ("CONTENT-HIDDEN", with_html(html(f'<p style="display:none">{"buy " * 60}</p>')), "hold"),
    ("CONTENT-HIDDEN", with_html(html(f'<p style="font-size:0">{"buy " * 60}</p>')), "hold"),
    ("CONTENT-HIDDEN", with_html(html('<p style="display:none">And hammers</p>')), "pass"),
    ("CONTENT-HIDDEN", with_html(html('<div style="position:absolute">x</div>')), "hold"),
    ("CONTENT-SIZE", with_html(html("x" * 89_000)), "pass"),
    ("CONTENT-SIZE", with_html(html("x" * 91_000)), "warn"),
    ("CONTENT-SIZE", with_html(html("x" * 101_000)), "block"),
    ("CONTENT-SIZE", changed(samples=(Sample("s", html(), TEXT, 500_001),)), "block"),
    ("CONTENT-TEXTPART", changed(samples=(Sample("s", html(), " ", 9),)), "block"),
    ("CONTENT-TEXTPART", with_html(html("<p>" + "word " * 200 + "</p>")), "warn"),
    ("CONTENT-MERGE", changed(merge_problems=("There is no field “zip”.",)), "block"),
    (
        "CONTENT-MERGE",
        changed(audience=AudienceFacts(total=9, mailable=9, missing_values=(("first_name", 4),))),
        "block",
    ),
    ("UNSUB-VISIBLE", with_html(html(foot=footer(link="color:#ffffff"))), "block"),
    ("UNSUB-VISIBLE", with_html(html(foot=footer().replace("Unsubscribe", ""))), "block"),
    ("UNSUB-VISIBLE", changed(samples=(Sample("s", html(), TEXT.replace(URL, ""), 9),)), "block"),
    ("UNSUB-VISIBLE", with_html(html("x" * 90_500)), "block"),
    ("UNSUB-ONECLICK", changed(headers=()), "block"),
    ("UNSUB-ONECLICK", changed(headers=(("List-Unsubscribe", "<mailto:u@u.example>"), HEADERS[3])), "block"),
    ("UNSUB-ONECLICK", changed(headers=HEADERS[:3]), "block"),
    (
        "UNSUB-ONECLICK",
        changed(headers=(("List-Unsubscribe", "<http://u.example/x>, <mailto:u@x>"), HEADERS[3])),
        "block",
    ),
    ("SRC-PROHIBITED", changed(lists=()), "block"),
    ("SRC-PROHIBITED", changed(lists=(ListFacts("l", "News", 9, attested=0),)), "block"),
    ("SRC-PROHIBITED", changed(lists=(ListFacts("l", "News", 9, 1, held_reason="big"),)), "block"),
    ("SRC-PROHIBITED", changed(lists=(GOOD.lists[0], ListFacts("m", "New", 9, 1, held_reason="big"))), "warn"),
    ("CONSENT-BASIS", changed(audience=AudienceFacts()), "block"),
    ("CONSENT-BASIS", changed(audience=AudienceFacts(total=5, mailable=0)), "block"),
]


@pytest.mark.parametrize(
    ("rule_id", "proposal", "decision"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_one_fault_gives_one_decision(rule_id: str, proposal: Proposal, decision: str) -> None:
    assert check(rule_id, proposal).decision == decision


@pytest.mark.parametrize("rule", registry(), ids=lambda rule: rule.id)
def test_the_good_message_passes_each_rule(rule: Rule) -> None:
    assert rule.check(GOOD).decision == "pass"


def test_every_rule_has_a_case_that_stops() -> None:
    stopped = {rule_id for rule_id, _, decision in CASES if decision in ("block", "hold")}
    assert {rule.id for rule in registry()} == stopped


@pytest.mark.parametrize("rule", registry(), ids=lambda rule: rule.id)
def test_a_rule_names_source_duty_and_version(rule: Rule) -> None:
    assert rule.source
    assert rule.duty.endswith(".")
    assert rule.version >= 1
    assert rule.judge.__doc__


def test_the_worst_decision_wins_and_a_warning_passes() -> None:
    assert gate.worst(["pass", "warn", "pass"]) == "pass"
    assert gate.worst(["warn", "hold"]) == "hold"
    assert gate.worst(["hold", "block", "pass"]) == "block"
    assert gate.worst([]) == "block"


def test_a_rule_that_breaks_blocks() -> None:
    def broken(_: Proposal) -> Finding:
        raise KeyError("x")

    answer = Rule("X", 1, "x", "x", "x.", "", "", 1, broken).check(GOOD)
    assert (answer.decision, answer.evidence) == ("block", {"error": "KeyError"})


def test_numbers_stand_once_and_are_printed() -> None:
    ids = [number.id for number in policy.NUMBERS]
    assert len(ids) == len(set(ids)) >= 60
    assert all(getattr(policy, number.id) == number.value for number in policy.NUMBERS)
    shown = {number.id: number.shown for number in policy.NUMBERS}
    assert (shown["L_WARN"], shown["UNSUB_TOKEN_EXPIRY"], shown["HTML_MAX_KB"]) == ("0.10%", "no end", "100 KB")
