"""Real input on a running portal: `python -m sendserver.testing.real_input` beside `make run`, with the same VAR_DIR.

A file of 10,000 messy rows, one campaign over both relays, and the same figures in the database, on the page and in
the relays' own logs. Then a second campaign is stopped by a suspension in mid-send, and somebody still queued
unsubscribes in mid-send and is spared. Every step is the portal's own function or page; nothing is invented.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def load_environment() -> None:
    """Take over the environment of the running portal. Raises FileNotFoundError when none was started."""
    var = Path(os.environ.get("VAR_DIR") or Path(__file__).resolve().parents[2] / "var")
    os.environ.update(json.loads((var / "run" / "environment.json").read_text(encoding="utf-8")))


def main() -> int:
    """Run everything and print what was found; 1 when a figure differs."""
    load_environment()
    import django

    django.setup()
    import sendserver.celery  # noqa: F401 (pokes go to the running workers)
    from sendserver.testing.real_run import Run

    return Run().all()


if __name__ == "__main__":
    sys.exit(main())
