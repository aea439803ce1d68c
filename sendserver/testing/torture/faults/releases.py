"""Row 38: an earlier release works beside this one, on this one's database, and each takes over what the other left.

The earlier release is the commit before the newest migration, unpacked from the repository's own history: a real
process of its code. TORTURE_EARLIER names another commit. Without history the fault cannot land, and the row is not ok.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from django.conf import settings

from campaigns.bench import processes
from sendserver.testing.torture.arena import Arena, Told

ROOT = Path(__file__).resolve().parents[4]
PEOPLE = 400
SPELL = 25  # messages that one release sends before it is killed


def side_by_side(here: Arena, told: Told, seed: int) -> Told:
    """Row 38: new code on relay-2; on relay-1 old code, then new, then old again, each killed in mid-send."""
    home = unpacked(here.folder)
    here.sending = here.scale.sending(slice_seconds=30.0)
    here.plan(PEOPLE, delay=0.05)
    here.lane("relay-2")
    landed = home is not None
    if home is not None:
        landed = all([_spell_of_earlier(here, told, home), _spell_of_present(here, told)])
        landed = _spell_of_earlier(here, told, home) and landed
    told.hits = int(landed)
    here.lanes()
    here.settle(told)
    return told


def unpacked(folder: Path) -> Path | None:
    """Unpack the earlier release below `folder`; None where its history is not at hand."""
    try:
        commit = os.environ.get("TORTURE_EARLIER") or _before_the_newest_migration()
        packed = _git("archive", commit)
    except (subprocess.CalledProcessError, FileNotFoundError):
        return None
    home = folder / "earlier"
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(home, filter="data")
    return home


def _before_the_newest_migration() -> str:
    newest = _git("log", "-1", "--format=%H", "--", ":(glob)*/migrations/*.py").decode().strip()
    return f"{newest}^"


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


def _spell_of_earlier(here: Arena, told: Told, home: Path) -> bool:
    """Let the earlier release serve relay-1 until it has sent SPELL messages, and kill it; tell whether it did."""
    changes = {
        "database": settings.DATABASES["default"]["NAME"],
        "sending": here.sending,
        "journal": str(here.folder / "journal"),
        "relays": here.urls,
    }
    argv = [sys.executable, "-m", "campaigns.tests.lane_process", "relay-1", json.dumps(changes)]
    begun = _taken(here)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}  # its code, not ours
    with (here.folder / "children.log").open("ab") as log:
        old = processes.spawn(argv, cwd=home, env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        here.until(lambda: _taken(here) >= begun + SPELL or old.poll() is not None)
        was_running = old.poll() is None
        told.claim(was_running, f"the earlier release ended by itself with {old.returncode}")
    finally:
        old.kill()
        old.wait()
    told.incidents += 1
    return was_running and _taken(here) >= begun + SPELL


def _spell_of_present(here: Arena, told: Told) -> bool:
    """The same with this release, which finds the earlier one's journal and leases."""
    begun = _taken(here)
    new = here.lane("relay-1")
    here.until(lambda: _taken(here) >= begun + SPELL)
    new.kill()
    told.incidents += 1
    return _taken(here) >= begun + SPELL


def _taken(here: Arena) -> int:
    return len(here.relays[0].accepted)
