"""Rows 1 to 3 and 34 to 37: processes that die, are told to end, sleep too long, or grow."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

from django.db import connection

from campaigns.models import Chunk, Delivery
from sendserver.testing.relay import Phase, reply, wait_for
from sendserver.testing.torture import books
from sendserver.testing.torture.arena import KEYS, Arena, Child, Told
from sendserver.testing.torture.child import Failpoint
from sendserver.testing.torture.relayside import killing

INSIDE = (
    "after the claim",
    "before the journal",
    "behind the journal, before the dot",
    "behind 250, before its journal line",
    "behind the journal line of 250",
    "before the flush",
    "behind the flush",
)
SEEN = ("connect", "mail", "rcpt", "354", "mid-body", "dot", "behind 250")
KINDS = ("any instant", *INSIDE, *SEEN)
_UNRESOLVED = """
SELECT count(*) FROM campaigns_delivery d JOIN campaigns_chunk ch
  ON ch.campaign_id = d.campaign_id AND d.seq BETWEEN ch.first_seq AND ch.last_seq
WHERE ch.state = 'leased' AND ch.owner_pid = ANY(%s) AND NOT EXISTS
  (SELECT 1 FROM campaigns_outcome o WHERE o.delivery_id = d.id)
"""


def kill_worker(here: Arena, told: Told, seed: int) -> Told:
    """Row 1: kill one lane, at any instant and at each arrow, then let another go on."""
    kind = KINDS[(seed - 1) % len(KINDS)]
    here.plan()
    if here.chance.random() < 0.5:
        here.all_over("relay-1")
    for text in ("450 4.7.1 greylisted", "550 5.1.1 no such user"):
        here.relays[0].on(Phase.RCPT, reply(text), when=lambda _: here.chance.random() < 0.1, times=8)
    for _ in range(2):
        told.hits += _killed(here, kind)
    told.incidents = 2
    here.lanes()
    here.settle(told)
    return told


def _killed(here: Arena, kind: str) -> bool:
    if kind in INSIDE:
        most = {"after the claim": 1, "before the flush": 3, "behind the flush": 3}.get(kind, 12)
        return here.dying(Failpoint(kind, here.chance.randint(1, most)))
    if kind in SEEN:
        return _killed_by_relay(here, kind)
    victim = here.lane()
    begun = len(here.log)
    here.until(lambda: len(here.log) > begun)
    time.sleep(here.chance.uniform(0.0, 0.5))
    alive = victim.is_alive
    victim.kill()
    return alive


def _killed_by_relay(here: Arena, kind: str) -> bool:
    landed = threading.Event()
    victim: list[Child] = []
    phase = {"354": Phase.DATA, "mid-body": Phase.BODY, "behind 250": Phase.DOT}.get(kind, kind)
    nth = 1 if kind == "connect" else here.chance.randint(1, 12)
    seen = here.relays[0].count(phase)
    act = killing(
        lambda: victim[0].pid,
        landed,
        after=here.chance.uniform(0.001, 0.02) if kind == "behind 250" else 0.0,
        part=here.chance.choice((0, 100, 900)) if kind == "mid-body" else 0,
    )
    here.relays[0].on(phase, act, when=lambda _: bool(victim) and here.relays[0].count(phase) >= seen + nth - 1)
    here.relays[0].rules.insert(0, here.relays[0].rules.pop())
    victim.append(here.lane())
    here.until(landed.is_set)
    victim[0].wait()
    victim[0].kill()
    return landed.is_set()


def kill_group(here: Arena, told: Told, seed: int) -> Told:
    """Row 2: kill every worker and beat at once; start them again here, or on another host that has no journal."""
    here.plan()
    group = here.celery()
    here.poke()
    here.until(lambda: here.taken > here.chance.randint(1, 30))
    for one in group:
        one.signal(signal.SIGSTOP)  # all of them in the same instant
    pids = [one.pid for one in group]
    told.hits = sum(one.is_alive for one in group) == len(group) and here.taken < 120
    if seed % 2 == 0:
        told.doubt = unresolved_of(pids)
    told.incidents = len(KEYS)
    for one in group:
        one.kill()
    before = here.taken
    restarted = time.monotonic()
    if seed % 2:
        here.celery()
    else:
        here.celery(host="second", journal=str(here.folder / "second"))
    lease = float(str(here.sending["lease_seconds"]))
    told.claim(here.until(lambda: here.taken > before), "no progress after the restart")
    told.claim(time.monotonic() - restarted < lease + 30, "no progress within the lease and 30 s")
    here.settle(told)
    return told


def unresolved_of(pids: list[int]) -> int:
    """Return how many deliveries without an outcome the chunks of these processes hold."""
    with connection.cursor() as cursor:
        cursor.execute(_UNRESOLVED, [pids])
        return int(cursor.fetchone()[0])


def sigterm(here: Arena, told: Told, seed: int) -> Told:
    """Row 3: tell a real worker to end; what is on the wire is finished, nothing is in doubt."""
    here.plan(200, delay=0.05)
    here.all_over("relay-1")
    old = here.worker("relay-1")
    here.poke()
    here.until(lambda: here.taken > here.chance.randint(3, 40))
    old.signal(signal.SIGTERM)
    code = old.wait(25)
    told.hits = int(0 < here.taken < 200)
    told.claim(code == 0, f"the worker ended with {code}")
    told.claim("in_doubt" not in books.states_of(here.campaign).values(), "something is in doubt")
    sent = here.taken
    time.sleep(0.3)
    told.claim(here.taken == sent, "something was sent after the end")
    told.claim(Delivery.objects.count() == 200, "deliveries changed")
    here.celery()
    here.settle(told)
    return told


def poisoned(here: Arena, told: Told, seed: int) -> Told:
    """Row 34: one recipient's message kills the process that writes it, each time; the rest must not wait for ever."""
    here.plan(60)
    here.all_over("relay-1")
    poison = f"reader{here.chance.randint(3, 20)}@crowd.example"
    for _ in range(5):
        victim = here.lane(poison=poison)
        here.until(lambda victim=victim: not victim.is_alive or _rest_is_done(here, poison), 20)  # type: ignore[misc]
        told.hits += not victim.is_alive
        victim.end()
    told.incidents = max(1, told.hits)
    told.claim(_rest_is_done(here, poison), f"after {told.hits} deaths the rest still waits: {here.taken} of 59 sent")
    here.lanes()
    here.settle(told)
    return told


def _rest_is_done(here: Arena, poison: str) -> bool:
    """Tell whether nobody else waits; whom a death left in doubt does not, and the oracle bounds how many those are."""
    states = books.states_of(here.campaign)
    return all(state in ("accepted", "in_doubt") for who, state in states.items() if who != poison)


def growing(here: Arena, told: Told, seed: int) -> Told:
    """Row 35: the lane's memory and files after many messages are what they were after some."""
    here.sending = here.scale.sending(slice_seconds=1.0)
    here.plan(1500, delay=0.0)
    here.all_over("relay-1")
    one = here.lane()
    here.until(lambda: here.taken > 400)
    before = _size(one.pid)
    here.until(lambda: here.taken > 1450)
    after = _size(one.pid)
    told.hits = int(before[0] > 0 and after[0] > 0)
    told.claim(after[0] - before[0] <= 5 * 1024, f"grew from {before[0]} to {after[0]} KiB over 1,000 messages")
    told.claim(after[1] <= before[1] + 8, f"{before[1]} open files became {after[1]}")
    here.settle(told)
    return told


def _size(pid: int) -> tuple[int, int]:
    """Return resident KiB and open files of a process; zeros when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]), len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except (OSError, IndexError):
        return 0, 0


def deaf(here: Arena, told: Told, seed: int) -> Told:
    """Row 36: a worker is stopped; another ends it by its silence, or, from another host, takes over by the lease."""
    here.constants["campaigns.sending.owners.DEAF_SECONDS"] = 4.0
    here.plan(120, delay=0.05)
    here.all_over("relay-1")
    old = here.lane()
    here.until(lambda: here.taken > here.chance.randint(2, 30))
    old.signal(signal.SIGSTOP)
    told.incidents = 1
    told.hits = int(old.is_alive and here.taken < 120)
    elsewhere = seed % 2 == 0
    if elsewhere:
        told.doubt = unresolved_of([old.pid])
        here.lane("relay-1", host="second", journal=str(here.folder / "second"))
        here.until(lambda: not held_by(old.pid), here.lease_patience)
        told.claim(not held_by(old.pid), "its work was not taken over")
        old.signal(signal.SIGCONT)
    else:
        here.lane("relay-1")
        told.claim(old.wait() == -signal.SIGKILL, "the deaf process was not ended")
    here.settle(told)
    return told


def zombie(here: Arena, told: Told, seed: int) -> Told:
    """Row 37: stopped between DATA and the dot, woken when another host has taken over: no dot may follow."""
    here.plan(60)
    here.all_over("relay-1")
    gate, reached = threading.Event(), threading.Event()
    nth = here.chance.randint(0, 20)
    phase = here.chance.choice((Phase.RCPT, Phase.DATA))
    here.relays[0].on(
        phase,
        wait_for(gate, reached),
        when=lambda _: not gate.is_set() and len(here.relays[0].accepted) >= nth,
    )
    old = here.lane()
    told.hits = int(here.until(reached.is_set))
    old.signal(signal.SIGSTOP)
    told.doubt = unresolved_of([old.pid])
    gate.set()
    here.lane("relay-1", host="second", journal=str(here.folder / "second"))
    here.until(lambda: not held_by(old.pid), here.lease_patience)
    told.claim(not held_by(old.pid), "its work was not taken over")
    woken = time.monotonic()
    sessions = {one.number for one in here.relays[0].sessions}
    old.signal(signal.SIGCONT)
    time.sleep(1.5)
    doubted = {who for who, state in books.states_of(here.campaign).items() if state == "in_doubt"}
    late = [
        line
        for line in here.relays[0].log
        if line.phase == Phase.DOT and line.at > woken and line.session in sessions and line.recipient in doubted
    ]
    told.claim(not late, f"{len(late)} dots of a lane whose lease was over")
    here.settle(told)
    return told


def held_by(pid: int) -> bool:
    """Tell whether a process still holds a chunk."""
    return Chunk.objects.filter(state=Chunk.State.LEASED, owner_pid=pid).exists()
