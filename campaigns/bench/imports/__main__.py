"""`make bench-import`: `python -m campaigns.bench.imports` beside a database and a broker of its own.

The product's process for lists reads a CSV file; then the very rows that it wrote are copied raw into the same tables,
with the same indexes and references. Exit code 0: every bound is kept; 1: one was missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from campaigns.bench.musts import Figure

ROWS: Final = 200_000
ROUNDS: Final = 3


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendserver.settings")
    import django

    django.setup()
    from campaigns.bench.errors import BenchError

    options = _read(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="imports-", dir=os.environ.get("VAR_DIR")) as folder:
            return run(options, Path(folder))
    except BenchError as error:
        _say(f"Bench: {error}")
        return 1


def _read(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-import", description="How fast lists are read, as ratios of one run.")
    parser.add_argument("--rows", type=int, default=int(os.environ.get("ROWS") or ROWS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--crowd", type=int, default=0, help="so many hashes on do-not-mail lists, against none")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, folder: Path) -> int:
    """Run the rounds and print the report."""
    from campaigns.bench import machine, report
    from campaigns.bench.imports import rounds
    from campaigns.bench.musts import NAMES_IMPORT

    begun = time.monotonic()
    found: list[Figure] = rounds.measure(options, folder, _say)
    names = [name for name in NAMES_IMPORT if options.crowd or "crowd" not in name]
    said, code = report.verdict(found, names, share=1.0)
    lines: list[Any] = [
        *("", *machine.portal(), f"{options.rows:,} rows, {options.rounds} rounds", ""),
        *(*report.table(found, share=1.0), "", *report.json_lines(found)),
        *("", *said, f"Took {time.monotonic() - begun:.0f} s; load average now {machine.load()}."),
    ]
    _say("\n".join(lines))
    return code


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
