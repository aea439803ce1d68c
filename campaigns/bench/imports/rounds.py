"""The rounds of `make bench-import`, and the figures made of them."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from accounts.models import User
from campaigns.bench.errors import BenchError
from campaigns.bench.imports import ground, sample, visitor
from campaigns.bench.imports.ground import Timed
from campaigns.bench.musts import Figure
from campaigns.bench.world import Customer

Say = Callable[[str], None]


@dataclass
class Round:
    """One import and the raw COPY of its rows: seconds a table."""

    timed: Timed
    raw: dict[str, float]
    p95: float  # milliseconds of a page meanwhile

    @property
    def copying(self) -> float:
        """Return the seconds of raw COPY of the people, what permits mailing them left out."""
        return self.raw[ground.TABLES[0]]

    @property
    def read(self) -> float:
        """Return the speed of reading to that of raw COPY of the people."""
        return self.copying / self.timed.reading

    @property
    def read_of_both(self) -> float:
        """Return the speed of reading to that of raw COPY into every table that an import fills."""
        return sum(self.raw.values()) / self.timed.reading

    @property
    def whole(self) -> float:
        """Return the speed of counting and reading to that of raw COPY of the people."""
        return self.copying / (self.timed.reading + self.timed.counting)


@dataclass
class Arena:
    """A customer with its list on disk."""

    customer: Customer
    owner: User
    path: Path
    rows: int
    kept: int
    folder: Path
    say: Say


def measure(options: argparse.Namespace, folder: Path, say: Say) -> list[Figure]:
    """Return the figures; raises BenchError when an import does not end with the people it must end with."""
    path = folder / "people.csv"
    kept = sample.write(path, options.rows)
    made, owner = ground.customer()
    ground.suppress(made, options.rows)
    arena = Arena(made, owner, path, options.rows, kept, folder, say)
    done = [_round(arena, number) for number in range(1, options.rounds + 1)]
    found = figures(done)
    return [*found, *_crowded(arena, options, done)] if options.crowd else found


def _crowded(arena: Arena, options: argparse.Namespace, alone: list[Round]) -> list[Figure]:
    """Return how fast the same list is counted and read beside so many hashes, to before; rates against raw COPY.

    Both against the raw COPY of their own round, since the machine may be another one minutes later. Counting compares
    with other customers' marks, reading with the do-not-mail list: reading is judged by itself as well.
    """
    arena.say(f"Putting {options.crowd:,} strangers on the do-not-mail list, and as many marks of other lists ...")
    ground.crowd(options.crowd)
    beside = [_round(arena, number) for number in range(1, options.rounds + 1)]
    return [
        _against("import_crowd_vs_none", [one.whole for one in beside], [one.whole for one in alone]),
        _against("import_read_crowd_vs_none", [one.read for one in beside], [one.read for one in alone]),
    ]


def _against(name: str, beside: list[float], alone: list[float]) -> Figure:
    before = statistics.median(alone)
    return Figure(name, tuple(speed / before for speed in beside))


def _round(arena: Arena, number: int) -> Round:
    ground.empty()
    with visitor.visiting(arena.owner, arena.folder) as seen:
        timed = ground.import_once(arena.customer, arena.owner, arena.path, arena.folder)
    if timed.kept != arena.kept:
        raise BenchError(f"{timed.kept:,} people were added, not {arena.kept:,}.")
    files = ground.export(arena.folder)
    ground.empty()
    raw = {table: ground.raw_copy(table, path) for table, path in files.items()}
    done = Round(timed, raw, seen.p95)
    arena.say(
        f"Round {number}: counted in {timed.counting:.1f} s, read in {timed.reading:.1f} s "
        f"({arena.rows / timed.reading:,.0f} rows/s), raw COPY of {timed.kept:,} people in "
        f"{' + '.join(f'{seconds:.1f}' for seconds in raw.values())} s; {timed.rss:.0f} MiB; a page {seen.p95:.0f} ms; "
        f"still for {timed.gap:.1f} s ({timed.stood})"
    )
    return done


def figures(done: list[Round]) -> list[Figure]:
    """Return the figures of some rounds; speeds are people a second, for us as for COPY."""
    return [
        Figure("import_vs_copy", tuple(one.read for one in done)),
        Figure("import_vs_copy_of_both_tables", tuple(one.read_of_both for one in done)),
        Figure("import_and_count_vs_copy", tuple(one.whole for one in done)),
        Figure("import_rss_mib", tuple(one.timed.rss for one in done)),
        Figure("import_still_s", tuple(one.timed.gap for one in done)),
        Figure("import_page_p95_ms", tuple(one.p95 for one in done)),
    ]
