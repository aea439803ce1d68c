"""One round's world: a fresh database, two relays, a planned campaign, and the processes that send it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections

from accounts.models import Organization
from campaigns.models import Campaign, CampaignState, Chunk
from campaigns.sending import relay_log, sweep
from campaigns.sending.poke import poke
from campaigns.tests.lanes import planned
from sendserver.lib.relays import RelayConfig
from sendserver.testing import databases
from sendserver.testing.personas import make_organization
from sendserver.testing.torture import books, child
from sendserver.testing.torture.child import Failpoint, Order
from sendserver.testing.torture.oracle import FINAL, Cut, Seen
from sendserver.testing.torture.relayside import TortureRelay
from sendserver.testing.torture.scale import Scale
from sendserver.testing.torture.services import Machine

PATIENCE = 60.0  # seconds for something that must happen on a busy machine, at the quick scale
PEOPLE = 120
KEYS = ("relay-1", "relay-2")
ENDED = (CampaignState.SENT, CampaignState.STOPPED)
Value = TypeVar("Value")
_fork = multiprocessing.get_context("forkserver")


def warm_up() -> None:
    """Load Django once, in the process that all children are forked from."""
    _fork.set_forkserver_preload(["sendserver.testing.torture.loaded", "sendserver.testing.torture.child"])


@dataclass
class Told:
    """What a fault tells of its round: whether it landed, how many broke off, what the oracle shall allow or check."""

    hits: int = 0
    incidents: int = 0
    doubt: int | None = None
    ends: frozenset[str] = frozenset({"sent"})
    open_states: frozenset[str] = frozenset()
    lost_ledger: bool = False
    cuts: list[Cut] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def claim(self, holds: bool, sentence: str) -> None:
        """Keep the sentence as a problem unless it holds."""
        if not holds:
            self.problems.append(sentence)


class Child:
    """A process that may be killed."""

    def __init__(self, name: str, target: Callable[..., None], *arguments: object) -> None:
        self.name, self._told = name, False
        self.process = _fork.Process(target=target, args=arguments, name=name)
        self.process.start()

    @property
    def pid(self) -> int:
        """Return its process id."""
        return int(self.process.pid or 0)

    @property
    def is_alive(self) -> bool:
        """Tell whether it still runs (or is stopped)."""
        return self.process.is_alive()

    def signal(self, number: int) -> None:
        """Send it a signal; one that is gone does not mind."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = PATIENCE) -> int | None:
        """Return the exit code, None when it has not ended in time."""
        self.process.join(seconds)
        return self.process.exitcode

    def tell(self) -> None:
        """Ask it to end, once: a second SIGTERM would mean hurry to Celery."""
        if not self._told:
            self._told = True
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)

    def end(self) -> int | None:
        """Ask it to end, and make it."""
        self.tell()
        code = self.wait(20)
        if code is None:
            self.kill()
        return code


class Arena:
    """What a fault works with."""

    def __init__(self, machine: Machine, folder: Path, scale: Scale, chance: Random) -> None:
        self.machine, self.folder, self.scale, self.chance = machine, folder, scale, chance
        self.children: list[Child] = []
        self.campaign: Campaign = None  # type: ignore[assignment]
        self.organization: Organization = None  # type: ignore[assignment]
        self.relays: tuple[TortureRelay, TortureRelay] = ()  # type: ignore[assignment]
        self.urls: tuple[str, str] = ("", "")
        self.sending = scale.sending()
        self.constants = scale.constants()

    # --- the campaign
    def plan(self, people: int = PEOPLE, *, delay: float = 0.02, **fields: object) -> Campaign:
        """Make a customer and a campaign with planned deliveries over both relays."""
        for relay in self.relays:
            relay.delay = delay
        self.apply()
        self.organization = make_organization("Larkfield Garden Co.")
        self.campaign = planned(self.organization, people, **fields)
        return self.campaign

    def apply(self) -> None:
        """Use this round's relays and figures in this process too: it plans, sweeps and looks."""
        settings.RELAYS = {f"relay-{n}": RelayConfig.from_url(n, url) for n, url in enumerate(self.urls, start=1)}
        settings.SENDING = dict(self.sending)
        settings.JOURNAL_DIR = self.folder / "journal"

    def keep_logs(self, seed: int) -> None:
        """Let both relays write logs which the product may read."""
        self.urls = tuple(  # type: ignore[assignment]
            relay.keep_log(self.folder / f"{relay.name}.log", first_is_queued=bool(seed % 2)) for relay in self.relays
        )
        relay_log.MARGIN_SECONDS = int(300 * self.scale.factor)  # type: ignore[misc]

    def read_logs(self) -> None:
        """Do what beat does: read on, with relays that live and say so."""
        for relay in self.relays:
            if relay.maillog:
                relay.maillog.later(0)
        self.asked(relay_log.read_logs)

    def all_over(self, key: str) -> None:
        """Give every chunk to one relay, where a fault needs its whole attention."""
        Chunk.objects.update(relay=key)

    # --- processes
    def order(self, **changes: Any) -> Order:
        """Return what a child of this round is told."""
        order = Order(
            database=settings.DATABASES["default"]["NAME"],
            relays=self.urls,
            sending=self.sending,
            constants=self.constants,
            journal=str(self.folder / "journal"),
            log=str(self.folder / "children.log"),
            slices_to=str(self.folder / "slices"),
            defect=os.environ.get("TORTURE_DEFECT", ""),
        )
        return replace(order, **changes)

    def lane(self, key: str = "relay-1", **changes: Any) -> Child:
        """Start a lane."""
        return self._keep(Child(key, child.lane, self.order(**changes), key))

    def lanes(self) -> list[Child]:
        """Start both lanes."""
        return [self.lane(key) for key in KEYS]

    def worker(self, queues: str, **changes: Any) -> Child:
        """Start a Celery worker."""
        return self._keep(Child(queues, child.worker, self.order(**changes), queues))

    def door(self, listen: str) -> Child:
        """Start the inbound door."""
        return self._keep(Child("door", child.door, self.order(), listen))

    def beat(self, **changes: Any) -> Child:
        """Start Celery's beat."""
        return self._keep(
            Child("beat", child.beat, self.order(**changes), str(self.folder / f"beat{time.monotonic()}"))
        )

    def celery(self, **changes: Any) -> list[Child]:
        """Start workers of both relays, one for the rest, and beat, as the launcher does."""
        return [*(self.worker(name, **changes) for name in (*KEYS, "work")), self.beat(**changes)]

    def poke(self, times: int = 1) -> None:
        """Poke both lanes."""
        for _ in range(times):
            for key in KEYS:
                poke(key)

    def dying(self, failpoint: Failpoint, key: str = "relay-1") -> bool:
        """Run a lane with a deadly failpoint until it has struck; tell whether it did."""
        victim = self.lane(key, failpoint=failpoint)
        code = self.watch(lambda: victim.process.exitcode)
        victim.kill()
        return code == -signal.SIGKILL

    def _keep(self, one: Child) -> Child:
        self.children.append(one)
        return one

    # --- looking
    @property
    def log(self) -> list[Seen]:
        """Return what both relays saw, calls of the person on duty left out: no campaign's books know of them."""
        seen = [line for relay in self.relays for line in relay.seen()]
        return [line for line in seen if line.recipient != settings.ONCALL_EMAIL]

    @property
    def taken(self) -> int:
        """Return how many messages of campaigns the relays have taken."""
        everything = [message for relay in self.relays for message in list(relay.accepted)]
        return sum(message.recipient != settings.ONCALL_EMAIL for message in everything)

    def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
        """Wait for a condition; tell whether it came."""
        end = time.monotonic() + seconds
        while not (found := self.asked(condition)):
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return bool(found)

    @property
    def lease_patience(self) -> float:
        """Return the seconds for what comes only when a lease has run out, on a busy machine, at any scale."""
        return PATIENCE + 2 * float(str(self.sending["lease_seconds"]))

    def watch(self, look: Callable[[], Value | None], seconds: float = PATIENCE) -> Value | None:
        """Return what `look` returns once it is not None."""
        end = time.monotonic() + seconds
        while (found := look()) is None and time.monotonic() < end:
            time.sleep(0.005)
        return found

    def asked(self, question: Callable[[], Value]) -> Value | None:
        """Ask the database; None while it is away."""
        try:
            return question()
        except (DatabaseError, OSError):
            for alias in connections:
                connections[alias].close()
            return None

    def settle(self, told: Told, *, sweeps: bool = True) -> None:
        """Leave the system alone until everybody has an outcome and the campaign its end; beat's sweep goes on.

        A round is given up when nothing moves any more, not because its machine is busy.
        """
        quiet = PATIENCE + 30 * 100 * self.scale.factor
        taken = -1
        while taken != self.taken:
            taken = self.taken
            if self.until(lambda: self._is_over(told, sweeps=sweeps), quiet):
                break
        self.end_children()
        self.asked(sweep.sweep)
        self.asked(sweep.sweep)

    def _is_over(self, told: Told, *, sweeps: bool) -> bool:
        time.sleep(0.1)
        if sweeps:
            sweep.sweep()
        self.campaign.refresh_from_db()
        if self.campaign.state not in told.ends:
            return False
        open_now = set(books.states_of(self.campaign).values()) - FINAL - told.open_states
        return not open_now and not Chunk.objects.filter(state=Chunk.State.LEASED).exists()

    def end_children(self) -> None:
        """End every process of this round, all told before any is waited for."""
        for one in self.children:
            one.tell()
        while self.children:
            self.children.pop().end()

    def tail(self, lines: int = 200) -> str:
        """Return the end of what the children said."""
        path = self.folder / "children.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


@contextmanager
def arena(machine: Machine, seed: int, fault: int) -> Iterator[Arena]:
    """Give the world of one round: everything in it is new."""
    chance = Random(f"{fault}/{seed}")
    folder = machine.folder / f"round-{fault}-{seed}-{time.monotonic_ns()}"
    folder.mkdir()
    databases.make_copy()
    names = ("out1.relay.example", "out2.relay.example")
    with contextlib.ExitStack() as stack:
        pair = [stack.enter_context(TortureRelay(name, pipelining=seed % 2 == 0)) for name in names]
        here = Arena(machine, folder, Scale.of_seed(seed), chance)
        here.relays, here.urls = (pair[0], pair[1]), (pair[0].url, pair[1].url)
        here.apply()
        try:
            yield here
        finally:
            here.end_children()
