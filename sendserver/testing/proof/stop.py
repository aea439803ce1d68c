"""Stops in mid-send: how long behind the commit the last forbidden message came to a relay, by the relay's own log.

Three orders (the organization is suspended, the campaign is stopped, people unsubscribe) at three kinds of relay: fast;
slow, each answer after 0.5 to 2 s; and with a limit so low that its token bucket is always empty.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection, transaction
from django.test import Client

from accounts import standing
from accounts.models import Standing, User
from campaigns import control, planning
from campaigns.bench.content import SMALL
from campaigns.bench.errors import BenchError
from campaigns.bench.product import Lanes, Setup
from campaigns.bench.world import Customer
from campaigns.models import Campaign, CampaignState
from campaigns.sending import sweep
from sendserver.lib.tokens import Purpose, seal
from sendserver.testing.proof import sinks
from sendserver.testing.proof.sinks import Seen
from sendserver.testing.proof.stage import Ground, Proof, actor, wait_until

BOUND: Final = 2.0  # seconds behind the commit
QUIET: Final = 7.0  # seconds for which the logs are watched behind an order; longer than any slow message takes to end
PATIENCE: Final = 120.0
LEAVING: Final = 60  # people among those who are next who unsubscribe at once
ORDERS: Final = ("suspend", "stop", "unsubscribe")
_URL: Final = "smtp://127.0.0.1:{port}?name=out{number}.sendserver.example&signs=on"
_NEXT: Final = """
SELECT d.id, d.address FROM campaigns_delivery d
WHERE d.campaign_id = %s AND d.seq IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM campaigns_outcome o WHERE o.delivery_id = d.id)
ORDER BY d.seq LIMIT %s
"""


@dataclass(frozen=True)
class Kind:
    """A kind of relay, and a campaign that lasts long enough there."""

    name: str
    setup: Setup
    people: int
    before: int  # messages in front of the order
    next: int  # people who are as good as next while a few dozen of them press a button
    sinks: tuple[dict[str, Any], ...] = ()


KINDS: Final = (
    Kind("fast", Setup("fast", 9, _URL), 60_000, 2_000, 24_000),
    # One of the slow relays takes groups of commands, the other one a command at a time.
    Kind("slow", Setup("slow", 10, _URL), 600, 8, 60, ({"delay": (0.5, 2.0)}, {"delay": (0.5, 2.0), "groups": False})),
    Kind("limited", Setup("limited", 11, _URL + "&rate=5"), 600, 12, 60),
)


@dataclass
class Stage:
    """One customer at one kind of relay."""

    kind: Kind
    customer: Customer
    actor: User
    lanes: Lanes
    pair: sinks.Sinks
    campaign: Campaign = field(init=False)
    begun: float = 0.0  # of the campaign

    def begin(self) -> None:
        """Plan a campaign to everybody and wait until it is in full swing."""
        before, self.begun = sum(self.pair.counts()), time.monotonic()
        self.campaign = self.customer.frozen(SMALL, self.kind.people)
        planning.plan(self.campaign)
        self.campaign.refresh_from_db()
        self.lanes.poke()
        enough = before + self.kind.before
        wait_until(lambda: sum(self.pair.counts()) >= enough, PATIENCE, "The campaign did not get going")

    def seen(self) -> list[Seen]:
        """Return what the relays have seen of this campaign; the one before has left nothing on the wire."""
        return [one for one in self.pair.seen() if one.came > self.begun]

    def end(self) -> None:
        """Stop the campaign, let everybody be mailed again, and wait until the lanes hold nothing."""
        self.campaign.refresh_from_db()
        if self.campaign.state == CampaignState.SENDING:
            control.stop(self.campaign, actor=self.actor)
        wait_until(lambda: not self.campaign.chunks.filter(state="leased").exists(), PATIENCE, "A lane holds on")
        sweep.sweep()
        organization = self.customer.organization
        organization.refresh_from_db()
        if organization.standing == Standing.SUSPENDED:
            standing.move(organization, Standing.GOOD, actor=self.actor, reason="The next round begins")


@dataclass(frozen=True)
class Seconds:
    """What one order showed; seconds behind the commit, 0 when nothing forbidden came behind it."""

    last: float
    behind: int  # forbidden messages behind the commit
    left: int  # people who had got nothing at the end (unsubscribe: at the commit)


def run(ground: Ground, rounds: int) -> Proof:
    """Give each order `rounds` times at each kind of relay; return the worst of each."""
    proof = Proof("stop", {"rounds": rounds})
    for kind in KINDS:
        with _stage(ground, kind) as stage:
            for order in ORDERS:
                found = [_ordered(stage, order) for _ in range(rounds)]
                worst = max(one.last for one in found)
                name = f"{order}_{kind.name}"
                ground.say(f"{name}: {[(round(one.last, 3), one.behind, one.left) for one in found]}")
                proof.figures[f"{name}_seconds"] = round(worst, 3)
                proof.figures[f"{name}_behind"] = max(one.behind for one in found)
                proof.claim(worst <= BOUND, f"{name}: the last message came {worst:.2f} s behind the commit")
                proof.claim(min(one.left for one in found) > 0, f"{name}: the order came when all was sent")
                proof.figures[f"{name}_left"] = min(one.left for one in found)
    return proof


@contextmanager
def _stage(ground: Ground, kind: Kind) -> Iterator[Stage]:
    customer = Customer.make("Larkfield Garden Co.", f"mail.{kind.name}.example")
    with sinks.two(ground.folder, *kind.sinks) as pair:
        lanes = Lanes(kind.setup, pair.pair, ground.folder, ground.environ)
        lanes.start()
        try:
            yield Stage(kind, customer, actor(customer), lanes, pair)
        finally:
            lanes.stop()


def _ordered(stage: Stage, order: str) -> Seconds:
    """Begin a campaign, give the order in mid-send, watch the logs."""
    stage.begin()
    at, leaving = ACTS[order](stage)
    time.sleep(QUIET)
    stage.lanes.refuse_dead()
    stage.pair.refuse_dead()
    seen = stage.seen()
    late = [one for one in seen if one.came > at and (leaving is None or one.recipient in leaving)]
    before = {one.recipient for one in seen if one.came <= at}
    left = _open(stage.campaign) if leaving is None else len(leaving - before)
    if order == "unsubscribe" and not any(one.came > at + BOUND for one in seen):
        raise BenchError("Nobody was mailed any more behind an unsubscribe of a few.")
    stage.end()
    return Seconds(max((one.came - at for one in late), default=0.0), len(late), left)


Given = tuple[float, set[str] | None]  # right before the commit, and who may not be mailed any more; None is everybody


def _suspend(stage: Stage) -> Given:
    """Suspend the organization, as a decision of staff does."""
    organization = stage.customer.organization
    organization.refresh_from_db()
    with transaction.atomic():
        standing.move(organization, Standing.SUSPENDED, actor=stage.actor, reason="Complaints")
        at = time.monotonic()
    return at, None


def _stop(stage: Stage) -> Given:
    """Stop the campaign, as its owner does."""
    with transaction.atomic():
        control.stop(stage.campaign, actor=stage.actor)
        at = time.monotonic()
    return at, None


def _unsubscribe(stage: Stage) -> Given:
    """Let those who are next unsubscribe by one click each, all in one commit."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [stage.campaign.pk, stage.kind.next])
        rows = cursor.fetchall()
    leaving = dict(rows[:: max(1, len(rows) // LEAVING)])
    if not leaving:
        raise BenchError("Nobody is next in a lane.")
    client = Client(headers={"host": "localhost"})
    with transaction.atomic():
        for delivery in leaving:
            path = f"/u/{seal(Purpose.DELIVERY, delivery)}/"
            answer = client.post(path, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
            if answer.status_code != 200:
                raise BenchError(f"One click was answered by {answer.status_code}.")
        at = time.monotonic()
    return at, set(leaving.values())


ACTS: Final = {"suspend": _suspend, "stop": _stop, "unsubscribe": _unsubscribe}


def _open(campaign: Campaign) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM campaigns_delivery d WHERE d.campaign_id = %s AND d.seq IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM campaigns_outcome o WHERE o.delivery_id = d.id AND o.state = 'accepted')",
            [campaign.pk],
        )
        row = cursor.fetchone()
    return int(row[0])
