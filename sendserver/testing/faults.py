"""The named faults that `make mutants` plants: what a careless change could do, and the tests that have to notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    """One fault: in `file` the first `old` becomes `new`; then one of `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def fits(self, tree: Path) -> bool:
        """Tell whether the text to change is still there."""
        path = tree / self.file
        return path.exists() and self.old in path.read_text(encoding="utf-8")


FAULTS: tuple[Fault, ...] = (
    Fault(
        "smuggled-message",
        "sendserver/local/smtpd.py",
        "if is_damaged(message):",
        "if False:",
        ("sendserver/local/tests/test_relay.py",),
    ),
    Fault(
        "outbox-runs-scripts",
        "sendserver/local/views.py",
        "sandbox allow-popups",
        "sandbox allow-scripts allow-popups",
        ("sendserver/local/tests/test_outbox.py",),
    ),
)
