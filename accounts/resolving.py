"""Questions to one resolver at a time; nothing here judges an answer, and accounts.asking does the asking.

Only names that passed `to_ascii_domain` are asked for, only the types below, with a hard time limit and a bound on
followed CNAMEs (reliability 3.3: look-ups are a way to make a server talk).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

TYPES = frozenset({"A", "AAAA", "CNAME", "MX", "TXT"})


class Status(StrEnum):
    """What a resolver said."""

    FOUND = "found"
    MISSING = "missing"  # the name or the type does not exist
    SILENT = "silent"  # SERVFAIL, REFUSED, no answer in time: nothing is known


@dataclass(frozen=True)
class Answer:
    """One resolver's answer; values are texts, TXT strings joined, names without the last dot."""

    status: Status
    values: tuple[str, ...] = ()
    authentic: bool = False  # the resolver vouches for DNSSEC (AD bit)


Ask = Callable[[str, str], Answer]
SILENCE = Answer(Status.SILENT)


def asker(server: str) -> Ask:
    """Return a function that asks `server` ("host:port") for a name and a type."""
    host, _, port = server.rpartition(":")

    def ask(name: str, kind: str) -> Answer:
        from accounts import asking  # at the first question: a lane asks none, and dnspython takes 2 MiB

        return asking.follow(name, kind, host.strip("[]"), int(port))

    return ask
