"""Pure decisions and small rooms: retry, pace, journal, message writing, brakes, events, test messages, relays."""

from __future__ import annotations

import random
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import AuditEntry, Organization
from campaigns import brakes, compose
from campaigns.content.compile import MessageContent, compile_message
from campaigns.errors import RenderError
from campaigns.events import EventData, record_event
from campaigns.models import Brake, Campaign, Delivery, Event, EventKind, SystemMail
from campaigns.sending import dkim, journal, mime, relays, retry, trial
from campaigns.sending.owners import Owner
from campaigns.sending.pace import Bucket
from campaigns.sending.phases import Answer, Phase, WireError
from campaigns.sending.replies import Reply
from campaigns.sending.retry import Kind, Relay
from campaigns.tests.lanes import planned, two_relays
from campaigns.tests.world import make_draft, make_world
from compliance.models import Suppression
from sendserver.lib import clock
from sendserver.lib.relays import RelayConfig

RANDOM = random.Random(7)


def _decide(phase: Phase, code: int, text: str, *, attempt: int = 1, age: float = 0.0) -> retry.Decision:
    return retry.of_answer(Answer(phase, Reply(code, (text,))), attempt=attempt, age=age, random=RANDOM)


@pytest.mark.parametrize(
    ("phase", "code", "text", "kind", "relay"),
    [
        (Phase.DOT, 250, "2.0.0 queued as A1B2C3", Kind.ACCEPTED, Relay.FINE),
        (Phase.RCPT, 550, "5.1.1 no such user", Kind.REJECTED, Relay.FINE),
        (Phase.DOT, 554, "5.7.1 spam", Kind.REJECTED, Relay.FINE),
        (Phase.RCPT, 451, "4.7.1 greylisted", Kind.RETRY, Relay.FINE),
        (Phase.DOT, 451, "4.3.0 queue trouble", Kind.RETRY, Relay.BUSY),
        (Phase.DOT, 421, "4.7.0 later", Kind.RETRY, Relay.BUSY),
        (Phase.RCPT, 421, "4.3.2 closing", Kind.PUT_BACK, Relay.BUSY),
        (Phase.RCPT, 452, "4.3.1 disk", Kind.PUT_BACK, Relay.BUSY),
        (Phase.RCPT, 452, "4.2.2 mailbox full", Kind.RETRY, Relay.FINE),
        (Phase.MAIL, 550, "5.7.1 sender refused", Kind.PUT_BACK, Relay.FAULT),
        (Phase.MAIL, 451, "4.3.0 later", Kind.PUT_BACK, Relay.BUSY),
        (Phase.MAIL, 552, "5.3.4 too big", Kind.REJECTED, Relay.FINE),
    ],
)
def test_what_follows_from_a_reply(phase: Phase, code: int, text: str, kind: Kind, relay: Relay) -> None:
    decision = _decide(phase, code, text)
    assert (decision.kind, decision.relay) == (kind, relay)


def test_waits_grow_and_end_after_two_days() -> None:
    waits = [_decide(Phase.RCPT, 450, "4.2.0 later", attempt=n).wait for n in range(1, 8)]
    bases = [300, 900, 1800, 3600, 7200, 7200, 7200]
    assert all(base <= wait <= base * 1.2 for base, wait in zip(bases, waits, strict=True))
    assert _decide(Phase.RCPT, 452, "4.2.2 mailbox full").wait >= 86_400
    ended = _decide(Phase.RCPT, 450, "4.2.0 later", attempt=30, age=48 * 3600)
    assert (ended.kind, ended.bounce_class) == (Kind.REJECTED, "soft")


@pytest.mark.parametrize("phase", list(Phase))
def test_only_behind_the_dot_there_is_doubt(phase: Phase) -> None:
    kind = retry.of_error(WireError(phase, "lost", fault=True)).kind
    assert (kind is Kind.IN_DOUBT) == (phase is Phase.DOT)


def test_user_unknown_behind_the_message_is_a_filters_word() -> None:
    assert _decide(Phase.DOT, 550, "User unknown").bounce_class == "policy_recipient"
    assert _decide(Phase.RCPT, 550, "User unknown").bounce_class == "hard_recipient"


def test_a_bucket_spreads_messages() -> None:
    now = [0.0]
    bucket = Bucket(rate=2.0, clock=lambda: now[0])
    assert [bucket.take() for _ in range(4)] == [0.0, 0.0, 0.5, 1.0]
    now[0] = 10.0
    assert bucket.take() == 0.0
    assert Bucket(rate=0).take() == 0.0


def test_a_torn_journal_is_read_up_to_the_tear(settings, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    settings.JOURNAL_DIR = tmp_path
    book = journal.Journal("relay-1", Owner.here())
    book.started(1, 1)
    book.answered(1, 1, '{"state": "accepted"}')
    book.started(2, 1)
    book.close(keep=True)
    with book.path.open("ab") as file:
        file.write(b'{"s":3,"n"')
    entries = journal.read(book.path)
    assert [(e.delivery_id, e.result) for e in entries] == [(1, {"state": "accepted"}), (2, None)]
    assert book.path.stat().st_mode & 0o777 == 0o600
    assert [owner for _, owner in journal.left_behind("relay-1")] == [Owner.here()]


# --- Messages


COMPILED = compile_message(
    MessageContent(
        subject='{{ subject | default: "Hello" }}',
        preheader="",
        from_name="Larkfield Garden Co.",
        from_address="news@mail.larkfield.example",
        reply_to="hello@larkfield.example",
        html='<p>{{ body | default: "Hello" }}</p><a href="{{ unsubscribe_url }}">stop</a>',
        text='{{ body | default: "Hello" }}\n{{ unsubscribe_url }}',
        list_name="Newsletter",
        list_id="l1.o1.lists.sendserver.example",
        fields=frozenset({"subject", "body", "first_name"}),
    )
)
LETTER = mime.Letter(
    compiled=COMPILED,
    from_name="Larkfield Garden Co.",
    from_address="news@mail.larkfield.example",
    reply_to="hello@larkfield.example",
    list_name="Newsletter",
    list_id="l1.o1.lists.sendserver.example",
    feedback_id="c1:o1:mkt:mxsendserver",
    return_host="b.mail.larkfield.example",
)


def _is_whole(message: bytes) -> bool:
    """Look at final bytes one line after the other: CRLF alone ends a line, none is long or begins with a dot."""
    *lines, rest = message.split(b"\r\n")
    return not rest and all(
        len(line) <= 998 and not set(line) & {0, 10, 13} and not line.startswith(b".") for line in lines
    )


BREAKS = ("x\r\nBcc: y@z", "x\ny", "x\ry")
EVIL = ["x\r\nBcc: y@z", "x\ny", "x\0y", "x\ry", "x\u2028y", "x\u202ey"]


@pytest.mark.parametrize(
    ("place", "evil"),
    # A body keeps lines and what only confuses the eye.
    [*((place, evil) for place in ("subject", "first_name") for evil in EVIL), *(("body", evil) for evil in EVIL[:5])],
)
def test_no_value_reaches_a_header_or_breaks_a_line(place: str, evil: str) -> None:
    recipient = mime.Recipient(7, "ada@inbox.example", {place: evil})
    try:
        message = mime.write(LETTER, recipient).message
    except RenderError:
        return
    assert place == "first_name" or (place == "body" and evil in BREAKS)  # a name is cleaned, a body has lines
    head = message.partition(b"\r\n\r\n")[0]
    assert _is_whole(message)
    assert b"\nBcc" not in head
    assert head.count(b"\r\nTo: ") == 1


@given(st.text(alphabet=st.sampled_from(list("a.F rom=\r\n\t ö<&\U0001f600")), max_size=200))
def test_whatever_stands_in_a_body_its_lines_are_whole(value: str) -> None:
    recipient = mime.Recipient(7, "ada@inbox.example", {"body": value})
    try:
        message = mime.write(LETTER, recipient).message
    except RenderError:
        return
    assert _is_whole(message)


@given(st.text(max_size=120), st.text(max_size=60))
def test_headers_read_back_and_stay_ascii(subject: str, name: str) -> None:
    recipient = mime.Recipient(7, "ada@inbox.example", {"subject": subject, "first_name": name})
    try:
        message = mime.write(LETTER, recipient).message
    except RenderError:
        return
    assert message.isascii()
    assert _is_whole(message)
    mail = message_from_bytes(message, policy=policy.default)
    assert len(mail.get_all("Subject")) == len(mail.get_all("To")) == 1
    assert mail["To"].addresses[0].addr_spec == "ada@inbox.example"
    assert mail["List-Unsubscribe"].count("http") == 1


def test_long_subjects_fold_into_words_of_75() -> None:
    text = "Grüße aus dem Garten und viel Neues über Rosen 🌹 " * 4
    block = mime.encoded("Subject", text.strip())
    assert all(len(word) <= 75 for line in block.split("\r\n") for word in line.split())


def test_relaxed_forms_are_the_rfcs() -> None:
    # RFC 6376 section 3.4.5
    assert dkim.relaxed_header("A", " X") == b"a:X\r\n"
    assert dkim.relaxed_header("B ".strip(), " Y\t\r\n\tZ  ") == b"b:Y Z\r\n"
    assert dkim.relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"
    assert dkim.relaxed_body(b"\r\n\r\n") == b""


# --- Brakes, events, relays


@pytest.mark.django_db
def test_a_brake_is_set_once_audited_and_lifted_once(larkfield: Organization, alice) -> None:  # type: ignore[no-untyped-def]
    first = brakes.set_brake(Brake.Kind.STAFF, "Looking", organization=larkfield, actor=alice.user)
    assert brakes.set_brake(Brake.Kind.STAFF, "Looking again", organization=larkfield) == first
    assert brakes.set_brake(Brake.Kind.BOUNCES, "Bounces", organization=larkfield) != first
    assert brakes.lift(first, actor=alice.user, reason="Fine")
    assert not brakes.lift(first, actor=alice.user, reason="Fine")
    acts = list(AuditEntry.objects.filter(action__startswith="brake.").values_list("action", flat=True))
    assert sorted(acts) == ["brake.lifted", "brake.set", "brake.set"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("tried", "render", "blocked", "kind"),
    [(1000, 10, 0, None), (1000, 11, 0, "render"), (100_000, 50, 0, "render"), (100, 0, 20, "blocked"),
     (1, 1, 0, None), (1000, 0, 20, None), (30, 0, 19, None)],
)  # fmt: skip
def test_technical_brakes(larkfield: Organization, tried: int, render: int, blocked: int, kind: str | None) -> None:
    campaign = Campaign.objects.create(organization=larkfield, name="x")
    brake = brakes.judge_technical(campaign, tried=tried, render_failed=render, blocked=blocked)
    assert (brake.kind if brake else None) == kind


@pytest.mark.django_db
def test_an_event_told_twice_is_one_and_heals_its_effect(larkfield: Organization) -> None:
    planned(larkfield, 1)
    delivery = Delivery.objects.get()
    data = EventData(EventKind.COMPLAINED, "arf", "arf:1", clock.now(), delivery=delivery)
    assert record_event(data) is not None
    Suppression.objects.all().delete()
    assert record_event(data) is None
    assert Event.objects.count() == 1
    assert Suppression.objects.get().reason == "complaint"


@pytest.mark.django_db
@pytest.mark.parametrize(("campaigns", "days", "stops"), [(3, 15, True), (3, 5, False), (2, 20, False)])
def test_full_mailboxes_rest_after_three_campaigns(
    larkfield: Organization, campaigns: int, days: int, stops: bool
) -> None:
    planned(larkfield, 1)
    first = Delivery.objects.get()
    for number in range(campaigns):
        campaign = Campaign.objects.create(organization=larkfield, name=str(number))
        delivery = Delivery.objects.create(
            campaign=campaign, organization=larkfield, contact_id=first.contact_id, address=first.address,
            address_hash=first.address_hash, domain=first.domain,
        )  # fmt: skip
        at = clock.now() - timedelta(days=days * (campaigns - 1 - number) / (campaigns - 1))
        record_event(EventData(EventKind.BOUNCED, "dsn", f"x{number}", at, delivery=delivery, bounce_class="full"))
    row = Suppression.objects.first()
    assert (row is not None) is stops
    if row:
        assert row.until is not None
        assert row.reason == "soft_bounce"


@pytest.mark.parametrize(
    ("urls", "wrong"),
    [
        (["smtp://127.0.0.1:1", "smtp://127.0.0.1:2"], False),
        (["smtp://relay.example:25?tls=none", "smtp://127.0.0.1:2"], True),
        (["smtp://u:p@127.0.0.1:1", "smtp://127.0.0.1:2"], True),
        (["smtp://127.0.0.1:1", "smtp://127.0.0.1:1"], True),
        (["smtp://127.0.0.1:1"], True),
        (["smtp://127.0.0.1:1", "smtp://127.0.0.1:2", "smtp://127.0.0.1:3"], True),
        (["smtps://a.example", "smtp://b.example"], False),
    ],
)
def test_exactly_two_relays_and_no_plain_smtp_elsewhere(settings, urls: list[str], wrong: bool) -> None:  # type: ignore[no-untyped-def]
    settings.RELAYS = {f"relay-{n}": RelayConfig.from_url(n, url) for n, url in enumerate(urls, start=1)}
    assert bool(relays.problems()) is wrong


@pytest.mark.django_db
def test_a_test_message_goes_to_oneself_before_approval(alice, larkfield: Organization) -> None:  # type: ignore[no-untyped-def]
    Organization.objects.update(standing="unverified")
    draft = make_draft(make_world(larkfield, 1), alice.user)
    assert trial.send_trial(draft, alice.user) == alice.user.email
    mail = message_from_bytes(bytes(SystemMail.objects.get().message), policy=policy.default)
    assert mail["Subject"].startswith("[Test] ")
    assert mail["To"].addresses[0].addr_spec == alice.user.email
    assert not Delivery.objects.exists()
    alice.user.emailaddress_set.update(verified=False)
    with pytest.raises(trial.TrialRefusedError):
        trial.send_trial(draft, alice.user)


@pytest.mark.django_db
def test_the_real_compiler_fits(larkfield: Organization) -> None:
    draft = make_draft(make_world(larkfield, 1), None)  # type: ignore[arg-type]
    content, _ = compose.content_of(draft)
    compiled = compile_message(content)
    letter = mime.Letter(compiled, content.from_name, content.from_address, content.reply_to, content.list_name,
                         content.list_id, "c1:o1:mkt:mxsendserver", "b.x.example")  # fmt: skip
    written = mime.write(letter, mime.Recipient(3, "ada@inbox.example", {"first_name": "Ada"}))
    mail = message_from_bytes(written.message, policy=policy.default)
    assert "Ada" in mail.get_body(("plain",)).get_content()
    assert "/u/" in mail.get_body(("html",)).get_content()


@pytest.mark.django_db(transaction=True)
def test_a_worker_refuses_the_other_relays_task(settings, tmp_path: Path, larkfield: Organization) -> None:  # type: ignore[no-untyped-def]
    from campaigns.tasks import run_lane

    with two_relays(settings, tmp_path) as pair:
        planned(larkfield, 4)
        run_lane.push_request(delivery_info={"routing_key": "relay-2"})
        run_lane.run("relay-1")
        run_lane.pop_request()
        assert not pair[0].sessions
        run_lane.push_request(delivery_info={"routing_key": "relay-1"})
        run_lane.run("relay-1")
        run_lane.pop_request()
        assert len(pair[0].accepted) == 4


@pytest.mark.django_db(transaction=True)
def test_a_lane_that_has_run_dry_asks_for_the_end(  # type: ignore[no-untyped-def]
    settings, tmp_path: Path, larkfield: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    from campaigns.sending import poke
    from campaigns.tasks import run_lane

    poked: list[str] = []
    monkeypatch.setattr(poke, "_send", lambda task, *_: poked.append(task))
    with two_relays(settings, tmp_path):
        planned(larkfield, 4)
        poked.clear()
        run_lane.run("relay-1")
        assert poked == ["campaigns.sweep"]
        run_lane.run("relay-1")
        assert poked == ["campaigns.sweep"]
