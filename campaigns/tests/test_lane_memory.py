"""What a lane's process holds: its peak memory while it sends, and what it has loaded for that."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections

from campaigns.bench import processes, world
from campaigns.bench.content import SMALL
from campaigns.bench.product import Lanes, Setup, Spent
from campaigns.bench.sinks import OwnSink, Pair

PEOPLE = 20_000
MOST_MIB = 100.0
GROWTH_MIB = 5.0
BROKER = 7  # a database of the broker that no other test uses
LIBRARIES = ("lxml", "selectolax", "css_inline")
# Compilers of letters, readers of mail and pages: other workers need them, a lane does not.
FOREIGN = (*LIBRARIES, "markdown_it", "nh3", "inscriptis", "requests", "dns", "allauth", "prompt_toolkit")
PAGES = ("sendserver.urls", "sendserver.staff", "sendserver.pages", "django.contrib.admin", "abuse", "accounts.views")
OTHER_WORK = (
    "campaigns.planning",
    "campaigns.views",
    "campaigns.tasks",
    "campaigns.inbound.process",
    "sendserver.celery",
)
_LOADED = """
import sys
from sendserver import lane
lane.made_worker("relay-1")
lane.refuse_wrong_relays()
print(*sys.modules)
"""


def environment() -> dict[str, str]:
    """Return what the lanes inherit: this process's environment, with the copy of the database that it uses.

    Slices are short, so that several follow each other: what one leaves behind would show.
    """
    made = dict(os.environ) | {"SENDING_SLICE_SECONDS": "2"}
    for name, alias in (("DATABASE_URL", "default"), ("DATABASE_OWNER_URL", "owner")):
        made[name] = f"{made[name].rpartition('/')[0]}/{connections[alias].settings_dict['NAME']}"
    return made


@pytest.fixture
def lanes(tmp_path: Path) -> Iterator[Lanes]:
    """Start both lanes as the product does, before two sinks of our own."""
    pair = Pair([OwnSink.start(tmp_path) for _ in range(2)])
    started = Lanes(Setup("memory", BROKER), pair, tmp_path, environment())
    try:
        started.start()
        yield started
    finally:
        started.stop()
        pair.stop()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_a_lane_needs_no_more_than_a_hundred_mib(lanes: Lanes) -> None:
    """The portal signs, the harder case: keys are loaded and two signatures a message are made."""
    customer, spent = world.Customer.make(), Spent.find()
    lanes.send(world.planned(customer.frozen(SMALL, 2000), 2000), 2000, spent)
    first = [_peak(pid) for pid in lanes.pids]
    lanes.send(world.planned(customer.frozen(SMALL, PEOPLE), PEOPLE), PEOPLE, spent)
    peaks = [_peak(pid) for pid in lanes.pids]
    assert 40.0 < max(peaks) <= MOST_MIB
    assert max(peaks) - max(first) <= GROWTH_MIB
    for pid in lanes.pids:
        mapped = Path(f"/proc/{pid}/maps").read_text()
        assert "uvloop" in mapped  # the files of a lane's libraries are seen this way
        assert [name for name in LIBRARIES if re.search(rf"/{name}\b", mapped)] == []


def _peak(pid: int) -> float:
    """Return the peak since the last `Lanes.send` began, in MiB."""
    return processes.peak_rss(pid)


def test_a_lane_loads_what_it_needs() -> None:
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LOADED],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    loaded = set(answer.stdout.split())
    assert {
        "campaigns.lane_task",
        "campaigns.sending.deliver",
        "celery.apps.worker",
        "celery.concurrency.solo",
    } <= loaded
    assert sorted(loaded & {*FOREIGN, *PAGES, *OTHER_WORK}) == []


def test_a_lane_serves_one_queue_and_knows_one_task() -> None:
    code = (
        "from sendserver import lane\nworker = lane.made_worker('relay-2')\nworker.app.finalize()\n"
        "print(*worker.app.amqp.queues)\nprint(*(t for t in worker.app.tasks if not t.startswith('celery.')))"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert answer.stdout.split("\n")[:2] == ["relay-2", "campaigns.run_lane"]


@pytest.mark.parametrize("words", [[], ["work"], ["relay-1", "relay-2"]])
def test_a_lane_must_be_told_its_relay(words: list[str]) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "sendserver.lane", *words], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert "Say which relay" in answer.stderr


def test_a_lane_does_not_start_when_both_relays_are_one_server() -> None:
    """The one system check that concerns a lane; it leaves the others out."""
    same = "smtp://127.0.0.1:2501?name=out1.sendserver.example"
    answer = subprocess.run(
        [sys.executable, "-m", "sendserver.lane", "relay-1"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ) | {"RELAY_1_URL": same, "RELAY_2_URL": same},
        timeout=60,
    )
    assert answer.returncode == 1
    assert "Both relays are the same server." in answer.stderr
