"""Rounds of faults, one after another; a line as soon as a row is done, what went wrong on stderr."""

from __future__ import annotations

import shutil
import sys
import time
import traceback
from collections.abc import Sequence

from django.conf import settings

from sendserver.testing import databases
from sendserver.testing.torture import books, oracle, report
from sendserver.testing.torture.arena import Arena, Told, arena, warm_up
from sendserver.testing.torture.faults import ROWS, Row
from sendserver.testing.torture.oracle import Expected, Verdict
from sendserver.testing.torture.report import Round
from sendserver.testing.torture.services import Machine


def run(machine: Machine, seeds: int, chosen: Sequence[int]) -> int:
    """Run `seeds` rounds of each chosen row; return 1 when one is not ok."""
    warm_up()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # nobody's real password
    databases.ensure_template()
    sound = True
    for row in ROWS:
        if row.number in chosen:
            line = report.line(row.number, row.name, rounds(machine, row, seeds), missing=row.missing)
            print(report.as_json(line), flush=True)
            sound = sound and bool(line["ok"])
    databases.drop_copy()
    return 0 if sound else 1


def rounds(machine: Machine, row: Row, seeds: int) -> list[Round]:
    """Return a verdict for each seed; none for a row that cannot be planted at all."""
    if row.plant is None:
        return []
    return [one_round(machine, row, seed) for seed in range(1, seeds + 1)]


def one_round(machine: Machine, row: Row, seed: int) -> Round:
    """Plant the fault once, leave the system alone, and judge."""
    begun = time.monotonic()
    with arena(machine, seed, row.number) as here:
        try:
            done = _judged(here, row, seed)
        except Exception:  # noqa: BLE001 (a round of torture that fails itself is a row that is not ok)
            traceback.print_exc()
            done = Round(seed, 0, Verdict(), ["torture itself failed"])
        if not done.is_sound:
            _complain(here, row, done)
        else:
            shutil.rmtree(here.folder, ignore_errors=True)
    print(f"# {row.number}/{seed} {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
    return done


def _judged(here: Arena, row: Row, seed: int) -> Round:
    assert row.plant is not None
    told = row.plant(here, Told(), seed)
    expected = Expected(
        slots=int(str(here.sending["connections"])),
        incidents=told.incidents,
        doubt=told.doubt,
        ends=told.ends,
        open_states=told.open_states,
        lost_ledger=told.lost_ledger,
        cuts=told.cuts,
    )
    return Round(seed, told.hits, oracle.judge(books.read(here.campaign), here.log, expected), told.problems)


def _complain(here: Arena, row: Row, done: Round) -> None:
    words = [*done.problems, *done.verdict.problems, *([] if done.hits else ["the fault did not land"])]
    print(f"# {row.number} ({row.name}), seed {done.seed}:", *words, sep="\n#   ", file=sys.stderr)
    print(here.tail(), file=sys.stderr, flush=True)
