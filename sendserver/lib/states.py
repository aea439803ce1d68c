"""Life cycles: one enum, one transition table, one check (architecture rule 6)."""

from __future__ import annotations

from collections.abc import Mapping


class TransitionRefusedError(Exception):
    """The table has no arrow from `source` to `target`."""

    def __init__(self, source: str, target: str) -> None:
        super().__init__(f"{source} does not lead to {target}")
        self.source, self.target = source, target


def require(table: Mapping[str, frozenset[str]], source: str, target: str) -> None:
    """Raise TransitionRefusedError unless `table` leads from `source` to `target`."""
    if target not in table.get(source, frozenset()):
        raise TransitionRefusedError(source, target)
