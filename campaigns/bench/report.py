"""From measured rounds to what is printed: a table of ratios, where the CPU went, JSON lines, and the exit code."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence

from campaigns.bench.musts import Figure, bound_of, missed
from campaigns.bench.product import Run

LANES = ("product", "product rsa", "plain", "tls")
PORTAL = ("worker", "postgres", "valkey")
SINKS = ("sink-1", "sink-2")


def table(figures: Sequence[Figure], *, share: float) -> list[str]:
    """Return the ratios as lines of a Markdown table."""
    lines = ["| figure | median | min | max | bound | must | goal | |", "|---|---|---|---|---|---|---|---|"]
    for figure in figures:
        must = bound_of(figure.name)
        spread = f"| {figure.name} | {figure.median:.3g} | {min(figure.values):.3g} | {max(figure.values):.3g} |"
        if must is None:
            lines.append(f"{spread} | | | no bound |")
            continue
        sign = "<=" if must.at_most else ">="
        verdict = "ok" if must.holds(figure.median, share) else "MISSED"
        lines.append(f"{spread} {sign} {must.limit(share):.3g} | {must.bound:g} | {must.goal:g} | {verdict} |")
    return lines


def costs(runs: Mapping[str, Sequence[Run]], cores: int) -> list[str]:
    """Return CPU microseconds a message as lines of a Markdown table, medians of all rounds.

    `predicted / measured` is cores divided by the sum of CPU, over the rate: near 1 nothing waits, above it it does.
    """
    lines = [
        "| run | worker us | PostgreSQL us | Valkey us | sinks us | portal / sinks | predicted / measured | lane MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in runs.items():
        is_ours = name.rpartition(" ")[0] in LANES
        sinks = statistics.median(run.cost(*SINKS) for run in found)
        if not is_ours:
            lines.append(f"| {name} | | | | {sinks:.0f} | | | |")
            continue
        each = [f"{statistics.median(run.cost(part) for run in found):.0f}" for part in PORTAL]
        share = statistics.median(run.cost(*PORTAL) / max(run.cost(*SINKS), 1e-9) for run in found)
        predicted = statistics.median(_predicted(run, cores) / run.rate for run in found)
        rss = max(run.peak_rss for run in found)
        lines.append(f"| {name} | {' | '.join(each)} | {sinks:.0f} | {share:.2f} | {predicted:.2f} | {rss:.0f} |")
    return lines


def _predicted(run: Run, cores: int) -> float:
    return cores / max(run.cost(*PORTAL, *SINKS), 1e-9) * 1e6


def json_lines(figures: Sequence[Figure]) -> list[str]:
    """Return one JSON object a figure."""
    return [json.dumps(figure.as_json()) for figure in figures]


def verdict(
    figures: Sequence[Figure], names: Sequence[str], *, share: float, failed: Sequence[str] = ()
) -> tuple[list[str], int]:
    """Return what to say at the end, and the exit code: 1 when a must was missed, a figure is lacking or `failed`."""
    wrong = [*failed, *missed(figures, names, share=share)]
    if wrong:
        return [f"MISSED: {line}" for line in wrong], 1
    return ["Every bound is kept."], 0
