"""What strangers send us by mail and by form, what we write down of it, and what lies in the tables."""

from __future__ import annotations

import ast
import hashlib
import io
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.apps import apps
from django.conf import settings as live
from django.contrib import admin
from django.core import mail
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from pytest_django import Settings as SettingsWrapper

from abuse import cases, judging, moderation
from abuse.feedback import take_mails
from abuse.models import Case, Complaint
from abuse.tests import make
from accounts import domains, policy, resolving
from accounts.models import DkimKey, Organization, PlatformKey, Standing
from accounts.tests.dns_server import Server, running
from campaigns.inbound.addresses import Links
from campaigns.inbound.process import process_waiting
from campaigns.models import Brake, Delivery, Event, EventKind, InboundMail, Outcome, SystemMail
from campaigns.tests.test_inbound import DSN
from campaigns.tests.test_reading import CORPUS
from compliance import policy as limits
from compliance.models import Suppression
from sendserver.lib import clock, tokens
from sendserver.lib.logs import LineFormatter
from sendserver.testing.everything import build
from sendserver.testing.personas import Persona
from sendserver.tests.addresses import objects
from sendserver.tests.test_access_table import all_rows, url_of
from sendserver.tests.test_floors import source_files

pytestmark = pytest.mark.django_db
FORM = {"kind": "never_signed_up", "share": "no"}


@pytest.fixture(autouse=True)
def _letters(settings: SettingsWrapper) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def _store(to: str, raw: bytes, sender: str = "", ago: timedelta = timedelta()) -> InboundMail:
    return InboundMail.objects.create(
        received_at=clock.now() - ago, mail_from=sender, rcpt_to=to, peer="192.0.2.1", raw=raw,
        sha256=hashlib.sha256(raw).digest(),
    )  # fmt: skip


@pytest.fixture
def delivery(larkfield: Organization) -> Delivery:
    return make.delivery(make.campaign(larkfield, accepted=1000), "ada@inbox.example")


# ---------- floods of reports


def test_many_reports_without_proof_are_one_case_and_stop_nobody(larkfield: Organization, delivery: Delivery) -> None:
    """Sixty in an hour from sixty networks that name the sender, and the round that judges them."""
    raw = f"From: <news@{delivery.campaign.from_address.domain.name}>\r\n\r\n"  # type: ignore[union-attr]
    for number in range(60):
        answer = Client().post(reverse("abuse"), {**FORM, "raw": raw}, REMOTE_ADDR=f"198.51.{number}.1")
        assert answer.status_code == 302
    judging.run()
    larkfield.refresh_from_db()
    assert (Complaint.objects.count(), Case.objects.count()) == (60, 1)
    assert (larkfield.standing, Brake.objects.count(), Suppression.objects.count()) == (Standing.GOOD, 0, 0)


FLOOD = 10_000
BY_FORM = 100  # of them through the page; the rest is written as the form leaves it, for time's sake


@pytest.mark.slow
def test_ten_thousand_reports_hide_nothing_and_stop_nobody(
    larkfield: Organization, alice: Persona, delivery: Delivery, django_assert_max_num_queries: Any
) -> None:
    """As above at the scale of the table, beside one proven report and a question of ours that must stay in sight."""
    raw = f"From: <news@{delivery.campaign.from_address.domain.name}>\r\n\r\n"  # type: ignore[union-attr]
    mona = make.staff("Mona")
    for number in range(BY_FORM):
        Client().post(reverse("abuse"), {**FORM, "raw": raw}, REMOTE_ADDR=f"198.{18 + number // 250}.{number % 250}.1")
    make.report(delivery)
    case, of_form = Case.objects.get(campaign_id=None), Complaint.objects.filter(grade="C")
    Complaint.objects.filter(grade="A").update(case=case)
    cases.claim(case, mona.user)
    question = {"rule": "1.1", "reason": "Who are these people?", "customer_must": "Name the source."}
    moderation.apply_decision(moderation.DecisionRequest(case=case, kind="ask", actor=mona.user, **question))
    _flood(of_form.order_by("pk")[0], FLOOD - BY_FORM)
    judging.run()
    larkfield.refresh_from_db()
    assert (Complaint.objects.filter(case=case).count(), Case.objects.count()) == (FLOOD + 1, 2)
    assert (larkfield.standing, Brake.objects.count()) == (Standing.GOOD, 0)
    with django_assert_max_num_queries(90):
        page = mona.client.get(reverse("admin:abuse_case_change", args=[case.pk])).content.decode()
    assert "Proven by a signature of ours: 1 of 10001." in page
    assert page.count("<article") <= 20
    assert page.index("Proven ours by signature") < page.index("Weak signs only")
    with django_assert_max_num_queries(40):
        page = alice.client.get(reverse("abuse_case", args=[case.reference])).content.decode()
    assert "10,001 people" in page or "10,000 people" in page
    assert "Name the source." in page
    assert len(page) < 60_000


def _flood(like: Complaint, number: int) -> None:
    """Copy a report and its line of the timeline, each from a network of its own."""
    names = [field.column for field in Complaint._meta.concrete_fields]
    own = {
        "uid": "gen_random_uuid()",
        "reference": "'AB-F' || lpad(n::text, 10, '0')",
        "network": "'10.' || n / 250 || '.' || mod(n, 250) || '.0/24'",
    }
    kept = [name for name in names if name != "id"]
    values = ", ".join(own.get(name, name) for name in kept)
    columns = ", ".join(kept)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO abuse_complaint ({columns}) SELECT {values} "
            "FROM abuse_complaint, generate_series(1, %s) AS n WHERE id = %s",
            [number, like.pk],
        )
        cursor.execute(
            "INSERT INTO abuse_caseentry (case_id, kind, text, visible_to_customer, visible_to_reporter, at) "
            "SELECT case_id, kind, text, visible_to_customer, visible_to_reporter, at FROM abuse_caseentry, "
            "generate_series(1, %s) WHERE id = (SELECT min(id) FROM abuse_caseentry WHERE case_id = %s)",
            [number, like.case_id],
        )


def test_one_network_is_cut_off(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole /24 and a whole /48 count as one."""
    monkeypatch.setattr(limits, "REPORTS_PER_NETWORK", 4)
    addresses = [address for n in range(8) for address in (f"198.51.100.{n}", f"2001:db8:1:{n}::1")]
    form = {**FORM, "text": "spam"}
    codes = [Client().post(reverse("abuse"), form, REMOTE_ADDR=address).status_code for address in addresses]
    assert (codes.count(302), codes.count(429)) == (8, 8)


# ---------- mail that comes in


def _bombs() -> dict[str, bytes]:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(4000))
    return {
        "nested multiparts": deep,
        "nested messages": b"Content-Type: message/rfc822\r\n\r\n" * 15_000,
        "ten thousand parts": b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\na\r\n" * 10_000,
        "ten thousand headers": b"X-A: b\r\n" * 10_000 + b"\r\n",
        "one header": b"Subject: " + b"=?utf-8?q?a?= " * 70_000 + b"\r\n\r\n",
        "folded header": b"Subject: a" + b"\r\n a" * 200_000 + b"\r\n\r\n",
        "base64": b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"PGE+" * 250_000,
        "half tags": b"Content-Type: text/html\r\n\r\n" + b"<" * 900_000,
        "winmail.dat": b"Content-Type: application/ms-tnef; name=winmail.dat\r\n\r\n\x78\x9f\x3e\x22"
        + b"\xff" * 900_000,
        "delivery status": b"Content-Type: message/delivery-status\r\n\r\n"
        + b"Final-Recipient: rfc822;a\r\n\r\n" * 10_000,
        "feedback": b"Content-Type: message/feedback-report\r\n\r\n" + b"Feedback-Type: not-spam\r\n" * 40_000,
        "charset": b"Content-Type: text/plain; charset=idna\r\n\r\n" + b"xn--" * 200_000,
        "nothing but NUL": b"\x00" * 900_000,
    }


@pytest.mark.parametrize("name", _bombs())
def test_a_bomb_is_read_in_bounds_kept_and_changes_nothing(name: str, delivery: Delivery) -> None:
    """At the return path, the feedback and the abuse mailbox, and pasted into the public form."""
    bomb = _bombs()[name]
    places = (Links.of(delivery.pk).return_path("b.mail.larkfield.example"), "fbl@m.sendserver.example")
    for place in (*places, "abuse@sendserver.example"):
        _store(place, bomb, sender="x@y.example")
    began = time.process_time()
    assert process_waiting() == 3
    assert take_mails() == 1
    answer = Client().post(reverse("abuse"), {**FORM, "raw": bomb.decode("latin-1")[:400_000]})
    assert time.process_time() - began < 5
    assert answer.status_code in (302, 422)
    assert not InboundMail.objects.filter(processed_at=None).exists()
    assert {len(bytes(raw)) for raw in InboundMail.objects.values_list("raw", flat=True)} == {len(bomb)}
    assert not Suppression.objects.exists()


def _corpus() -> Iterator[bytes]:
    for path in sorted(CORPUS.rglob("*")):
        if path.is_file() and path.suffix not in (".md", ".tsv", ".json"):
            yield path.read_bytes()


AWAY = (
    b"Auto-Submitted: auto-replied\r\nSubject: Out of office\r\n\r\nBack on Monday\r\n",
    b"Auto-Submitted: auto-generated; owner-email=x@y.example\r\nSubject: Ticket 7\r\n\r\nWe have your mail.\r\n",
    b"Precedence: bulk\r\nSubject: Re: Come and dig\r\n\r\nThank you for your message.\r\n",
    b"Precedence: list\r\nList-Id: <x.y.example>\r\nSubject: Re: Come\r\n\r\nHello list\r\n",
    b"X-Autoreply: yes\r\nSubject: Abwesenheit\r\n\r\nWieder da am Montag\r\n",
    b"X-Auto-Response-Suppress: All\r\nSubject: Automatic reply: Come\r\n\r\nAway\r\n",
    b"Return-Path: <>\r\nSubject: Undelivered Mail\r\n\r\n550 5.1.1 no such user\r\n",
    b"From: mailer-daemon@x.example\r\nSubject: failure notice\r\n\r\nSorry.\r\n",
    b"From: noreply@x.example\r\nReply-To: abuse@sendserver.example\r\nSubject: [Ticket 7] received\r\n\r\nThanks\r\n",
)


def test_no_mail_is_answered(delivery: Delivery) -> None:
    """Bounces, reports and absence notes at each of our mailboxes, from the null sender and from real ones."""
    path, own = Links.of(delivery.pk).return_path("b.mail.larkfield.example"), "sendserver.example"
    boxes = (path, Links.of(delivery.pk).unsubscribe_address, f"fbl@m.{own}", f"notices@m.{own}", f"abuse@{own}")
    mails = [*_corpus(), *AWAY]
    for number, raw in enumerate(mails):
        _store(boxes[number % 5], raw, sender="x@y.example" if number % 2 else "")
    for raw in AWAY:
        for box in boxes:
            _store(box, raw, sender="x@y.example")
    assert process_waiting(limit=2000) == len(mails) + len(AWAY) * len(boxes)
    assert take_mails() > 0
    judging.run()
    told = {address for letter in mail.outbox for address in letter.to}
    assert told <= {live.ONCALL_EMAIL}  # our own person on duty, of a campaign that figures paused
    assert not SystemMail.objects.exists()
    assert len(mails) > 100


@pytest.mark.parametrize(("days", "believed"), [(0, True), (29, True), (31, False)])
def test_a_bounce_is_believed_for_a_month(delivery: Delivery, days: int, believed: bool) -> None:
    """Whoever kept an old message knows its token; no server takes a month to report."""
    Outcome.objects.create(
        delivery_id=delivery.pk, campaign_id=delivery.campaign_id, state="accepted", relay="relay-1",
        at=clock.now() - timedelta(days=days),
    )  # fmt: skip
    raw = DSN.format(recipient=delivery.address, action="failed", status="5.1.1", diagnostic="550 5.1.1 no such user")
    _store(Links.of(delivery.pk).return_path("b.mail.larkfield.example"), raw.encode())
    process_waiting()
    assert Suppression.objects.exists() is believed
    assert Event.objects.get().kind == (EventKind.BOUNCED if believed else EventKind.UNKNOWN)
    assert InboundMail.objects.get().delivery_id == delivery.pk  # kept as evidence


# ---------- look-ups


def test_nothing_of_ours_fetches_an_address() -> None:
    """No client for the web in the product: pictures, links, templates and webhooks of customers are never called.

    Two exceptions: the operator, at the address in the operator's own settings and no other; and the page where
    people signed up, by sendserver.lib.fetching (which public address, how long: its own tests), called from one place.
    """
    clients = {"urllib.request", "http.client", "requests", "httpx", "aiohttp", "urllib3", "ftplib", "pycurl"}
    found = []
    for path in source_files():
        if {"local", "testing"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [(path, name) for name in names if name in clients or name.split(".")[0] in clients]
    [fetching] = [path for path, _ in found if path.parts[-2:] == ("lib", "fetching.py")]
    found = [one for one in found if one[0] != fetching]
    callers = [one for one in source_files() if "lib.fetching" in one.read_text(encoding="utf-8")]
    assert [one.parts[-2:] for one in callers if "tests" not in one.parts] == [("compliance", "saved_page.py")]
    by_name = {name: path for path, name in found}
    assert len(by_name) == len(found) == 2
    visitor, path = by_name["http.client"], by_name["urllib.request"]
    assert visitor.parts[-3:] == ("bench", "imports", "visitor.py")  # asks the page of a server that it has started
    assert visitor.read_text(encoding="utf-8").count('HTTPConnection("127.0.0.1"') == 1
    assert visitor.read_text(encoding="utf-8").count("HTTPConnection(") == 1
    assert path.parts[-2:] == ("campaigns", "paging.py")
    called = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    asked = [ast.unparse(node) for node in called if ast.unparse(node.func).endswith((".Request", "urlopen", ".open"))]
    assert len(asked) == 2
    assert asked[0].startswith("urllib.request.Request(settings.ONCALL_WEBHOOK, ")
    assert asked[1] == "_opener.open(request, timeout=HOOK_SECONDS)"  # which follows no redirect


def test_a_hostile_zone_costs_eight_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Aliases without end, a silent server, and types that nobody asks for."""
    with running(Server(chases=False)) as server:
        for number in range(30):
            server.put(f"a{number}.evil.example", "CNAME", f"a{number + 1}.evil.example")
        server.put("loop.evil.example", "CNAME", "loop.evil.example")
        ask = resolving.asker(server.address)
        for name in ("a0.evil.example", "loop.evil.example"):
            server.asked.clear()
            assert ask(name, "TXT").status == resolving.Status.MISSING
            assert len(server.asked) <= policy.DNS_CNAME_MAX
        for kind in ("ANY", "AXFR", "PTR", "NS", "SRV"):
            with pytest.raises(LookupError):
                ask("a0.evil.example", kind)
        assert policy.DNS_TIMEOUT_S <= 3
        monkeypatch.setattr(policy, "DNS_TIMEOUT_S", 0.2)
        server.mute.add("slow.evil.example")
        began = time.monotonic()
        assert ask("slow.evil.example", "TXT") == resolving.SILENCE
        assert time.monotonic() - began < 2


# ---------- logs


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Return what the log holds, in the form of production."""
    place = io.StringIO()
    handler = logging.StreamHandler(place)
    handler.setFormatter(LineFormatter())
    logging.getLogger().addHandler(handler)
    yield place
    logging.getLogger().removeHandler(handler)


def test_a_visitor_writes_one_line_into_the_log(client: Client, written: io.StringIO) -> None:
    """Line breaks, escapes and separators in the address and the host name."""
    answer = client.get("/nothing%0d%0a2026-01-01 CRITICAL forged%1b[2J%e2%80%a8%c2%9b31m/")
    assert answer.status_code == 404
    client.get("/", headers={"host": "evil\r\n2026-01-01 CRITICAL forged\x1b[2J"})
    text = written.getvalue()
    assert "forged" in text
    lines = [line for line in text.splitlines() if not line.startswith("  | ")]
    assert [line.split()[2] for line in lines] == ["WARNING", "ERROR"]
    assert not set(text) & {"\r", "\x1b", "\u2028", "\x9b"}


def _refuse(words: str) -> None:
    raise ValueError(words)


def test_the_words_of_an_exception_forge_no_line(written: io.StringIO) -> None:
    try:
        _refuse("bad\n2026-01-01 00:00:00,000 CRITICAL accounts forged\r\x1b[2J for ada@inbox.example")
    except ValueError:
        logging.getLogger("x").exception("failed")
    first, *rest = written.getvalue().splitlines()
    assert first.endswith(" ERROR x failed")
    assert rest
    assert all(line.startswith("  | ") for line in rest)
    assert not set(written.getvalue()) & {"\r", "\x1b"}


def test_a_log_holds_no_token_and_no_address(client: Client, delivery: Delivery, written: io.StringIO) -> None:
    token = tokens.seal(tokens.Purpose.DELIVERY, delivery.pk)
    assert client.put(f"/u/{token}/").status_code == 405
    assert client.get(f"/u/{token}/x/ada@inbox.example/").status_code == 404
    logging.getLogger("x").warning("to %s and %s", "ada@inbox.example", [token.upper()])
    text = written.getvalue()
    assert text.count("\n") == 3
    assert token not in text.lower()
    assert "ada@" not in text
    assert "@inbox.example" in text  # the domain is needed to find a fault


# ---------- secrets in the tables and on pages


def test_a_dump_of_the_database_holds_no_secret(alice: Persona, larkfield: Organization) -> None:
    """Signing keys, seeds of second factors, recovery codes, pasted messages, our own keys: each row of each table."""
    domain = domains.add(larkfield, "mail.larkfield.example", actor=alice.user)
    seed = generate_totp_secret()
    TOTP.activate(alice.user, seed)
    codes = RecoveryCodes.activate(alice.user).get_unused_codes()
    sent = make.delivery(make.campaign(larkfield))
    make.report(sent, raw=b"Subject: private words of the reporter")
    keys = [domains.signing_key(domain).private_pem, domains.platform_key().private_pem]
    bodies = [line for pem in keys for line in pem.splitlines()[1:-1]]
    ours = [key.hex() for keys_ in (live.TOKEN_KEYS, live.SUPPRESSION_KEYS, live.FIELD_KEYS) for key in keys_.values()]
    needles = [
        *("BEGIN PRIVATE", "BEGIN RSA", seed, "private words of the reporter", live.SECRET_KEY, "correct horse"),
        *bodies, *codes, *ours,
    ]  # fmt: skip
    dump = "\n".join(_dump())
    found = [needle for needle in needles if needle in dump or needle.encode().hex() in dump]
    assert found == []
    assert dump.count("k1:gAAAA") >= 4  # two keys of the domain, one of ours, a seed: sealed, and named by their key
    assert "mail.larkfield.example" in dump


def _dump() -> Iterator[str]:
    """Yield every row of every table as text; bytes stand there in hexadecimal.

    One table may not be read by us: it has numbers and dates only, which are no secrets of ours.
    """
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        asked = "SELECT name FROM unnest(%s::text[]) AS name WHERE NOT has_table_privilege(name, 'SELECT')"
        cursor.execute(asked, [tables])
        walled = [row[0] for row in cursor.fetchall()]
        assert walled == ["compliance_listmark"]
        cursor.execute(
            "SELECT DISTINCT atttypid::regtype::text FROM pg_attribute"
            " WHERE attrelid = 'compliance_listmark'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1"
        )
        assert cursor.fetchall() == [("bigint",), ("date",)]
        for table in set(tables) - set(walled):
            cursor.execute(f'SELECT one::text FROM "{table}" AS one')
            yield from (row[0] for row in cursor.fetchall())


def test_a_new_key_seals_and_the_old_one_still_opens(
    alice: Persona, larkfield: Organization, settings: SettingsWrapper
) -> None:
    """Rotation: the newest key is put in front; rows sealed before it stay readable, without it they do not."""
    domain = domains.add(larkfield, "mail.larkfield.example", actor=alice.user)
    old = settings.FIELD_KEYS
    settings.FIELD_KEYS = {"k9": b"\x09" * 32, **old}
    assert domains.signing_key(domain).private_pem.startswith("-----BEGIN")
    second = domains.add(larkfield, "news.larkfield.example", actor=alice.user)
    assert all(key.private_sealed.startswith("k9:") for key in DkimKey.objects.filter(domain=second))
    settings.FIELD_KEYS = {"k9": b"\x09" * 32}
    with pytest.raises(Exception, match="no field key"):
        domains.signing_key(domain)


def test_no_page_shows_a_key() -> None:
    """Neither the staff area to an administrator nor the portal to an owner; no form takes one."""
    world = build()
    domains.platform_key()
    things = objects(world)
    sealed = [*DkimKey.objects.values_list("private_sealed", flat=True), PlatformKey.objects.get().private_sealed]
    assert sealed
    seen = 0
    for name, (get, _) in all_rows().items():
        for persona, place in (("administrator", -1), ("owner", 1)):
            if get[place] == "200" and name.startswith("admin:") is (persona == "administrator"):
                page = str(world.clients[persona].get(url_of(name, world, things)).getvalue())
                assert "PRIVATE KEY" not in page, name
                assert "k1:gAAAA" not in page, name
                assert "private_sealed" not in page, name
                seen += 1
    assert seen > 100
    registered = {model._meta.label for model in apps.get_models() if _in_staff_area(model)}
    assert not {"accounts.DkimKey", "accounts.PlatformKey"} & registered


def _in_staff_area(model: type[Model]) -> bool:
    return model in admin.site._registry
