"""The cast of the demo story, and the file that its first customer uploads. Data only; everybody is at `.example`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class Actor:
    """Somebody who signs in."""

    key: str
    name: str
    email: str
    what: str  # printed with the logins: what to click
    has_app: bool = False  # an authenticator app, so a second factor is asked for


NINA = Actor(
    "nina",
    "Nina Lark",
    "nina@larkfield.example",
    "owner of Larkfield Garden Co., which may send: open the report, send the draft, upload a list",
    has_app=True,
)
TOM = Actor("tom", "Tom Reed", "tom@larkfield.example", "editor at Larkfield: writes, may not send")
MARA = Actor(
    "mara", "Mara Hollin", "mara@hollinhill.example", "owner of Hollin Hill Pottery, not verified yet: finish the tasks"
)
EDDA = Actor("edda", "Edda Fern", "edda@fernside.example", "owner of Fernside Choir; Nina is a viewer there")
JOE = Actor("joe", "Joe Marsh", "joe@saltmarsh.example", "owner of Saltmarsh Cycles, waiting for staff")
MONA = Actor(
    "mona",
    "Mona Vale",
    "mona@sendserver.example",
    "moderator: decide the waiting case and Saltmarsh at /staff/",
    has_app=True,
)
IDA = Actor(
    "ida",
    "Ida Stone",
    "ida@sendserver.example",
    "administrator: confirms a block, pauses a relay at /staff/",
    has_app=True,
)
CUSTOMERS = (NINA, TOM, MARA, EDDA, JOE)
STAFF = (MONA, IDA)

_FIRST = "Ada Ben Cleo Dan Eve Finn Gia Hal Ines Jon Kit Lea Max Nora Otto Pia Quinn Rosa Sam Tess Uma Vera Zoe"
_LAST = "Archer Baker Cole Dunn Ellis Ford Grant Hart Irwin Judd Keane Lowe Mercer Noble"
_TOWNS = ("millbrook", "oakham", "ferryhill", "stonebridge", "wexcombe", "northby")
# Each shows one thing that can come back; the manners are those of sendserver.local.manners.
_SPECIAL = (
    ("Gus", "Moved", "gus.moved@bounce.example"),
    ("Fay", "Full", "fay@full.example"),
    ("Ivy", "Spamby", "ivy@inbox.example"),
    ("Carl", "Clicker", "carl@clicks.example"),
    ("Holly", "Day", "holly@away.example"),
    ("Leo", "Leaver", "leo@leaves.example"),
    ("Max", "Stopper", "max@stops.example"),
    ("Lara", "Later", "lara@later.example"),
    ("Rex", "Refused", "rex@refuses.example"),
)
# What a file from life has wrong; the result page lists each with its line.
_TROUBLE = (
    "Nell,Dott,nell.dott@millbrook,GB,{day}",
    "Rob,Twice,ada.archer@millbrook.example,GB,{day}",
    "Shop,Desk,postmaster@oakham.example,GB,{day}",
    "Una,Dated,una.dated@oakham.example,GB,",
)
HEADER = "First name,Last name,E-mail,Country,Signed up"


def newsletter_file(people: int, today: datetime | None = None) -> bytes:
    """Return a CSV with `people` sound rows at most (303), those with special manners first, and a few bad ones."""
    now = today or datetime.now(UTC)
    rows = [HEADER]
    for number, (first, last, address) in enumerate([*_SPECIAL, *_everybody()][:people]):
        signed_up = now - timedelta(days=20 + number * 2 % 300)
        rows.append(f"{first},{last},{address},GB,{signed_up:%Y-%m-%d}")
    trouble = [row.format(day=f"{now - timedelta(days=40):%Y-%m-%d}") for row in _TROUBLE]
    return ("\r\n".join([*rows, *trouble]) + "\r\n").encode()


def _everybody() -> list[tuple[str, str, str]]:
    names = [(first, last) for last in _LAST.split() for first in _FIRST.split()]
    return [
        (first, last, f"{first}.{last}@{_TOWNS[number % len(_TOWNS)]}.example".lower())
        for number, (first, last) in enumerate(names)
    ]
