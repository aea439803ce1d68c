"""The commonest results are written as any result is, and a stream of messages keeps the rules of a conversation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as live_settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Organization
from campaigns.models import Chunk, Usage
from campaigns.sending import deliver, journal, outcomes, stream
from campaigns.sending.claim import Item
from campaigns.sending.outcomes import Result
from campaigns.sending.owners import Owner
from campaigns.sending.replies import Reply
from campaigns.sending.taken import Taken
from campaigns.tests.lanes import close_breakers, planned, states, tallies, two_relays
from sendserver.testing.relay import Phase, ScriptedRelay, reply

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60)


@given(TEXT, st.integers(200, 299), TEXT.filter(lambda host: "\0" not in host))
def test_what_is_taken_reads_like_any_other_result(words: str, code: int, host: str) -> None:
    taken = Taken(Item(5, 7, 3, "ada@inbox.example", "{}"), "relay-1", host)
    said = taken.add(5, "2026-11-23T10:00:00.123456+00:00", Reply(code, (f"2.0.0 {words}",)), 3000)
    (result,) = taken.results()
    assert Result.from_json(json.loads(said)) == result
    assert said == result.to_json()
    assert list(taken.rows()) == [outcomes.row(result)]
    assert (result.code, result.host, result.wire_bytes, result.attempt) == (code, host, 3000, 1)


def test_what_is_emptied_begins_anew() -> None:
    taken = Taken(Item(5, 7, 3, "ada@inbox.example", "{}"), "relay-1", "host")
    taken.add(5, "2026-11-23T10:00:00+00:00", Reply(250, ("ok",)), 1)
    full = taken.emptied()
    taken.add(6, "2026-11-23T10:00:00+00:00", Reply(250, ("ok",)), 1)
    assert [[one.delivery_id for one in each.ones] for each in (full, taken)] == [[5], [6]]


def test_an_answer_and_the_next_start_are_two_entries(settings: Any, tmp_path: Path) -> None:
    settings.JOURNAL_DIR = tmp_path
    book = journal.Journal("relay-1", Owner.here())
    book.started(1, 1)
    book.answered_and_started((1, 1, "[1]"), 2, 1)
    assert [(e.delivery_id, e.result) for e in journal.read(book.path)] == [(1, [1]), (2, None)]


@pytest.fixture
def pair(settings: Any, tmp_path: Path) -> Any:
    with two_relays(settings, tmp_path) as relays_:
        yield relays_


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    taken: list[bool] = []
    step = stream.Stream.step

    def counted(self: stream.Stream) -> bool:
        taken.append(step(self))
        return taken[-1]

    monkeypatch.setattr(stream.Stream, "step", counted)
    return taken


def _to_one_relay(organization: Organization, people: int) -> Any:
    campaign = planned(organization, people)
    Chunk.objects.update(relay="relay-1")
    return campaign


@pytest.mark.django_db(transaction=True)
def test_most_messages_are_sent_in_steps_and_everything_is_counted(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], steps: list[bool]
) -> None:
    campaign = _to_one_relay(larkfield, 200)
    report = deliver.run_lane("relay-1")
    assert (report.attempted, report.accepted) == (200, 200)
    assert steps.count(True) > 100
    assert states(campaign) == {"accepted": 200}
    assert tallies(campaign) == {"accepted": 200}
    assert sum(Usage.objects.filter(organization=larkfield).values_list("count", flat=True)) == 200
    assert len({envelope.recipient for envelope in pair[0].accepted}) == len(pair[0].accepted) == 200
    assert not list(live_settings.JOURNAL_DIR.glob("*.journal"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("phase", [Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT])
@pytest.mark.parametrize("answer", ["451 4.2.0 later", "550 5.1.1 no such mailbox"])
def test_a_refusal_in_mid_stream_is_its_own(
    larkfield: Organization, pair: tuple[ScriptedRelay, ScriptedRelay], steps: list[bool], phase: Phase, answer: str
) -> None:
    campaign = _to_one_relay(larkfield, 60)
    pair[0].on(phase, reply(answer), when=lambda session: session.recipient.startswith("reader17@"), times=1)
    for _ in range(3):
        deliver.run_lane("relay-1")
        close_breakers()
    found = states(campaign)
    assert found["accepted"] >= 59, found
    assert sum(found.values()) == 60
    assert len({e.recipient for e in pair[0].accepted}) == len(pair[0].accepted) == found["accepted"]
    assert tallies(campaign) == found
