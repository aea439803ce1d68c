"""Who is called, for what, when, how often, and what stands for it in the database."""

from __future__ import annotations

import errno
import hashlib
import hmac
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import Client

from accounts.models import AuditEntry, Organization
from campaigns import alarms, brakes, checks, conditions, paging
from campaigns.models import Alarm, Brake, Outcome, RelayState, SystemMail, Tally
from campaigns.sending import deliver, relays, trouble
from campaigns.tests.lanes import planned, two_relays
from sendserver.lib import clock, logs
from sendserver.testing.hook import Hook
from sendserver.testing.relay import Phase, reply

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook(settings: Any) -> Iterator[Hook]:
    with Hook() as listening:
        settings.ONCALL_WEBHOOK, settings.ONCALL_WEBHOOK_KEY = listening.url, "k" * 32
        settings.EMAIL_BACKEND = "campaigns.sending.system.SystemMailBackend"  # tests have another one
        yield listening


@pytest.fixture
def hour(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a clock that a test moves on by seconds."""
    now = [clock.now()]
    monkeypatch.setattr(clock, "now", lambda: now[0])

    def later(seconds: float) -> None:
        now[0] += timedelta(seconds=seconds)

    return later


def both_fine() -> None:
    for key in relays.KEYS:
        relays.state(key)
        RelayState.objects.filter(key=key).update(healthy=True, open_until=None)


def keys() -> list[str]:
    return [alarm.key for alarm in alarms.watch()]


def mails() -> list[tuple[str, str]]:
    """Return recipient and subject of our own mail, oldest first."""
    rows = SystemMail.objects.order_by("pk")
    parsed = [(row.recipient, message_from_bytes(bytes(row.message), policy=policy.default)) for row in rows]
    return [(recipient, str(mail["Subject"])) for recipient, mail in parsed]


def test_nothing_is_wrong(hook: Hook) -> None:
    both_fine()
    assert keys() == []
    assert (hook.told, mails(), Alarm.objects.count()) == ([], [], 0)


def test_a_fault_of_configuration_calls_at_once_by_mail_and_webhook(hook: Hook, settings: Any) -> None:
    both_fine()
    relays.report_failure("relay-1", "535 5.7.8 no", seconds=relays.FAULT_SECONDS)
    assert keys() == ["relay-1:fault"]
    assert mails() == [(settings.ONCALL_EMAIL, "Alarm: relay-1:fault")]
    assert SystemMail.objects.get().relay == "relay-2"  # the one that works
    assert [(one["key"], one["state"], one["call"]) for one in hook.told] == [("relay-1:fault", "open", 1)]
    assert "535 5.7.8 no" in hook.told[0]["text"]


def test_the_webhook_can_tell_that_it_is_us(hook: Hook) -> None:
    paging.hook("relay-1:fault", "x", since=clock.now())
    body, header = hook.calls[0]
    at, _, mark = header.removeprefix("t=").partition(",v1=")
    assert mark == hmac.new(b"k" * 32, at.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert abs(int(at) - time.time()) < 30


@pytest.mark.parametrize("status", [302, 500])
def test_a_webhook_that_does_not_take_it_is_no_error(hook: Hook, status: int) -> None:
    hook.status = status
    assert paging.hook("aside", "x", since=clock.now()) is False
    assert len(hook.calls) == 1  # nor is a redirect followed


def test_one_relay_away_calls_after_five_minutes_both_after_one(hook: Hook, hour: Any) -> None:
    both_fine()
    relays.report_failure("relay-1", "connection refused")
    assert keys() == []
    hour(299)
    assert keys() == []
    hour(1)
    assert keys() == ["relay-1:away"]
    relays.report_failure("relay-2", "connection refused")
    assert keys() == ["relay-1:away"]
    hour(60)
    assert set(keys()) == {"relay-1:away", "relays:none"}


def test_what_mends_itself_in_time_calls_nobody(hook: Hook, hour: Any) -> None:
    both_fine()
    relays.report_failure("relay-1", "connection refused")
    alarms.watch()
    relays.report_ok("relay-1")
    hour(400)
    assert keys() == []
    assert (hook.told, Alarm.objects.count()) == ([], 0)


def test_it_calls_again_until_somebody_answers_and_says_when_it_is_over(hook: Hook, hour: Any, moderator: Any) -> None:
    both_fine()
    relays.report_failure("relay-1", "535 no", seconds=relays.FAULT_SECONDS)
    alarms.watch()
    hour(899)
    alarms.watch()
    assert len(hook.told) == 1
    hour(1)
    alarms.watch()
    assert [one["call"] for one in hook.told] == [1, 2]
    assert alarms.acknowledge(Alarm.objects.get(), actor=moderator.user, name="Ruth")
    assert not alarms.acknowledge(Alarm.objects.get(), actor=moderator.user, name="Ruth")
    SystemMail.objects.update(state="sent")  # or they would be an alarm of their own by now
    hour(3600)
    alarms.watch()
    assert len(hook.told) == 2
    assert AuditEntry.objects.filter(action="alarm.acknowledged", reason="relay-1:fault").count() == 1
    relays.report_ok("relay-1")
    alarms.watch()
    assert not Alarm.objects.filter(key="relay-1:fault", closed_at=None).exists()
    states = [one["state"] for one in hook.told if one["key"] == "relay-1:fault"]
    assert states == ["open", "open", "over"]
    assert [subject for _, subject in mails()][-1] == "Over: relay-1:fault"


def test_a_relay_that_staff_hold_is_no_alarm(hook: Hook, moderator: Any) -> None:
    both_fine()
    for key in relays.KEYS:
        relays.report_failure(key, "away", seconds=relays.FAULT_SECONDS)
        relays.hold(key, actor=moderator.user, reason="maintenance", drain=False)
    assert keys() == []


def test_a_failing_self_test_calls(hook: Hook, hour: Any, settings: Any) -> None:
    both_fine()
    settings.RELAY_SELF_TEST = "loop.example"
    relays.report_probe("relay-1", fault="the body was changed")
    relays.report_probe("relay-2", fault="")
    alarms.watch()
    hour(300)
    assert keys() == ["relay-1:self-test"]


def test_a_restored_database_calls_at_once(hook: Hook) -> None:
    both_fine()
    brakes.set_brake(Brake.Kind.EPOCH, "behind")
    assert keys() == ["epoch"]


def test_work_that_nobody_does_calls(hook: Hook, hour: Any, larkfield: Organization) -> None:
    both_fine()
    planned(larkfield, 20)
    alarms.watch()
    hour(180)
    assert keys() == ["lanes:still"]
    brake = brakes.set_brake(Brake.Kind.STAFF, "wait", organization=larkfield)
    assert keys() == []  # nobody may send it
    brakes.lift(brake, actor=None, reason="go on")
    Outcome.objects.create(delivery_id=1, campaign_id=1, state="accepted", at=clock.now())
    hour(170)
    assert keys() == []  # something was sent a moment ago


def test_much_doubt_set_aside_and_mail_that_does_not_leave(
    hook: Hook, hour: Any, larkfield: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_fine()
    campaign = planned(larkfield, 1)
    brakes.set_brake(Brake.Kind.STAFF, "wait", organization=larkfield)
    tally = Tally.objects.create(campaign=campaign, relay="relay-1", state="in_doubt", count=conditions.DOUBT_MOST)
    SystemMail.objects.create(recipient="a@b.example", sender="c@d.example", message=b"", relay="relay-1",
                              due_at=clock.now())  # fmt: skip
    alarms.watch()
    hour(601)
    assert keys() == []
    tally.count += 1
    tally.save()
    alarms.watch()
    hour(1300)
    assert keys() == ["own-mail", "doubt"] or set(keys()) == {"own-mail", "doubt"}
    monkeypatch.setattr(conditions, "DISK_LEAST", 2**62)
    assert "disk" in keys()


# --- what a lane reports
@pytest.mark.django_db(transaction=True)
def test_a_refused_sender_calls_while_the_mail_waits(
    larkfield: Organization, settings: Any, tmp_path: Path, hook: Hook
) -> None:
    """Fault 13, end to end: both relays refuse our sender, so only the webhook can call."""
    with two_relays(settings, tmp_path) as pair:
        planned(larkfield, 4)
        for relay in pair:
            relay.on(Phase.MAIL, reply("550 5.7.1 sender refused"))
        for key in relays.KEYS:
            deliver.run_lane(key)
        assert set(keys()) == {"relay-1:fault", "relay-2:fault"}
    assert {one["key"] for one in hook.told} == {"relay-1:fault", "relay-2:fault"}


@pytest.mark.django_db(transaction=True)
def test_a_journal_that_cannot_be_written_is_an_alarm(
    larkfield: Organization, settings: Any, tmp_path: Path, hook: Hook, hour: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with two_relays(settings, tmp_path) as pair:
        planned(larkfield, 4)
        both_fine()

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("campaigns.sending.journal.Journal.started", full)
        with pytest.raises(OSError, match="No space"):
            deliver.run_lane("relay-1")
        assert not pair[0].accepted
        (key,) = keys()
        assert key.startswith("journal:relay-1@")
        assert hook.told[0]["key"] == key
    hour(121)  # not reported again: there is room again
    assert keys() == []
    assert hook.told[-1]["state"] == "over"


def failing(error: BaseException) -> Any:
    @trouble.reported
    def run(key: str) -> None:
        raise error

    return run


def wrapped(cause: psycopg.Error) -> DatabaseError:
    error = DatabaseError("could not extend file")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [wrapped(psycopg.errors.DiskFull()), psycopg.errors.DiskFull(), psycopg.errors.ReadOnlySqlTransaction()],
    ids=["by Django", "by COPY", "a standby"],
)
def test_a_database_without_room_calls_past_it(hook: Hook, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Nothing can be written down, so the webhook is called from the lane, once."""

    def no_room(*_: object) -> None:
        raise wrapped(psycopg.errors.DiskFull())

    monkeypatch.setattr(alarms, "_keep_report", no_room)
    monkeypatch.setattr(alarms, "_told", {})
    for _ in range(2):
        with pytest.raises(type(error)):
            failing(error)("relay-1")
    assert [one["key"] for one in hook.told] == ["database:full"]


@pytest.mark.parametrize("error", [ConnectionResetError(errno.ECONNRESET, "x"), DatabaseError("deadlock")])
def test_other_errors_are_no_alarm(error: BaseException) -> None:
    with pytest.raises(type(error)):
        failing(error)("relay-1")
    assert not Alarm.objects.exists()


def test_lost_lines_of_the_log_are_an_alarm(hook: Hook) -> None:
    both_fine()
    handler = logs.CountingHandler(Path("/dev/full").open("w", buffering=1))  # noqa: SIM115 (cannot even be closed)

    @trouble.reported
    def run(key: str) -> int:
        handler.emit(logging.LogRecord("x", logging.ERROR, "x", 1, "a line", None, None))
        return 7

    assert run("relay-2") == 7
    with pytest.raises(OSError, match="No space"):
        handler.stream.close()
    (key,) = keys()
    assert key.startswith("log:relay-2@")


# --- how it is seen
def test_a_monitor_sees_it_by_page_and_command(client: Client, hook: Hook, capsys: Any) -> None:
    both_fine()
    assert client.get("/healthz/sending").content == b"ok\n"
    call_command("alarms", look=True)
    relays.report_failure("relay-1", "535 secret words", seconds=relays.FAULT_SECONDS)
    with pytest.raises(SystemExit, match="1"):
        call_command("alarms", look=True)
    assert capsys.readouterr().out.startswith("relay-1:fault since ")
    answer = client.get("/healthz/sending")
    assert answer.status_code == 503
    assert answer.content.startswith(b"relay-1:fault since ")
    assert b"secret" not in answer.content


def test_staff_see_it_and_say_that_they_look(hook: Hook, moderator: Any) -> None:
    both_fine()
    relays.report_failure("relay-1", "535 no", seconds=relays.FAULT_SECONDS)
    (alarm,) = alarms.watch()
    page = moderator.client.get("/staff/").content.decode()
    assert "relay-1:fault" in page
    assert "I look at it" in page
    answer = moderator.client.post(f"/staff/alarms/{alarm.pk}/acknowledge/")
    assert answer.status_code == 302
    alarm.refresh_from_db()
    assert alarm.acknowledged_by == moderator.user.get_full_name()
    assert "I look at it" not in moderator.client.get("/staff/").content.decode()


@pytest.mark.parametrize(
    ("url", "key", "problems"),
    [
        ("", "", 0),
        ("https://pager.example/x", "k" * 16, 0),
        ("http://127.0.0.1:9/x", "k" * 16, 0),
        ("http://pager.example/x", "k" * 16, 1),
        ("file:///etc/passwd", "", 2),
    ],
)
def test_a_webhook_is_checked_at_start(settings: Any, url: str, key: str, problems: int) -> None:
    settings.ONCALL_WEBHOOK, settings.ONCALL_WEBHOOK_KEY = url, key
    assert len(checks.webhook_is_sound()) == problems


def test_one_open_alarm_a_key() -> None:
    alarms.report("journal:x", "one")
    alarms.report("journal:x", "two")
    assert list(Alarm.objects.values_list("text", flat=True)) == ["two"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'alarm_once'")
        assert "UNIQUE" in cursor.fetchone()[0]
