"""The list of the benchmark: a CSV file of made-up people, and whom of them the sender must not mail.

Shares as in the performance targets: 2 % come twice in other letters, 0.5 % are no addresses, 1 % said no before.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

SEED: Final = 20261123
HEADER: Final = "email,first name,last name,country,signed up\n"
TWICE, WRONG = 0.02, 0.005
EVERY: Final = 100  # of so many people the first said no before
_FIRST: Final = ("Ada", "Ben", "Chloé", "Dmitri", "Eva", "Fionn", "Grete", "Hana", "Iain", "Jürgen", "Kim", "Zoë")
_LAST: Final = ("Abbot", "Brandt", "Costa", "Duarte", "Evans", "Fischer", "García", "Hughes", "Ito", "Jensen")
_HOSTS: Final = ("mail.example", "post.example", "letters.example.org", "box.example.net", "quill.example.com")
_COUNTRIES: Final = ("GB", "IE", "FR", "NL", "US", "CA")
_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)


def address(number: int) -> str:
    """Return the address of the person with this number."""
    return f"{_FIRST[number % 12].lower().encode('ascii', 'ignore').decode()}.{number:07d}@{_HOSTS[number % 5]}"


def said_no(rows: int) -> Iterator[str]:
    """Yield the addresses of a list of `rows` that stand on the do-not-mail list."""
    return (address(number) for number in range(0, rows, EVERY))


def write(path: Path, rows: int) -> int:
    """Write a list of `rows` rows and return how many people of it belong on the list."""
    rng = random.Random(SEED)  # noqa: S311
    bad = twice = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        for number in range(rows):
            text, dice = address(number), rng.random()
            if number % EVERY > 1 and dice < WRONG:
                text, bad = text.replace("@", " at ") if number % 2 else text + ".", bad + 1
            elif number % EVERY > 1 and dice < WRONG + TWICE:
                # Of somebody whose own row is surely good, anywhere before.
                text, twice = address(EVERY * rng.randrange(number // EVERY + 1) + 1).upper(), twice + 1
            stamp = _DAY + timedelta(seconds=rng.randrange(20_000_000))
            person = f"{_FIRST[number % 12]},{_LAST[number % 10]},{_COUNTRIES[number % 6]}"
            file.write(f"{text},{person},{stamp:%Y-%m-%d %H:%M:%S}\n")
    return rows - bad - twice - len(range(0, rows, EVERY))
