"""Uploads of people who never signed up: bought lists, scraped ones, and three ways to make either look better.

Must-show 6 asks for `bought` and `scraped`. The others are harder on purpose; what is found of them is told apart.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

from compliance.testing import names
from compliance.testing.made import (
    TODAY,
    Maker,
    Upload,
    World,
    distinct,
    hosts_of,
    known_elsewhere,
    sized,
    some,
    some_domains,
    with_slips,
)
from compliance.testing.names import Land

_SELLERS: Final = (
    ["apollo_id", "company", "title"],
    ["LinkedIn URL", "Company", "Seniority"],
    ["Person Linkedin Url", "Email Confidence", "Employees"],
    ["zoominfo_contact_id", "industry", "revenue"],
    ["email_status", "source_url", "company"],
)


def _shares_of(rng: random.Random, addresses: list[str]) -> dict[str, set[str]]:
    """Return what three other customers uploaded of a list that was sold to all of them: 40 % of it.

    "The 40 %" can be read three ways, and sellers do all three: everybody got the same part, everybody drew a part of
    that size, or the part was split among them.
    """
    share, way = rng.uniform(0.37, 0.45), rng.choice(("same", "drawn", "split"))
    if way == "same":
        part = some(rng, addresses, share)
        return {f"buyer-{number}": set(part) for number in range(3)}
    if way == "drawn":
        return {f"buyer-{number}": some(rng, addresses, share) for number in range(3)}
    part_list = sorted(some(rng, addresses, share))
    rng.shuffle(part_list)
    third = len(part_list) // 3
    return {f"buyer-{number}": set(part_list[number * third : (number + 1) * third]) for number in range(3)}


def _dates(rng: random.Random, count: int) -> list[str] | None:
    """Return made-up sign-up dates: none at all, one for everybody, or any day of the last two years."""
    way = rng.random()
    if way < 0.35:
        return None
    if way < 0.5:
        return [(TODAY - timedelta(days=rng.randint(5, 200))).isoformat()] * count
    return [(TODAY - timedelta(days=rng.randint(3, 720))).isoformat() for _ in range(count)]


def _file(  # noqa: PLR0913, PLR0917 (the parts of one file)
    rng: random.Random, kind: str, file_name: str, people: dict[str, list[str]], extra: list[str], world: World
) -> Upload:
    addresses = list(people)
    way = rng.random()
    if way < 0.35:
        addresses.sort()
    elif way < 0.6:
        addresses.sort(key=lambda one: one.rpartition("@")[2])
    dates = _dates(rng, len(addresses))
    written = with_slips(rng, addresses, rng.uniform(0, 0.05))
    fill = [[rng.choice(names.TAILS).title() for _ in extra] for _ in range(50)]
    rows = [
        [cell, *people[one][:2], *rng.choice(fill), *([dates[index]] if dates else [])]
        for index, (one, cell) in enumerate(zip(addresses, written, strict=True))
    ]
    header = ["email", "first_name", "last_name", *extra, *(["date"] if dates else [])]
    targets: dict[int, str] = {0: "email", 1: "first_name", 2: "last_name"}
    if dates:
        targets[len(header) - 1] = "consent_at"
    return Upload(kind, 0, True, file_name, header, rows, targets, world, has_last_mail=rng.random() < 0.3)


def _sold_people(rng: random.Random, lands: list[Land], count: int) -> dict[str, list[str]]:
    """Return people as data traders have them: companies or private ones, with shared and function mailboxes."""
    work, shared, function = rng.uniform(0.1, 0.95), rng.uniform(0.01, 0.08), rng.uniform(0, 0.02)
    people: dict[str, list[str]] = {}

    def one() -> str:
        land = rng.choice(lands)
        name = names.person(rng, land)
        domain = names.company_domain(rng, land)
        if rng.random() < function:
            address = f"{rng.choice(names.FUNCTIONS)}@{domain}"
        elif rng.random() < shared:
            address = f"{rng.choice(names.SHARED)}@{domain}"
        elif rng.random() < work:
            address = names.work_mailbox(rng, domain, name)
        else:
            address = names.private_mailbox(rng, land, name)
        people[address] = [name[0].title(), name[1].title(), land.code]
        return address

    return {address: people[address] for address in distinct(one, count)}


def bought(rng: random.Random) -> Upload:
    """Make a bought list: three other customers uploaded 40 % of it; sometimes the seller's columns are left in."""
    lands = rng.sample(names.LANDS, rng.randint(1, 3))
    people = _sold_people(rng, lands, sized(rng, 800, 50_000))
    addresses = list(people)
    world = World(
        others={**known_elsewhere(rng, addresses, 0.001, 0.03), **_shares_of(rng, addresses)},
        complained=some(rng, addresses, rng.uniform(0.001, 0.02)),
        bounced=some(rng, addresses, rng.uniform(0.003, 0.05)),
        said_no=some(rng, addresses, rng.uniform(0, 0.02)),
        dead_domains=some_domains(rng, addresses, rng.uniform(0.01, 0.09), hosts_of(*lands)),
        biggest=0 if rng.random() < 0.7 else len(addresses),
    )
    extra = list(rng.choice(_SELLERS)) if rng.random() < 0.3 else rng.choice(([], ["company"], ["company", "city"]))
    return _file(rng, "bought", rng.choice(("list.csv", "leads.csv", "contacts final.csv")), people, extra, world)


def _scraped_people(rng: random.Random, land: Land, count: int, role: float, function: float) -> dict[str, list[str]]:
    people: dict[str, list[str]] = {}
    used: set[str] = set()

    def one() -> str:
        domain = names.company_domain(rng, land)
        if domain in used and rng.random() < 0.95:  # one address a domain; a page with two is rare
            domain = f"{rng.choice(names.STEMS)}-{domain}"
        used.add(domain)
        name = names.person(rng, land)
        if rng.random() < role:
            address = f"{rng.choice(names.SHARED)}@{domain}"
        elif rng.random() < function:
            address = f"{rng.choice(names.FUNCTIONS)}@{domain}"
        else:
            address = names.work_mailbox(rng, domain, name)
        people[address] = [domain]
        return address

    return {address: people[address] for address in distinct(one, count)}


def scraped(rng: random.Random) -> Upload:
    """Make a scraped list: one address a domain, role accounts, no dates; in the order in which a crawler went."""
    land = rng.choice(names.LANDS)
    people = _scraped_people(rng, land, sized(rng, 300, 30_000), rng.uniform(0.2, 0.75), rng.uniform(0, 0.04))
    addresses = list(people)
    world = _crawled_world(rng, addresses, land)
    if rng.random() < 0.5:
        addresses.sort(key=lambda one: one.rpartition("@")[2])
    extra = rng.choice(([], ["company"], ["website", "phone"], ["company", "city", "phone"], ["url found on"]))
    written = with_slips(rng, addresses, rng.uniform(0, 0.06))
    rows = [
        [cell, *(f"{name} {people[one][0]}" for name in extra)] for one, cell in zip(addresses, written, strict=True)
    ]
    return Upload(
        "scraped", 0, True, "companies.csv", ["email", *extra], rows, {0: "email"}, world, has_last_mail=False
    )


def _crawled_world(rng: random.Random, addresses: list[str], land: Land) -> World:
    return World(
        others=known_elsewhere(rng, addresses, 0.0, 0.06),
        complained=some(rng, addresses, rng.uniform(0, 0.006)),
        bounced=some(rng, addresses, rng.uniform(0, 0.03)),
        said_no=some(rng, addresses, rng.uniform(0, 0.01)),
        dead_domains=some_domains(rng, addresses, rng.uniform(0.02, 0.12), hosts_of(land)),
        traps=some(rng, addresses, 0.0002) if rng.random() < 0.25 else set(),
        biggest=0,
    )


def scraped_washed(rng: random.Random) -> Upload:
    """Make a scraped list after washing: role accounts taken out, dates and names made up. Harder than must-show 6."""
    land = rng.choice(names.LANDS)
    people = _scraped_people(rng, land, sized(rng, 300, 20_000), 0.0, 0.0)
    addresses = list(people)
    world = _crawled_world(rng, addresses, land)
    rng.shuffle(addresses)
    days = [(TODAY - timedelta(days=rng.randint(3, 720))).isoformat() for _ in addresses]
    rows = [[one, day] for one, day in zip(addresses, days, strict=True)]
    targets = {0: "email", 1: "consent_at"}
    return Upload("scraped_washed", 0, True, "readers.csv", ["email", "signed_up"], rows, targets, world)


def guessed(rng: random.Random) -> Upload:
    """Make guessed addresses: the same few first names, or a@, b@, c@, at every domain. Harder than must-show 6."""
    land = rng.choice(names.LANDS)
    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    locals_ = rng.choice((letters, rng.sample(land.first, 12), [f"{a}{b}" for a in "ajms" for b in land.last[:6]]))
    domains = distinct(lambda: names.company_domain(rng, land), rng.randint(40, 900))
    addresses = [f"{local}@{domain}" for domain in domains for local in locals_]
    world = World(
        others=known_elsewhere(rng, addresses, 0.0, 0.01),
        bounced=some(rng, addresses, rng.uniform(0.0, 0.02)),
        dead_domains=some_domains(rng, addresses, rng.uniform(0.01, 0.08), hosts_of(land)),
    )
    rows = [[one] for one in addresses]
    return Upload("guessed", 0, True, "emails.csv", ["email"], rows, {0: "email"}, world, has_last_mail=False)


def bought_small(rng: random.Random) -> Upload:
    """Make a bought list of fewer than 800 people: overlap says less about few. Harder than must-show 6."""
    lands = rng.sample(names.LANDS, 1)
    people = _sold_people(rng, lands, sized(rng, 120, 800))
    addresses = list(people)
    world = World(
        others={**known_elsewhere(rng, addresses, 0.001, 0.03), **_shares_of(rng, addresses)},
        bounced=some(rng, addresses, rng.uniform(0.003, 0.05)),
        dead_domains=some_domains(rng, addresses, rng.uniform(0.01, 0.09), hosts_of(*lands)),
    )
    return _file(rng, "bought_small", "contacts.csv", people, [], world)


MAKERS: Final[tuple[Maker, ...]] = (bought, scraped)
HARDER: Final[tuple[Maker, ...]] = (scraped_washed, guessed, bought_small)
