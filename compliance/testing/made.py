"""What a made-up upload is: the file as a customer would send it, and what the world around it knows.

The judge gets the file and the world, never `kind` or `is_bad`.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from compliance.testing.names import Land

TODAY: Final = date(2026, 11, 1)  # the made-up files are of this day


@dataclass
class World:
    """What is known outside the file: addresses by whoever knows them."""

    others: dict[str, set[str]] = field(default_factory=dict)  # another customer -> addresses it uploaded
    blocked: frozenset[str] = frozenset()  # which of those customers are blocked
    complained: set[str] = field(default_factory=set)  # at another customer
    bounced: set[str] = field(default_factory=set)  # at another customer
    said_no: set[str] = field(default_factory=set)  # to this customer, or to the whole platform
    dead_domains: set[str] = field(default_factory=set)
    traps: set[str] = field(default_factory=set)
    biggest: int = 0  # rows of this customer's largest upload before; 0 for none


@dataclass(frozen=True)
class Upload:
    """A made-up file; `rows` are cells as they stand in it, `targets` what the customer says the columns are."""

    kind: str
    seed: int
    is_bad: bool
    file_name: str
    header: list[str]
    rows: list[list[str]]
    targets: dict[int, str]
    world: World
    earliest: str = "2019-01"  # of the sign-ups, as declared
    has_last_mail: bool = True  # the customer says when these people last got mail

    def as_csv(self) -> bytes:
        """Return the file."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue().encode()


Maker = Callable[[random.Random], Upload]


def sized(rng: random.Random, low: int, high: int) -> int:
    """Return a size between two bounds, small ones as likely as large ones (evenly on a log scale)."""
    return round(low * (high / low) ** rng.random())


def distinct(make: Callable[[], str], count: int) -> list[str]:
    """Return `count` different values."""
    found: dict[str, None] = {}
    tries = 0
    while len(found) < count:
        found[make()] = None
        tries += 1
        if tries > 60 * count + 1000:
            raise AssertionError("the stock of names is too small for this size")
    return list(found)


def some(rng: random.Random, values: Sequence[str], share: float) -> set[str]:
    """Return a random share of `values`."""
    return set(rng.sample(values, min(len(values), round(share * len(values)))))


def some_domains(rng: random.Random, addresses: Iterable[str], share: float, hosts: Iterable[str]) -> set[str]:
    """Return dead domains that make up about `share` of the addresses; large mailbox hosts are never dead."""
    known, addresses = set(hosts), list(addresses)
    counts: dict[str, int] = {}
    for address in addresses:
        domain = address.rpartition("@")[2]
        if domain not in known:
            counts[domain] = counts.get(domain, 0) + 1
    order, dead, covered = list(counts), set(), 0
    rng.shuffle(order)
    for domain in order:
        if covered >= share * len(addresses):
            break
        if counts[domain] > 0.01 * len(addresses) + 1:
            continue  # a domain that many of them have is alive
        dead.add(domain)
        covered += counts[domain]
    return dead


def misspelt(rng: random.Random, address: str) -> str:
    """Return an address with a slip that the import refuses."""
    local, _, domain = address.partition("@")
    return rng.choice(
        [f"{local}{domain}", f"{local}@@{domain}", f"{local} @ {domain}", f"{local}@{domain[:-4]}", local]
    )


def with_slips(rng: random.Random, addresses: list[str], share: float) -> list[str]:
    """Return the addresses with a share of them misspelt."""
    return [misspelt(rng, one) if rng.random() < share else one for one in addresses]


def growing_dates(rng: random.Random, count: int, years: float, spikes: int = 0) -> list[str]:
    """Return sign-up days of a list that grew, oldest first, more of late; campaigns bring days with many."""
    span = max(30, int(365 * years))
    days = [int(span * rng.random() ** 0.7) for _ in range(count)]
    for _ in range(spikes):
        day = rng.randrange(span)
        for index in rng.sample(range(count), max(1, count // 40)):
            days[index] = day + rng.randint(0, 2)
    days = sorted(min(day, span - 1) for day in days)
    return [(TODAY - timedelta(days=span - day)).isoformat() for day in days]


def known_elsewhere(rng: random.Random, addresses: list[str], low: float, high: float) -> dict[str, set[str]]:
    """Return other customers who have some of these people too, as it happens where people read many newsletters.

    Who reads much is on several lists, so the few are not spread evenly.
    """
    keen = rng.sample(addresses, max(1, len(addresses) // 4))
    found = {}
    for number in range(rng.randint(1, 7)):
        share = rng.uniform(low, high)
        pool = keen if rng.random() < 0.6 else addresses
        found[f"other-{number}"] = set(rng.sample(pool, min(len(pool), round(share * len(addresses)))))
    return found


def hosts_of(*lands: Land) -> set[str]:
    """Return the large mailbox hosts of some countries."""
    return {host for land in lands for host in land.hosts}
