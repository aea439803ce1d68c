"""What only the full run measures: the cost of a message at a million, the growth of a lane, the speed of planning."""

from __future__ import annotations

import statistics
import tempfile
import time
from typing import IO, Any, Final

from django.db import connection, connections

from campaigns.bench import world
from campaigns.bench.content import Content
from campaigns.bench.musts import Figure
from campaigns.bench.product import Run
from campaigns.bench.rounds import Arena, whole
from campaigns.models import Campaign

SIZES: Final = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000}
# Small runs stand before, between and behind the large ones, so that a drift of the machine shows as spread.
ORDER: Final = ("10k", "10k", "10k", "100k", "10k", "100k", "10k", "1m", "10k", "10k")
PARTS: Final = ("worker", "postgres", "valkey")
_BLOCK: Final = 1 << 20


def measure(ground: Arena, content: Content, *, scale: float = 1.0) -> list[Figure]:
    """Send 10k, 100k and 1M in the same lanes; return cost, memory and planning. `scale` shrinks them, for a look."""
    lanes, customer, spent = ground.lanes["relay"], ground.customer, ground.spent
    sizes = {size: whole(people * scale) for size, people in SIZES.items()}
    ground.product(content, "relay", sizes["10k"])  # warm
    runs: dict[str, list[Run]] = {size: [] for size in SIZES}
    plan: list[float] = []
    for size in ORDER:
        people = sizes[size]
        campaign = customer.frozen(content, people)
        if size == "1m":
            plan = _plan_against_copy(campaign, people)
        else:
            world.planned(campaign, people)
        run = lanes.send(campaign, people, spent)
        runs[size].append(run)
        ground.say(f"  {size}: {run.cost(*PARTS):.1f} us a message, peak {run.peak_rss:.1f} MiB, {run.seconds:.1f} s")
    small = statistics.median(run.cost(*PARTS) for run in runs["10k"])
    grown = runs["1m"][0].peak_rss - max(run.peak_rss for run in runs["10k"][:-2])
    return [
        Figure("cost_100k_vs_10k", tuple(run.cost(*PARTS) / small for run in runs["100k"])),
        Figure("cost_1m_vs_10k", tuple(run.cost(*PARTS) / small for run in runs["1m"])),
        Figure("lane_rss_mib", (max(run.peak_rss for found in runs.values() for run in found),)),
        Figure("lane_rss_growth_mib", (grown,)),
        Figure("plan_vs_copy", tuple(plan)),
    ]


def _plan_against_copy(campaign: Campaign, people: int) -> list[float]:
    """Plan, then COPY the very rows into a table without index three times; return the ratios of rows a second."""
    begun = time.monotonic()
    world.planned(campaign, people)
    planning = time.monotonic() - begun
    with tempfile.TemporaryFile() as rows:
        _out(campaign, rows)
        return [_copy(rows) / planning for _ in range(3)]


def _out(campaign: Campaign, rows: IO[bytes]) -> None:
    query = f"COPY (SELECT * FROM campaigns_delivery WHERE campaign_id = {int(campaign.pk)}) TO STDOUT"  # noqa: S608
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for block in copy:
            rows.write(block)


def _copy(rows: IO[bytes]) -> float:
    """Return the seconds of a raw COPY of the rows into a table without index."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("CREATE TABLE bench_copy AS TABLE campaigns_delivery WITH NO DATA")
        try:
            rows.seek(0)
            begun = time.monotonic()
            _in(cursor, rows)
            return time.monotonic() - begun
        finally:
            cursor.execute("DROP TABLE bench_copy")


def _in(cursor: Any, rows: IO[bytes]) -> None:
    with cursor.copy("COPY bench_copy FROM STDIN") as copy:
        while block := rows.read(_BLOCK):
            copy.write(block)
