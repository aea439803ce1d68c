"""Ten kinds of honest uploads (issue "Lists", must-show 6). What differs is what differs in life: who the people are,
where their mailboxes are, how the dates came about, what the old tool called its columns, how careful somebody typed.
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
    growing_dates,
    hosts_of,
    known_elsewhere,
    sized,
    some,
    some_domains,
    with_slips,
)
from compliance.testing.names import Land

KIND: Final = "honest"


def _titled(name: tuple[str, str]) -> tuple[str, str]:
    return name[0].title(), name[1].title()


def _private(rng: random.Random, lands: list[Land], count: int, work: float) -> tuple[list[str], dict[str, list[str]]]:
    """Return addresses of private people, a share `work` of them at their employers, and who they are.

    The second value maps an address to first name, last name, country.
    """
    people: dict[str, list[str]] = {}

    def one() -> str:
        land = rng.choice(lands)
        name = names.person(rng, land)
        if rng.random() < work:
            domain = names.company_domain(rng, land)
            box = rng.random() < 0.12
            address = f"{rng.choice(names.SHARED)}@{domain}" if box else names.work_mailbox(rng, domain, name)
        else:
            address = names.private_mailbox(rng, land, name)
        people[address] = [*_titled(name), land.code]
        return address

    return distinct(one, count), people


def _history(rng: random.Random, count: int, chance: float = 0.5) -> int:
    """Return the largest upload before: 0 for a first one; an honest list seldom grows tenfold."""
    return 0 if rng.random() < chance else max(50, round(count * rng.uniform(0.3, 1.4)))


def _consumer_world(rng: random.Random, addresses: list[str], hosts: set[str], dead: float) -> World:
    return World(
        others=known_elsewhere(rng, addresses, 0.001, 0.045),
        complained=some(rng, addresses, rng.uniform(0, 0.002)),
        bounced=some(rng, addresses, rng.uniform(0, 0.006)),
        said_no=some(rng, addresses, rng.uniform(0, 0.02)),
        dead_domains=some_domains(rng, addresses, dead, hosts),
        biggest=_history(rng, len(addresses)),
    )


def shop(rng: random.Random) -> Upload:
    """Make the newsletter of an online shop: private mailboxes, a few work ones, dates with spikes of campaigns."""
    land = rng.choice(names.LANDS)
    addresses, people = _private(rng, [land], sized(rng, 500, 50_000), rng.uniform(0.02, 0.1))
    dates = growing_dates(rng, len(addresses), rng.uniform(0.5, 7), rng.randint(0, 6))
    world = _consumer_world(rng, addresses, hosts_of(land), rng.uniform(0.001, 0.01))
    named = rng.random() < 0.6
    written = with_slips(rng, addresses, rng.uniform(0, 0.004))
    rows = [
        [cell, day, *(people[one][:1] if named else [])]
        for one, cell, day in zip(addresses, written, dates, strict=True)
    ]
    header = ["email", "opt_in_date", *(["first_name"] if named else [])]
    targets = {0: "email", 1: "consent_at", **({2: "first_name"} if named else {})}
    return Upload("shop", 0, False, "newsletter.csv", header, rows, targets, world)


def club(rng: random.Random) -> Upload:
    """Make the members of a club: one region, full names, joining dates on few days a year, some shared mailboxes."""
    land = rng.choice([names.GB, names.DE, names.NL])
    addresses, people = _private(rng, [land], sized(rng, 200, 3000), rng.uniform(0.03, 0.12))
    starts = [TODAY - timedelta(days=rng.randint(20, 4000)) for _ in range(rng.randint(8, 60))]
    world = _consumer_world(rng, addresses, hosts_of(land), rng.uniform(0.001, 0.012))
    written = with_slips(rng, addresses, rng.uniform(0.002, 0.02))
    rows = [
        [people[one][1], people[one][0], cell, rng.choice(starts).strftime("%d.%m.%Y")]
        for one, cell in zip(addresses, written, strict=True)
    ]
    if rng.random() < 0.6:
        rows.sort()  # a register of members is kept by surname
    targets = {0: "last_name", 1: "first_name", 2: "email", 3: "consent_at"}
    return Upload("club", 0, False, "members.csv", ["Surname", "First name", "E-mail", "Joined"], rows, targets, world)


def software(rng: random.Random) -> Upload:
    """Make the readers of a maker of business software: one address a company, sign-up dates, few private ones."""
    lands = rng.sample(names.LANDS, rng.randint(1, 3))
    count = sized(rng, 250, 9000)
    private = rng.uniform(0.02, 0.15)
    shared = rng.uniform(0.0, 0.09)
    people: dict[str, list[str]] = {}

    def one() -> str:
        land = rng.choice(lands)
        name = names.person(rng, land)
        domain = names.company_domain(rng, land)
        if rng.random() < private:
            address = names.private_mailbox(rng, land, name)
        elif rng.random() < shared:
            address = f"{rng.choice(names.SHARED)}@{domain}"
        else:
            address = names.work_mailbox(rng, domain, name)
        people[address] = [*_titled(name), land.code, domain.partition(".")[0].title()]
        return address

    addresses = distinct(one, count)
    dates = growing_dates(rng, count, rng.uniform(1, 6), rng.randint(0, 4))
    world = World(
        others=known_elsewhere(rng, addresses, 0.001, 0.05),
        complained=some(rng, addresses, rng.uniform(0, 0.001)),
        bounced=some(rng, addresses, rng.uniform(0, 0.01)),
        said_no=some(rng, addresses, rng.uniform(0, 0.015)),
        dead_domains=some_domains(rng, addresses, rng.uniform(0.002, 0.022), hosts_of(*lands)),
        biggest=_history(rng, count),
    )
    rows = [
        [cell, *people[one][:2], people[one][3], f"{day} {rng.randint(6, 20):02d}:{rng.randint(0, 59):02d}:00"]
        for one, cell, day in zip(addresses, with_slips(rng, addresses, 0.002), dates, strict=True)
    ]
    header = ["email", "first name", "last name", "company", "subscribed_at"]
    targets = {0: "email", 1: "first_name", 2: "last_name", 3: "field", 4: "consent_at"}
    return Upload("software", 0, False, "product-news.csv", header, rows, targets, world)


def school(rng: random.Random) -> Upload:
    """Make the parents of a school: two to a family, dates on the first days of a school year."""
    land = rng.choice([names.GB, names.DE, names.FR])
    count = sized(rng, 200, 1600)
    addresses, people = _private(rng, [land], count, rng.uniform(0.08, 0.25))
    years = rng.randint(3, 9)
    days = [TODAY.replace(year=2026 - rng.randrange(years), month=9, day=rng.randint(1, 12)) for _ in range(count)]
    world = _consumer_world(rng, addresses, hosts_of(land), rng.uniform(0.001, 0.01))
    written = with_slips(rng, addresses, rng.uniform(0.003, 0.02))
    rows = [
        [cell, *people[one][:2], f"{rng.randint(1, 13)}{rng.choice('abc')}", day.isoformat()]
        for one, cell, day in zip(addresses, written, days, strict=True)
    ]
    header = ["Email", "First name", "Surname", "Class", "Date"]
    targets = {0: "email", 1: "first_name", 2: "last_name", 3: "field", 4: "consent_at"}
    return Upload("school", 0, False, "parents 2026.csv", header, rows, targets, world)


def choir(rng: random.Random) -> Upload:
    """Make the friends of a village choir: few people, few surnames, no dates in the file, typed by hand."""
    land = rng.choice([names.GB, names.DE])
    local = Land(land.code, land.first, tuple(rng.sample(land.last, 14)), land.hosts, land.tlds)
    addresses, people = _private(rng, [local], rng.randint(40, 420), rng.uniform(0.02, 0.1))
    world = _consumer_world(rng, addresses, hosts_of(land), rng.uniform(0, 0.01))
    world.others = {} if rng.random() < 0.5 else known_elsewhere(rng, addresses, 0.0, 0.03)
    written = with_slips(rng, addresses, rng.uniform(0, 0.03))
    rows = [[*people[one][:2], cell] for one, cell in zip(addresses, written, strict=True)]
    if rng.random() < 0.7:
        rows.sort(key=lambda row: row[1])
    targets = {0: "first_name", 1: "last_name", 2: "email"}
    return Upload("choir", 0, False, "Choir friends.csv", ["First name", "Name", "Mail"], rows, targets, world)


def event(rng: random.Random) -> Upload:
    """Make sheets of paper from events, typed up: a handful of days, slips of the pen, private and work mailboxes."""
    land = rng.choice(names.LANDS)
    count = sized(rng, 200, 2500)
    addresses, people = _private(rng, [land], count, rng.uniform(0.05, 0.35))
    days = [(TODAY - timedelta(days=rng.randint(2, 300))).isoformat() for _ in range(rng.randint(1, 6))]
    world = _consumer_world(rng, addresses, hosts_of(land), rng.uniform(0.003, 0.02))
    written = with_slips(rng, addresses, rng.uniform(0.01, 0.05))
    rows = [[cell, people[one][0], rng.choice(days)] for one, cell in zip(addresses, written, strict=True)]
    targets = {0: "email", 1: "first_name", 2: "consent_at"}
    return Upload("event", 0, False, "fair sheets.csv", ["E-mail", "Name", "Date"], rows, targets, world)


def webinar(rng: random.Random) -> Upload:
    """Make who registered for webinars and ticked the box: companies, job titles, a few weeks, many countries."""
    lands = rng.sample(names.LANDS, rng.randint(2, 5))
    addresses, people = _private(rng, lands, sized(rng, 250, 8000), rng.uniform(0.35, 0.75))
    first = rng.randint(30, 500)
    days = [first - int(rng.betavariate(2, 1.2) * 21 * rng.randint(1, 3)) for _ in addresses]
    jobs = ("Manager", "Head of Marketing", "Student", "Owner", "Engineer", "Consultant", "Director", "", "Teacher")
    world = _consumer_world(rng, addresses, hosts_of(*lands), rng.uniform(0.003, 0.02))
    rows = [
        [
            *people[one][:2],
            cell,
            rng.choice(jobs),
            one.rpartition("@")[2].partition(".")[0].title(),
            people[one][2],
            f"{TODAY - timedelta(days=max(1, day))}T{rng.randint(7, 21):02d}:{rng.randint(0, 59):02d}:09Z",
        ]
        for one, cell, day in zip(addresses, with_slips(rng, addresses, 0.003), days, strict=True)
    ]
    header = ["First Name", "Last Name", "Email", "Job Title", "Organization", "Country", "Registration Time"]
    targets = {0: "first_name", 1: "last_name", 2: "email", 3: "field", 4: "field", 5: "country", 6: "consent_at"}
    return Upload("webinar", 0, False, "registrations.csv", header, rows, targets, world)


def moved(rng: random.Random) -> Upload:
    """Make a list moved from another tool: years of dates, that tool's columns, tired domains, some who had left.

    Now and then the same list stood in another account here before, say of an agency.
    """
    lands = rng.sample(names.LANDS, rng.randint(1, 2))
    addresses, people = _private(rng, lands, sized(rng, 1500, 50_000), rng.uniform(0.04, 0.3))
    dates = growing_dates(rng, len(addresses), rng.uniform(3, 11), rng.randint(0, 5))
    world = _consumer_world(rng, addresses, hosts_of(*lands), rng.uniform(0.005, 0.025))
    world.said_no = some(rng, addresses, rng.uniform(0, 0.06))
    world.bounced = some(rng, addresses, rng.uniform(0, 0.015))
    if rng.random() < 0.12:
        world.others["agency"] = some(rng, addresses, rng.uniform(0.5, 1.0))
    rows = [
        [cell, *people[one][:2], f"{day} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:11", str(rng.randint(1, 5))]
        for one, cell, day in zip(addresses, with_slips(rng, addresses, 0.001), dates, strict=True)
    ]
    header = ["Email Address", "First Name", "Last Name", "OPTIN_TIME", "MEMBER_RATING"]
    targets = {0: "email", 1: "first_name", 2: "last_name", 3: "consent_at", 4: ""}
    return Upload("moved", 0, False, "subscribed_members_export.csv", header, rows, targets, world)


def many_lands(rng: random.Random) -> Upload:
    """Make a shop that sells to many countries: a country column, hosts and names of everywhere."""
    lands = rng.sample(names.LANDS, rng.randint(3, 6))
    addresses, people = _private(rng, lands, sized(rng, 2000, 50_000), rng.uniform(0.02, 0.12))
    dates = growing_dates(rng, len(addresses), rng.uniform(1, 6), rng.randint(0, 6))
    world = _consumer_world(rng, addresses, hosts_of(*lands), rng.uniform(0.001, 0.012))
    rows = [
        [cell, people[one][2], day]
        for one, cell, day in zip(addresses, with_slips(rng, addresses, 0.003), dates, strict=True)
    ]
    targets = {0: "email", 1: "country", 2: "consent_at"}
    return Upload("many_lands", 0, False, "customers-optin.csv", ["mail", "land", "created"], rows, targets, world)


def donors(rng: random.Random) -> Upload:
    """Make who gave and agreed to hear more: older people, old hosts, waves after each appeal, more who moved on."""
    land = rng.choice([names.GB, names.DE, names.US])
    old = dict(list(land.hosts.items())[1:])  # fewer at the newest host
    addresses, people = _private(
        rng, [Land(land.code, land.first, land.last, old, land.tlds)], sized(rng, 400, 20_000), rng.uniform(0.02, 0.08)
    )
    dates = growing_dates(rng, len(addresses), rng.uniform(2, 9), rng.randint(4, 12))
    world = _consumer_world(rng, addresses, hosts_of(land), rng.uniform(0.002, 0.012))
    world.others = known_elsewhere(rng, addresses, 0.005, 0.08)  # who gives, gives to several
    written = with_slips(rng, addresses, rng.uniform(0.001, 0.008))
    rows = [
        [*people[one][:2], cell, str(rng.choice((5, 10, 20, 25, 50, 100))), day]
        for one, cell, day in zip(addresses, written, dates, strict=True)
    ]
    header = ["First name", "Last name", "Email", "Last gift", "Opt-in date"]
    targets = {0: "first_name", 1: "last_name", 2: "email", 3: "", 4: "consent_at"}
    return Upload("donors", 0, False, "supporters.csv", header, rows, targets, world)


MAKERS: Final[tuple[Maker, ...]] = (shop, club, software, school, choir, event, webinar, moved, many_lands, donors)
