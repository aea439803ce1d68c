"""A message that takes too long to write fails alone; the lane goes on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Organization
from campaigns.errors import RenderError
from campaigns.models import Brake, Chunk, Outcome
from campaigns.sending import deliver, limit, mime
from campaigns.sending.limit import WritingLimit
from campaigns.sending.outcomes import State
from campaigns.tests.lanes import planned, states, tallies, two_relays

ADDRESS = "reader3@crowd.example"


def _endless(*_: Any) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        sum(range(100))


@pytest.mark.django_db(transaction=True)
def test_a_message_that_takes_too_long_fails_alone(
    larkfield: Organization, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, begun = mime.write_all, time.monotonic()

    def slow(letter: mime.Letter, recipients: Sequence[mime.Addressed]) -> list[mime.Written]:
        if any(one.address == ADDRESS for one in recipients):
            _endless()
        return write(letter, recipients)

    monkeypatch.setattr(mime, "write_all", slow)
    before = signal.getsignal(signal.SIGALRM)
    with two_relays(settings, tmp_path) as pair:
        campaign = planned(larkfield, 20)
        Chunk.objects.update(relay="relay-1")
        deliver.run_lane("relay-1")
        assert len(pair[0].accepted) == 19
    assert states(campaign) == tallies(campaign) == {"accepted": 19, "render_failed": 1}
    assert Outcome.objects.get(state=State.RENDER_FAILED).reply == "message: writing it took more than 1 s"
    assert time.monotonic() - begun < 20
    assert not Brake.objects.exists()
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_sleep_and_many_quick_messages_are_not_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "TICK_SECONDS", 0.01)
    waits = iter([0.3] + [0.0] * 2000)  # a stopped host first, then more work together than one message may take

    def write(*_: Any) -> str:
        time.sleep(next(waits))
        return "".join(str(number) for number in range(1000))

    monkeypatch.setattr(mime, "write_all", write)
    with WritingLimit(0.1) as one:
        for _ in range(2000):
            one.write(None, None)  # type: ignore[arg-type]


def test_nothing_is_raised_outside_of_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(mime, "write_all", lambda *_: None)
    with WritingLimit(0.05) as one:
        one.write(None, None)  # type: ignore[arg-type]
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            sum(range(100))
        monkeypatch.setattr(mime, "write_all", _endless)
        with pytest.raises(RenderError, match="more than 0"):
            one.write(None, None)  # type: ignore[arg-type]


def test_another_thread_is_not_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def enter() -> None:
        with WritingLimit(1.0) as one:
            seen.append(one.is_on)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [False]
