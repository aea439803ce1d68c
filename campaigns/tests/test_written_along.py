"""Messages written ahead of their turn: as each would be by itself, for a moment only, and a bad one spoils none."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest

from campaigns.errors import RenderError
from campaigns.sending import mime, writer
from campaigns.sending.claim import Item, Without
from campaigns.sending.slices import Counts
from campaigns.sending.writer import TOGETHER_MAX, Writer
from campaigns.tests.test_press import SIGNERS, letter
from sendserver.lib.tokens import Purpose, open_token

FAST = 1e6  # messages a second: as many together as there may be


class Kit:
    """A writer with two letters and a crowd; `calls` are how many were written at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, signed: bool = False) -> None:
        self.now, self.calls, self.per_second = 100.0, [], FAST
        self.writer = Writer(None, Without())  # type: ignore[arg-type]
        for campaign in (1, 2):
            one = letter("<p>{{ city }}</p>", "{{ city }}", "For {{ first_name }}")
            object.__setattr__(one, "signers", SIGNERS if signed else ())
            self.writer.letters[campaign], self.writer.counts[campaign] = one, Counts()
        self.waiting: deque[tuple[Item, float]] = deque()
        self._write = mime.write_all
        monkeypatch.setattr(mime, "write_all", self._counted)
        monkeypatch.setattr(writer.time, "monotonic", lambda: self.now)

    def _counted(self, one: mime.Letter, recipients: Sequence[mime.Addressed]) -> list[mime.Written]:
        self.calls.append(len(recipients))
        return self._write(one, recipients, clock=lambda: 1.7e9)

    def add(self, number: int, *, campaign: int = 1, city: str = "Ely") -> None:
        merge = f'{{"city": "{city}", "first_name": "Reader{number}"}}'
        self.waiting.append((Item(number, campaign, 1, f"reader{number}@crowd.example", merge), self.now))

    def take(self) -> mime.Written | None:
        """Return the next one's message and go on to who follows."""
        found = self.writer.at_once(self.waiting, lambda: self.per_second)
        self.waiting.popleft()
        return found


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> Kit:
    return Kit(monkeypatch)


def of_whom(written: mime.Written | None) -> tuple[int | None, str]:
    assert written is not None
    return open_token(Purpose.DELIVERY, written.envelope.envid), written.envelope.recipient


def test_each_gets_their_own_and_all_are_counted(kit: Kit) -> None:
    for number in range(80):
        kit.add(number)
    people = [item for item, _ in kit.waiting]
    for person in people:
        written = kit.take()
        assert of_whom(written) == (person.delivery_id, person.address)
        assert written == kit._write(kit.writer.letters[1], [person], clock=lambda: 1.7e9)[0]
    assert kit.calls == [TOGETHER_MAX, TOGETHER_MAX, 80 - 2 * TOGETHER_MAX]
    assert kit.writer.counts[1].tried == 80


def test_a_slow_lane_writes_one_at_a_time(kit: Kit) -> None:
    kit.per_second = 50.0
    for number in range(3):
        kit.add(number)
    assert [of_whom(kit.take())[0] for _ in range(3)] == [0, 1, 2]
    assert kit.calls == [1, 1, 1]


def test_signatures_are_made_for_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    kit = Kit(monkeypatch, signed=True)
    for number in range(20):
        kit.add(number)
    for _ in range(20):
        kit.take()
    assert kit.calls == [8, 8, 4]


def test_a_large_message_is_written_with_few_others(kit: Kit) -> None:
    kit.writer.letters[1] = letter("<p>{{ city }}</p>" + "<p>x</p>" * 10_000, "x", "For {{ first_name }}")
    for number in range(4):
        kit.add(number)
    kit.take()
    assert kit.calls[0] < 4


def test_what_lay_for_a_moment_is_written_anew(kit: Kit) -> None:
    for number in range(4):
        kit.add(number)
    kit.take()
    kit.now += writer.KEPT_SECONDS + 0.01
    assert of_whom(kit.take())[0] == 1
    assert kit.calls == [4, 3]


def test_campaigns_are_not_mixed(kit: Kit) -> None:
    for number, campaign in enumerate([1, 2, 1, 2, 1]):
        kit.add(number, campaign=campaign)
    assert [of_whom(kit.take())[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    assert kit.calls == [3, 2]
    assert (kit.writer.counts[1].tried, kit.writer.counts[2].tried) == (3, 2)


def test_one_that_cannot_be_written_spoils_nobody_elses(kit: Kit) -> None:
    for number in range(12):
        kit.add(number, city="" if number == 3 else "Ely")
    found = [kit.take() for _ in range(12)]
    assert [number for number, written in enumerate(found) if written is None] == [3]
    assert [of_whom(written)[0] for written in found if written] == [0, 1, 2, *range(4, 12)]
    assert kit.calls[:2] == [12, 1]
    assert max(kit.calls[1:12]) == 1  # each by itself, until all that were tried together are through
    assert kit.writer.counts[1].tried == 11


def test_those_who_went_another_way_leave_nothing_behind(kit: Kit) -> None:
    for number in range(1000):
        kit.add(number)
    while len(kit.waiting) > TOGETHER_MAX:
        kit.take()
        for _ in range(20):
            kit.waiting.popleft()
        assert len(kit.writer._kept) < 3 * TOGETHER_MAX


def test_whoever_was_put_off_meanwhile_is_left_out(kit: Kit) -> None:
    """Somebody else took the next one: what was written for them is used by nobody, the others keep theirs."""
    for number in range(5):
        kit.add(number)
    kit.take()
    kit.waiting.popleft()
    assert [of_whom(kit.take())[0] for _ in range(3)] == [2, 3, 4]
    assert kit.calls == [5]


def test_a_letter_that_is_not_loaded_is_not_for_here(kit: Kit) -> None:
    kit.add(1, campaign=3)
    assert kit.take() is None
    assert not kit.calls


def test_an_error_of_any_kind_is_met_again_by_who_asks_in_full(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> list[mime.Written]:
        raise RenderError("message", "too slow")

    monkeypatch.setattr(mime, "write_all", broken)
    kit.add(1)
    kit.add(2)
    assert kit.take() is None
    assert kit.writer.counts[1].tried == 0
