"""Two hosts share the work, and one of them is lost for good in mid-send, with everything it had on disk.

Each group is two lane workers with a folder and a host name (UTS namespace) of its own; database, broker and relays
are shared. What the dead group held and nobody can know is in doubt; all else is sent, nobody twice.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from typing import Final

from django.db import connection

from campaigns.bench import world
from campaigns.bench.content import SMALL
from campaigns.bench.errors import BenchError
from campaigns.bench.product import Lanes, Setup
from campaigns.bench.world import Customer
from campaigns.models import Campaign, Chunk
from campaigns.sending import sweep
from sendserver.testing.proof import sinks
from sendserver.testing.proof.stage import Ground, Proof, wait_until

PEOPLE: Final = 6_000
LEASE: Final = 12  # seconds; production has 900
PATIENCE: Final = 180.0
NAMES: Final = ("host-a", "host-b")
BROKER: Final = 8
RELAY: Final = "smtp://127.0.0.1:{port}?name=out{number}.sendserver.example&signs=on"
SLOW: Final = {"delay": (0.005, 0.03)}
_HELD: Final = """
SELECT d.address FROM campaigns_chunk ch
JOIN campaigns_delivery d ON d.campaign_id = ch.campaign_id AND d.seq BETWEEN ch.first_seq AND ch.last_seq
WHERE ch.campaign_id = %s AND ch.state = 'leased' AND ch.owner_host = %s
  AND NOT EXISTS (SELECT 1 FROM campaigns_outcome x WHERE x.delivery_id = d.id)
"""
_STATES: Final = """
SELECT d.address, s.state FROM delivery_state s JOIN campaigns_delivery d ON d.id = s.delivery_id
WHERE s.campaign_id = %s
"""
_BY_HOST: Final = "SELECT host, count(*) FROM campaigns_outcome WHERE campaign_id = %s GROUP BY host"


def run(ground: Ground, count: int) -> Proof:
    """Send with both groups, lose the first one, and compare the books with the relays' logs."""
    customer = Customer.make("Larkfield Garden Co.", "mail.groups.example")
    campaign = world.planned(customer.frozen(SMALL, count), count)
    environ = {**ground.environ, "SENDING_LEASE_SECONDS": str(LEASE), "SENDING_CHUNK_SIZE": "200"}
    with sinks.two(ground.folder, SLOW) as pair:
        groups = [Lanes(Setup(name, BROKER, RELAY), pair.pair, ground.folder, environ, _host(name)) for name in NAMES]
        try:
            for group in groups:
                group.start()
            dead, living = groups
            _poke_both(dead)
            wait_until(lambda: _both_work(campaign, sum(pair.counts()), count), PATIENCE, "Not both groups worked")
            held = _lose(dead, campaign)
            at_loss = sum(pair.counts())
            _go_on(living, campaign)
        finally:
            for group in groups:
                group.stop()
        seen = pair.seen()
    return _verdict(campaign, [one.recipient for one in seen], held, (count, at_loss))


def _host(name: str) -> tuple[str, ...]:
    """Return what gives a command a host name of its own; needs root or user namespaces."""
    unshare = shutil.which("unshare")
    if unshare is None:
        raise BenchError("The program unshare (util-linux) is missing.")
    rights = () if os.geteuid() == 0 else ("--map-root-user",)
    return (unshare, "--uts", *rights, "/bin/sh", "-c", 'hostname "$0" && exec "$@"', name)


def _poke_both(lanes: Lanes) -> None:
    """Poke each lane twice: both groups listen to the same queues."""
    lanes.poke()
    lanes.poke()


def _both_work(campaign: Campaign, taken: int, count: int) -> bool:
    """Tell whether each group has outcomes and holds chunks, in mid-send."""
    if taken > count * 0.7:
        raise BenchError("One group did nothing until the other was nearly through.")
    hosts = Chunk.objects.filter(campaign=campaign, state="leased").values_list("owner_host", flat=True)
    return taken > count * 0.2 and set(NAMES) <= set(hosts) and set(NAMES) <= set(_by_host(campaign))


def _lose(group: Lanes, campaign: Campaign) -> set[str]:
    """Kill a group for good and remove its folder; return whose fate only it knew."""
    for worker in group.workers:
        worker.kill()
    for worker in group.workers:
        worker.wait()
    time.sleep(1.0)  # a commit that was under way ends by itself
    shutil.rmtree(group.folder / group.setup.name)
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [campaign.pk, group.setup.name])
        return {row[0] for row in cursor.fetchall()}


def _go_on(living: Lanes, campaign: Campaign) -> None:
    """Poke as beat does until the campaign has its end."""
    end = time.monotonic() + PATIENCE
    while campaign.state != "sent":
        if time.monotonic() > end:
            raise BenchError(f"The other group does not come to an end.\n{living.words()}")
        living.refuse_dead()
        living.poke()
        time.sleep(2.0)
        sweep.sweep()
        campaign.refresh_from_db()


def _by_host(campaign: Campaign) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_BY_HOST, [campaign.pk])
        return dict(cursor.fetchall())


def _verdict(campaign: Campaign, logged: list[str], held: set[str], counts: tuple[int, int]) -> Proof:
    with connection.cursor() as cursor:
        cursor.execute(_STATES, [campaign.pk])
        states = dict(cursor.fetchall())
    tally = Counter(states.values())
    doubt = {address for address, state in states.items() if state == "in_doubt"}
    accepted = {address for address, state in states.items() if state == "accepted"}
    reached = doubt & set(logged)
    by_host = _by_host(campaign)
    figures: dict[str, object] = {
        "people": counts[0],
        "taken_at_loss": counts[1],
        "by_host": by_host,
        "accepted": tally["accepted"],
        "in_doubt": tally["in_doubt"],
        "held_by_the_dead": len(held),
        "in_doubt_but_at_a_relay": len(reached),
        "at_relays": len(logged),
        "twice": len(logged) - len(set(logged)),
    }
    proof = Proof("groups", figures)
    proof.claim(len(logged) == len(set(logged)), "somebody got it twice")
    proof.claim(doubt == held, f"{len(doubt ^ held)} are in doubt without having been held, or the other way round")
    proof.claim(0 < len(held) < counts[0], "nothing was held by the group that died")
    proof.claim(accepted == set(logged) - doubt, "the books and the relays' logs name different people")
    proof.claim(len(accepted) + len(doubt) == counts[0], f"the books say {dict(tally)}")
    proof.claim(len(set(by_host) & set(NAMES)) == len(NAMES), f"outcomes come from {sorted(by_host)}")
    return proof
