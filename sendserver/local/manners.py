"""How the people of the local world behave, told by their addresses alone. Pure: looks up, acts nowhere.

Everything ends in `.example` (RFC 2606), so none of them exists. The table is printed on /local/people/.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

Act = Literal["bounce", "full", "complain", "click", "away", "leave", "leave_by_mail", ""]


@dataclass(frozen=True)
class Manner:
    """What the people of one domain do; `words` is printed for the newcomer."""

    domain: str
    words: str
    refusal: str = ""  # the relay's answer to RCPT; with `defers` only the first time
    defers: bool = False
    act: Act = ""


TABLE = (
    Manner("bounce.example", "The mailbox does not exist: a bounce report returns by SMTP.", act="bounce"),
    Manner("full.example", "The mailbox is full: a bounce report returns by SMTP.", act="full"),
    Manner("inbox.example", "Presses the spam button: a feedback report returns by SMTP.", act="complain"),
    Manner("clicks.example", "Opens the first link.", act="click"),
    Manner("away.example", "Is on holiday: an automatic reply returns by SMTP.", act="away"),
    Manner("leaves.example", "Unsubscribes with the button of the mail program (one-click POST).", act="leave"),
    Manner(
        "stops.example", "Unsubscribes by mail, to the address of the List-Unsubscribe header.", act="leave_by_mail"
    ),
    Manner(
        "later.example",
        "The relay answers 451 the first time and takes the second try.",
        refusal="451 4.7.1 Please try again later",
        defers=True,
    ),
    Manner(
        "refuses.example",
        "The relay refuses the address at once.",
        refusal="550 5.1.1 No such mailbox here",
    ),
    Manner("quiet.example", "Reads, and never does anything."),
)
_BY_DOMAIN = {manner.domain: manner for manner in TABLE}
ORDINARY = "Everybody else: about one in twelve opens a link, one in 150 unsubscribes, always the same people."
# Of 10,000 ordinary people; drawn from the address, so the same person always does the same.
_DRAWN: tuple[tuple[int, Act], ...] = ((830, "click"), (67, "leave"))


def manner_of(address: str) -> Manner:
    """Return how the person behind `address` behaves."""
    domain = address.rpartition("@")[2].lower()
    return _BY_DOMAIN.get(domain) or Manner(domain, ORDINARY, act=_draw(address))


def _draw(address: str) -> Act:
    number = int.from_bytes(hashlib.blake2s(address.lower().encode(), digest_size=4).digest(), "big") % 10_000
    for share, act in _DRAWN:
        if number < share:
            return act
        number -= share
    return ""
