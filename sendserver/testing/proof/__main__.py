"""`make proof`: `python -m sendserver.testing.proof [--only POINT ...]` beside a database and a broker of its own.

sendserver.local starts those and names them in the environment. A JSON line a point; 1 when one of them is not ok.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sendserver.testing.proof.stage import Ground, Proof

POINTS: Final = ("dump", "fair", "stop", "groups")


def main(arguments: list[str]) -> int:
    """Show the points asked for."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that processes and folders are tidied away
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendserver.settings")
    import django

    django.setup()
    from sendserver.testing.proof.stage import Ground

    options = _read(arguments)
    sound = True
    with tempfile.TemporaryDirectory(prefix="proof-", dir=os.environ.get("VAR_DIR")) as home:
        for point in options.only or POINTS:
            folder = Path(home) / point
            folder.mkdir()
            proof = _shown(point, Ground(folder, dict(os.environ)), options)
            sys.stdout.write(proof.as_json() + "\n")
            sys.stdout.flush()
            sound = sound and proof.ok
    return 0 if sound else 1


def _read(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="proof", description="What the engine must show, with real lanes.")
    parser.add_argument("--only", nargs="+", choices=POINTS, help="some points only")
    parser.add_argument("--people", type=int, help="another number of people, for a look while working")
    parser.add_argument("--rounds", type=int, default=3, help="how often each order of `stop` is given")
    return parser.parse_args(arguments)


def _shown(point: str, ground: Ground, options: argparse.Namespace) -> Proof:
    from campaigns.bench.errors import BenchError
    from sendserver.testing.proof import dump, fair, groups, stop
    from sendserver.testing.proof.stage import Proof

    people: int | None = options.people
    try:
        if point == "dump":
            return dump.run(ground, people or dump.PEOPLE)
        if point == "fair":
            return fair.run(ground, people or fair.PEOPLE)
        if point == "groups":
            return groups.run(ground, people or groups.PEOPLE)
        return stop.run(ground, options.rounds)
    except (BenchError, AssertionError) as error:
        traceback.print_exc()
        return Proof(point, {}, [str(error)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
