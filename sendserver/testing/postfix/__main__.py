"""`python -m sendserver.testing.postfix CACHE`: the pair once, one JSON line; 1 when a count is missed.

PEOPLE, RATE and AWAY (seconds) in the environment change the run.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from sendserver.testing.torture.services import machine


def main() -> int:
    """Run it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is ended and tidied away
    folder = Path(tempfile.mkdtemp(prefix="sendserver-postfix-"))
    folder.chmod(0o755)  # Postfix's own user walks in
    try:
        with machine() as servers:
            os.environ["RELAY_SELF_TEST"] = "loop.sendserver.example"  # read by its settings
            import django

            django.setup()  # after the servers: its settings name them
            return _run(servers, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(servers: object, folder: Path) -> int:
    from campaigns.bench.errors import BenchError
    from campaigns.bench.tools import PACKAGES, fetch
    from sendserver.testing.postfix import instance
    from sendserver.testing.postfix.errors import PairError
    from sendserver.testing.postfix.pair import Plan, Run

    environ = os.environ
    plan = Plan(int(environ.get("PEOPLE") or 5000), int(environ.get("RATE") or 40), float(environ.get("AWAY") or 60))
    try:
        instance.refuse_unfit()
        tools = fetch(Path(sys.argv[1]), (*PACKAGES, *instance.PACKAGES), name="postfix-pair")
        verdict = Run(servers, tools, folder, plan, lambda words: print(f"# {words}", file=sys.stderr, flush=True)).go()
    except (PairError, BenchError) as error:
        print(f"Sendserver: {error}", file=sys.stderr)
        return 1
    verdict.figures["postfix"] = tools.version
    print(verdict.as_json(), flush=True)
    return 0 if not verdict.problems else 1


if __name__ == "__main__":
    sys.exit(main())
