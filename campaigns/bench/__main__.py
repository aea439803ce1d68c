"""`make bench` and `make bench-full`: `python -m campaigns.bench [--full]` beside a database and a broker of its own.

sendserver.local starts those and names them in the environment. Exit code 0: every bound is kept; 1: one was missed,
or the run does not count; 2: the tools could not be fetched.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from campaigns.bench.musts import Figure
    from campaigns.bench.rounds import Arena, Round

AGAIN: Final = 2  # rounds that may be repeated because others did not count


@dataclass(frozen=True)
class Plan:
    """How thorough a run is. Seconds are of one contender's run."""

    rounds: int
    seconds: float
    longest: float  # of the product's runs, which otherwise send as many messages as the fastest contender
    share: float  # of the musts that is held against
    patience: float  # seconds since the start, after which no round is repeated
    full: bool
    scale: float  # of the sizes in the growth part
    contents: tuple[str, ...]


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    signal.signal(signal.SIGTERM, _leave)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendserver.settings")
    import django

    django.setup()
    from campaigns.bench.errors import BenchError, ToolsMissingError

    options = _read(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="round-", dir=os.environ.get("VAR_DIR")) as folder:
            if options.lanes:
                return look(options, Path(folder), Path(options.cache))
            return run(_plan(options), Path(folder), Path(options.cache))
    except ToolsMissingError as error:
        _say(f"Bench: {error}")
        return 2
    except BenchError as error:
        _say(f"Bench: {error}")
        return 1


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def _read(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="How fast the lanes send, as ratios of one run.")
    parser.add_argument("--full", action="store_true", help="5 longer rounds, and growth to a million messages")
    parser.add_argument("--rounds", type=int, help="another number of rounds, for a look while working")
    parser.add_argument("--seconds", type=float, help="another length of a run")
    parser.add_argument("--only", choices=("20k", "3k"), help="one content only")
    parser.add_argument("--lanes", type=int, metavar="N", help="the lanes alone, N messages, for a profiler")
    parser.add_argument("--scale", type=float, default=1.0, help="shrink 10k, 100k and 1M, for a look while working")
    parser.add_argument(
        "--cache", default=os.environ.get("BENCH_TOOLS", "var/bench-tools"), help="where the fetched programs are kept"
    )
    return parser.parse_args(arguments)


def _plan(options: argparse.Namespace) -> Plan:
    from campaigns.bench.musts import QUICK_SHARE

    full: bool = options.full
    return Plan(
        rounds=options.rounds or (5 if full else 3),
        seconds=options.seconds or (6.0 if full else 2.6),
        longest=600.0 if full else 5.0,
        share=1.0 if full else QUICK_SHARE,
        patience=7200.0 if full else 200.0,
        full=full,
        scale=options.scale,
        contents=(options.only,) if options.only else ("20k", "3k"),
    )


def look(options: argparse.Namespace, folder: Path, cache: Path) -> int:
    """Send N messages of each content with the relay signing, and print their cost; nothing is judged."""
    from campaigns.bench import machine, report, stage
    from campaigns.bench.content import CONTENTS

    with stage.arena(folder, cache, _say) as ground:
        for content in CONTENTS:
            if options.only in (None, content.key):
                _say(f"{content.key}: {options.lanes} messages through the processes {ground.lanes['relay'].pids}")
                ground.used[f"product {content.key}"] = [ground.product(content, "relay", options.lanes)]
        _say("\n".join(report.costs(ground.used, machine.cores())))
    return 0


def run(plan: Plan, folder: Path, cache: Path) -> int:
    """Put up the arena, run the rounds, print the report."""
    from campaigns.bench import machine, report, stage
    from campaigns.bench.musts import NAMES_FULL, NAMES_QUICK
    from campaigns.bench.rounds import figures

    begun = time.monotonic()
    with stage.arena(folder, cache, _say) as ground:
        ground.least = min(ground.least, 0.75 * plan.seconds)
        described = machine.describe(ground.ground.tools)
        rounds = _rounds(ground, plan)
        found = figures(rounds) + (_growth(ground, plan.scale) if plan.full else [])
    names = [name for name in (NAMES_FULL if plan.full else NAMES_QUICK) if _asked(name, plan)]
    said, code = report.verdict(found, names, share=plan.share, failed=ground.failed)
    uncounted = sum(not done.counts for done in rounds)
    lines = [
        *("", *described, f"{len(rounds) - uncounted} rounds counted, {uncounted} did not", ""),
        *(*report.table(found, share=plan.share), ""),
        *(*report.costs(ground.used, machine.cores()), ""),
        *report.json_lines(found),
        *("", *said, f"Took {time.monotonic() - begun:.0f} s; load average now {machine.load()}."),
    ]
    _say("\n".join(lines))
    return code


def _asked(name: str, plan: Plan) -> bool:
    """Tell whether a figure belongs to the contents of this run; TLS is measured with the large one."""
    if name == "send_tls_vs_plain":
        return "20k" in plan.contents
    return not name.startswith("send_") or name.endswith(plan.contents)


def _rounds(ground: Arena, plan: Plan) -> list[Round]:
    """Run until enough rounds of each content count, with a few repeated at most."""
    from campaigns.bench.content import CONTENTS
    from campaigns.bench.rounds import calibrate

    chosen = [content for content in CONTENTS if content.key in plan.contents]
    counts = {}
    for content in chosen:
        counts[content.key] = calibrate(ground, content, seconds=plan.seconds, longest=plan.longest)
        sample = ground.samples[content.key]
        _say(f"{content.key}: {sample.octets} octets, {sample.slots} places, {counts[content.key].words()}")
    done: list[Round] = []
    begun = time.monotonic()
    for number in range(1, plan.rounds + AGAIN + 1):
        open_contents = [c for c in chosen if sum(r.counts and r.key == c.key for r in done) < plan.rounds]
        if number > plan.rounds and time.monotonic() - begun > plan.patience:
            break
        if open_contents:
            _say(f"Round {number}")
        done += [ground.round(one, counts[one.key], with_tls=one.key == "20k") for one in open_contents]
    for content in chosen:
        if sum(r.counts and r.key == content.key for r in done) < plan.rounds:
            _say(f"The run of {content.key} does not count: too many of its rounds say nothing.")
            ground.failed.append(f"{content.key}: too few rounds count")
    return done


def _growth(ground: Arena, scale: float) -> list[Figure]:
    from campaigns.bench import growth
    from campaigns.bench.content import SMALL

    _say("Growth: 10k, 100k and 1M messages in the same lanes")
    return growth.measure(ground, SMALL, scale=scale)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
