"""A small customer beside a giant: 200 people are served in 15 s while a million of another customer wait."""

from __future__ import annotations

import time
from typing import Final

from campaigns import control
from campaigns.bench import world
from campaigns.bench.content import SMALL
from campaigns.bench.product import Lanes, Setup, poking
from campaigns.bench.world import Customer
from campaigns.sending import poke
from campaigns.sending.relays import KEYS
from sendserver.testing.proof import sinks
from sendserver.testing.proof.stage import Ground, Proof, actor, wait_until

PEOPLE: Final = 1_000_000  # of the giant
FEW: Final = 200  # of each small customer
BOUND: Final = 15.0  # seconds from the approval until the last one is accepted
SMALL_ONES: Final = 3  # one after the other, at different moments of the lanes' turns
BEFORE: Final = 2_000  # messages of the giant in front of the first small customer
PATIENCE: Final = 120.0
SETUP: Final = Setup("fair", 7, "smtp://127.0.0.1:{port}?name=out{number}.sendserver.example&signs=on")
SLOW: Final = {"delay": (0.005, 0.025)}  # seconds an answer, so that a million is not through before we are


def run(ground: Ground, count: int) -> Proof:
    """Plan the giant, let it run, and start the small ones."""
    giant = Customer.make("Colossus Seeds", "mail.colossus.example")
    ground.say(f"Planning {count} people")
    begun = time.monotonic()
    campaign = world.planned(giant.frozen(SMALL, count), count)
    small = [Customer.make(f"Small Nursery {n}", f"mail.small{n}.example") for n in range(SMALL_ONES)]
    figures: dict[str, object] = {"giant": count, "few": FEW, "prepared_seconds": round(time.monotonic() - begun, 1)}
    proof = Proof("fair", figures)
    with sinks.two(ground.folder, SLOW) as pair:
        lanes = Lanes(SETUP, pair.pair, ground.folder, ground.environ, queues=(*KEYS, "work"))
        lanes.start()
        try:
            lanes.poke()
            wait_until(lambda: min(pair.counts()) * 2 >= BEFORE, PATIENCE, "The giant did not begin", every=0.5)
            seconds = [_served(proof, lanes, pair, one, number) for number, one in enumerate(small)]
            left = campaign.chunks.exclude(state="done").count()
        finally:
            lanes.stop()
            campaign.refresh_from_db()
            control.stop(campaign, actor=actor(giant))  # whatever is shown next shall not go on with it
    figures["seconds"] = [round(one, 2) for one in seconds]
    figures["worst_seconds"] = round(max(seconds), 2)
    figures["giant_chunks_left"] = left
    proof.claim(max(seconds) <= BOUND, f"a small customer waited {max(seconds):.1f} s")
    proof.claim(left > 0, "the giant was through before the small ones")
    return proof


def _served(proof: Proof, lanes: Lanes, pair: sinks.Sinks, customer: Customer, number: int) -> float:
    """Approve a small campaign and return the seconds until a relay has accepted the last of its people.

    The plan is made by the worker of `work`, who is poked as an approval pokes it, and who pokes the lanes himself.
    """
    host = f"@b.mail.small{number}.example"
    campaign = customer.frozen(SMALL, FEW)
    at = time.monotonic()
    with poking(lanes.broker):
        poke.poke_planner()

    def accepted() -> list[float]:
        return [seen.answered for seen in pair.seen() if seen.sender.endswith(host)]

    wait_until(
        lambda: len(accepted()) >= FEW or not lanes.are_alive(), PATIENCE, "A small customer was not served", 0.5
    )
    lanes.refuse_dead()
    times = accepted()
    campaign.refresh_from_db()
    proof.claim(campaign.mailable_count == FEW, f"{campaign.mailable_count} people were planned")
    beside = sum(at < seen.answered <= max(times) and not seen.sender.endswith(host) for seen in pair.seen())
    proof.claim(len(times) == FEW, f"{len(times)} messages for {FEW} people")
    proof.claim(beside > 0, "the giant stood still meanwhile")
    key = "giant_meanwhile"
    proof.figures[key] = [*proof.figures.get(key, []), beside]  # type: ignore[misc]
    time.sleep(3.7)  # the next one comes at another moment of the lanes' turns
    return max(times) - at
