"""`python -m sendserver.testing.torture`: SEEDS=n rounds of each fault, FAULTS=1,6,21 for some of them only."""

from __future__ import annotations

import os
import sys

from sendserver.testing.torture.services import Machine, machine


def main() -> int:
    """Run the table; 1 when a row is not ok."""
    with machine() as servers:
        return _run(servers, int(os.environ.get("SEEDS") or "3"), _chosen(os.environ.get("FAULTS", "")))


def _run(servers: Machine, seeds: int, chosen: list[int]) -> int:
    import django

    django.setup()  # after the servers: its settings name them
    from sendserver.testing.torture import runner

    return runner.run(servers, seeds, chosen)


def _chosen(text: str) -> list[int]:
    return [int(word) for word in text.replace(" ", "").split(",") if word]


if __name__ == "__main__":
    sys.exit(main())
