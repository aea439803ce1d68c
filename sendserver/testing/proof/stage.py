"""What every proof stands on: a folder, the environment of the lanes, and the line that is printed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from accounts.models import Membership, User
from campaigns.bench.errors import BenchError
from campaigns.bench.world import Customer


@dataclass(frozen=True)
class Ground:
    """Where a proof works."""

    folder: Path
    environ: Mapping[str, str]

    def say(self, words: str) -> None:
        """Tell whoever waits how far it is; the lines of the report go elsewhere."""
        sys.stderr.write(f"# {words}\n")
        sys.stderr.flush()


@dataclass
class Proof:
    """One point: what was seen, and what was not as it must be."""

    point: str
    figures: dict[str, object] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def claim(self, holds: bool, sentence: str) -> None:
        """Keep the sentence as a problem unless it holds."""
        if not holds:
            self.problems.append(sentence)

    @property
    def ok(self) -> bool:
        """Tell whether everything was as it must be."""
        return not self.problems

    def as_json(self) -> str:
        """Return the line that is printed."""
        said = {"problems": self.problems} if self.problems else {}
        return json.dumps({"point": self.point, **self.figures, "ok": self.ok, **said}, ensure_ascii=False)


def actor(customer: Customer) -> User:
    """Return a person of this customer, who may stop its campaigns."""
    user, _ = User.objects.get_or_create(email="dana@larkfield.example", defaults={"name": "Dana Whitlock"})
    Membership.objects.get_or_create(organization=customer.organization, user=user, defaults={"role": "owner"})
    return user


def wait_until(holds: Callable[[], bool], seconds: float, what: str, every: float = 0.02) -> None:
    """Wait until `holds`; raises BenchError naming `what` did not happen."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise BenchError(f"{what} within {seconds:.0f} s.")
        time.sleep(every)
