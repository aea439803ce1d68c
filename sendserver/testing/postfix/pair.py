"""A campaign through two real Postfix instances, one of which dies for a while; then everybody's books are compared.

The product is the real one: Celery workers for both relays and other work, beat, PostgreSQL, Valkey. The relays speak
TLS (one from the first byte, one by STARTTLS) under an authority of this run, and ask for a password.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from random import Random
from typing import Any

from django.conf import settings

from campaigns.bench.processes import answers, free_port
from campaigns.bench.sinks import OwnSink
from campaigns.bench.tools import Tools
from campaigns.inbound.addresses import Links
from campaigns.models import Delivery, Outcome, RelayState, RelayTrace, Retry
from campaigns.sending import postfix_log, relay_log, resolve, selftest
from sendserver.lib import clock, dkim_check
from sendserver.testing import databases
from sendserver.testing.personas import make_user
from sendserver.testing.postfix import certificates
from sendserver.testing.postfix.errors import PairError
from sendserver.testing.postfix.instance import Postfix
from sendserver.testing.torture import arena as arenas
from sendserver.testing.torture import books
from sendserver.testing.torture.arena import Arena
from sendserver.testing.torture.scale import Scale
from sendserver.testing.torture.services import Machine

NAMES = ("out1.relay.example", "out2.relay.example")
MARGIN = 15  # seconds of log behind a doubt, where the product waits five minutes
SAMPLE = 200  # messages of the sink whose signatures are checked
STUCK = 150.0  # seconds without any progress
_MESSAGE_ID = re.compile(rb"(?im)^message-id:\s*<([^@>]+)@")


@dataclass
class Plan:
    """How much, how fast, how long one relay is away."""

    people: int = 5000
    rate: int = 40  # messages a second and relay, so that the send outlasts the outage
    away: float = 60.0


@dataclass
class Verdict:
    """What was counted, and what is wrong with it."""

    figures: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def equal(self, name: str, found: object, expected: object) -> None:
        """Keep a figure; it is a problem unless it is as expected."""
        self.figures[name] = found
        if found != expected:
            self.problems.append(f"{name}: {found}, not {expected}")

    def claim(self, holds: bool, sentence: str) -> None:
        """Keep the sentence as a problem unless it holds."""
        if not holds:
            self.problems.append(sentence)

    def as_json(self) -> str:
        """Return one line."""
        return json.dumps({**self.figures, "problems": self.problems, "ok": not self.problems})


class Run:
    """One run, from two instances that start to books that agree."""

    def __init__(self, machine: Machine, tools: Tools, folder: Path, plan: Plan, say: Callable[[str], None]) -> None:
        self.machine, self.folder, self.plan, self.say = machine, folder, plan, say
        self.verdict = Verdict()
        certificate = certificates.make(folder)
        self.sink = OwnSink.start(folder, keep=folder / "mail")
        self.door = free_port()
        self.pair = [
            Postfix(tools, folder / f"out{n}", name, free_port(), self.sink.port, self.door, certificate, n == 2)
            for n, name in enumerate(NAMES, start=1)
        ]
        self.here = Arena(machine, folder, Scale(1.0), Random(1))
        self.here.urls = tuple(f"{one.url}&rate={plan.rate}" for one in self.pair)  # type: ignore[assignment]
        self.here.sending = self.here.scale.sending(connections=10, chunk_size=100)
        self.here.constants["campaigns.sending.relay_log.MARGIN_SECONDS"] = MARGIN

    def go(self) -> Verdict:
        """Run it, and end whatever was started."""
        begun = time.monotonic()
        try:
            for one in self.pair:
                one.prepare()
                one.start()
            self._send()
            self._settle()
            self._compare()
        finally:
            self.here.end_children()
            for one in self.pair:
                one.stop()
            self.sink.stop()
        self.verdict.figures["seconds"] = round(time.monotonic() - begun)
        return self.verdict

    # --- sending
    def _send(self) -> None:
        arenas.warm_up()
        databases.ensure_template()
        databases.make_copy()
        self.here.plan(self.plan.people)
        self.say(f"{self.plan.people} people are planned; two lanes begin")
        self.here.celery()
        self.here.worker("inbound")
        self.here.door(f"127.0.0.1:{self.door}")
        self.here.poke()
        self._wait(lambda: RelayState.objects.filter(probe_ok=True).count() == 2, "Both relays passed their self-test")
        enough = self.plan.people // 5
        self._wait(lambda: self._accepted() >= enough and self._accepted("relay-1") > enough // 4, "The send began")
        self.pair[0].cut_off(unanswered=0.5)
        before = self._accepted("relay-2")
        self.say(f"{NAMES[0]} is dead for {self.plan.away:g} s, with {self._accepted()} accepted")
        time.sleep(self.plan.away)
        meanwhile = self._accepted("relay-2") - before
        self.verdict.figures["by the other meanwhile"] = meanwhile
        self.verdict.claim(meanwhile > 0, "the other relay did not go on")
        self.pair[0].start()
        self.say(f"{NAMES[0]} is back, with {self._accepted()} accepted")
        self._wait(lambda: self._campaign_state() == "sent", "The campaign ended")

    def _accepted(self, *relay: str) -> int:
        rows = Outcome.objects.filter(campaign_id=self.here.campaign.pk, state="accepted")
        return rows.filter(relay__in=relay).count() if relay else rows.count()

    def _campaign_state(self) -> str:
        self.here.campaign.refresh_from_db()
        return str(self.here.campaign.state)

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        """Wait as long as something moves."""
        seen, moved = -1, time.monotonic()
        while not holds():
            now = Outcome.objects.count() + RelayTrace.objects.count()
            seen, moved = (now, time.monotonic()) if now != seen else (seen, moved)
            if time.monotonic() - moved > STUCK:
                raise PairError(f"{what}: not so. The end of what was said:\n{self.here.tail(60)}")
            time.sleep(0.2)

    # --- doubt
    def _settle(self) -> None:
        """Let the log settle doubt; of what it does not show a person orders to send it again, with its evidence."""
        campaign = self.here.campaign
        doubted = set(Outcome.objects.filter(state="in_doubt").values_list("delivery_id", flat=True))
        self.say(f"{len(doubted)} came into doubt")
        self._wait(self._is_explained, "Every doubt is explained by the log")
        absent = list(resolve.in_doubt(campaign))
        proven = Outcome.objects.filter(state="accepted", reply__startswith="In the relay's log")
        self.verdict.figures |= {"in doubt": len(doubted), "accepted by the log": proven.count()}
        self.verdict.claim(bool(doubted), "nothing came into doubt, so nothing was shown")
        self.verdict.claim(proven.count() + len(absent) == len(doubted), "doubt went another way than by the log")
        self.verdict.claim(not proven.filter(queue_id="").exists(), "accepted by the log without a queue id")
        person = make_user("rita", "rita@staff.example", staff=True)
        for one in absent:
            resolve.resend(Delivery.objects.get(pk=one.delivery_id), actor=person, reason="Not in the relay's log")
        self.verdict.figures["sent again by order"] = len(absent)
        self._wait(lambda: not Retry.objects.exists() and self._is_through(), "Everybody is accepted and delivered")

    def _is_explained(self) -> bool:
        answers(self.pair[0].port)  # somebody always asks a relay for something, so that its log goes on
        time.sleep(0.5)
        return all(one.reply.startswith(relay_log.ABSENT) for one in resolve.in_doubt(self.here.campaign))

    def _is_through(self) -> bool:
        return RelayTrace.objects.filter(status="sent").values("delivery_id").distinct().count() >= self.plan.people

    # --- books
    def _compare(self) -> None:
        people, verdict = self.plan.people, self.verdict
        states = Counter(books.states_of(self.here.campaign).values())
        verdict.equal("database accepted", dict(states), {"accepted": people})
        tallies = {key: count for key, count in books.read(self.here.campaign).tallies.items() if count}
        verdict.equal("tallies", tallies, {"accepted": people})
        logs = [self._read_log(one) for one in self.pair]
        for log in logs:  # the self-test is nobody's
            log.queued = {(queue_id, token) for queue_id, token in log.queued if token != Links.of(0).token}
        taken = Counter(name for log in logs for name in log.taken)
        verdict.equal("relays' logs", len(taken), people)
        verdict.figures["by relay"] = [len(log.taken) for log in logs]
        verdict.equal("handed over twice", sum(count - 1 for count in taken.values()), 0)
        verdict.equal("without password", sum(log.without_password for log in logs), 0)
        verdict.claim(all(log.secured for log in logs), "a relay saw no TLS")
        arrived = self._arrived()
        verdict.equal("sink", len(arrived), people)
        # Postfix may deliver again what it had delivered, but not noted, when it was killed: that would be named here.
        verdict.equal("arrived twice", sum(count - 1 for count in arrived.values()), 0)
        verdict.claim(set(arrived) == set(taken), "logs and sink name different messages")
        tests = dict(RelayState.objects.values_list("key", "probe_ok"))
        verdict.equal("self-test", tests, dict.fromkeys(arenas.KEYS, True))
        verdict.equal("signatures broken", self._broken_signatures(), 0)
        queued = Outcome.objects.filter(campaign_id=self.here.campaign.pk, state="accepted").exclude(queue_id="")
        verdict.equal("with queue id", queued.count(), people)

    def _broken_signatures(self) -> int:
        """Return how many of SAMPLE messages in the sink carry a platform's signature that does not hold, or none."""
        lines = (self.folder / "mail").read_bytes().splitlines()
        broken = 0
        for line in lines[:: max(1, len(lines) // SAMPLE)]:
            found = dkim_check.check(base64.b64decode(json.loads(line)["raw"]), selftest.key_text)
            ours = [one for one in found if one.domain == settings.PLATFORM.mail_domain]
            broken += not ours or not all(one.holds for one in ours)
        return broken

    def _arrived(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for line in (self.folder / "mail").read_bytes().splitlines():
            match = _MESSAGE_ID.search(base64.b64decode(json.loads(line)["raw"]))
            found[match[1].decode() if match else "none"] += 1  # by token
        return found

    def _read_log(self, one: Postfix) -> LogBook:
        book = LogBook()
        for line in one.log.read_text(errors="replace").splitlines():
            book.secured = book.secured or "TLS connection established" in line
            book.without_password += ": client=" in line and "sasl_username=" not in line
            entry = postfix_log.parse(line, now=clock.now(), zone=UTC)
            if entry is not None and entry.kind == "active":  # its envelope has the token that its Message-ID has
                book.queued.add((entry.queue_id, entry.sender.partition("@")[0].removeprefix("b.")))
        return book


@dataclass
class LogBook:
    """What one relay's log says: which message it had queued under which id."""

    queued: set[tuple[str, str]] = field(default_factory=set)
    without_password: int = 0
    secured: bool = False

    @property
    def taken(self) -> list[str]:
        """Return the tokens of the messages taken, each as often as it had a queue id."""
        return [token for _, token in self.queued]
