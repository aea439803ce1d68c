"""Charts as inline SVG and HTML. Pure: figures in, safe markup out; no script, no style attribute, no library.

Axes start at zero. Axis words are HTML beside the drawing, so they stay readable on a phone. Each time chart carries
its figures as a table. Drawings use a 100 by 100 box stretched to the page (`preserveAspectRatio="none"`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from sendserver.lib import words

TICKS = 4  # steps of the value axis
INNER_LABELS = 3  # labels between the first and the last of the time axis
TABLE_ROWS = 400  # a longer table says that it was cut


@dataclass(frozen=True)
class Bar:
    """One bar: `shown` is the text at its end, the number itself when empty; `fill` c1 to c6."""

    name: str
    value: float
    shown: str = ""
    fill: str = "c1"


@dataclass(frozen=True)
class Series:
    """One line: a value per label, in the unit of the chart's title."""

    name: str
    values: Sequence[float]
    fill: str = "c1"


@dataclass(frozen=True)
class Mark:
    """A named point of a line: `series` and `point` count from 0."""

    series: int
    point: int
    text: str


def axis_top(highest: float) -> float:
    """Return a round number at or above `highest` that divides into four even steps; 4 when nothing is above 0."""
    if not isfinite(highest) or highest <= 0:
        return float(TICKS)
    step = highest / TICKS
    unit = 10.0 ** floor(log10(step))
    for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10):
        if factor * unit * TICKS >= highest * (1 - 1e-12):
            return _whole(factor * unit * TICKS, highest)
    return 10 * unit * TICKS


def _whole(top: float, highest: float) -> float:
    """Keep counts in whole steps: a chart of at most 3 has the axis 0 to 4, not 0 to 3 in steps of 0.75."""
    if float(highest).is_integer() and top / TICKS != int(top / TICKS):
        return float(TICKS * max(1, -int(-highest // TICKS)))
    return top


def bars(rows: Sequence[Bar], label: str) -> SafeString:
    """Return horizontal bars on one scale; `label` says the same in words. An empty list gives a sentence."""
    if not rows:
        return mark_safe('<p class="muted">Nothing to show yet.</p>')
    highest = max((row.value for row in rows), default=0)
    drawn = format_html_join("", "{}", ((_bar(row, highest),) for row in rows))
    return format_html('<figure class="s-bars" role="img" aria-label="{}">{}</figure>', label, drawn)


def _bar(row: Bar, highest: float) -> SafeString:
    width = 100 * row.value / highest if highest > 0 else 0
    return format_html(
        '<div class="r"><b>{}</b><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect x="0" y="0" width="{}" height="10" fill="var(--ss-{})"/></svg><span class="num">{}</span></div>',
        row.name,
        f"{width:.2f}",
        row.fill,
        row.shown or _figure(row.value),
    )


def lines(
    title: str, labels: Sequence[str], series: Sequence[Series], *, desc: str = "", marks: Sequence[Mark] = ()
) -> SafeString:
    """Return lines over time with a key and their table; the first is filled below, the second dashed.

    `labels` has one entry per value; an empty one gives a sentence instead of a chart.
    """
    if not labels or not series:
        return mark_safe('<p class="muted">No figures yet.</p>')
    top = axis_top(max((value for one in series for value in one.values), default=0))
    drawing = format_html(
        '<figure class="s-plot h-220">{}<div class="p">{}{}</div>{}</figure>',
        _value_axis(top),
        _drawing(title, desc or describe(labels, series), series, top),
        format_html_join("", "{}", ((_mark(mark, series, top),) for mark in marks)),
        _time_axis(labels),
    )
    return format_html("{}{}{}", _key(series), drawing, table(title, labels, series))


def describe(labels: Sequence[str], series: Sequence[Series]) -> str:
    """Return one sentence per line: where it began, its highest point, where it ended."""
    said = []
    for one in series:
        if not one.values:
            continue
        peak = max(range(len(one.values)), key=lambda place: one.values[place])
        said.append(
            f"{one.name} began at {_figure(one.values[0])}, was highest at {_figure(one.values[peak])} "
            f"({labels[min(peak, len(labels) - 1)]}) and ended at {_figure(one.values[-1])}."
        )
    return " ".join(said)


def table(title: str, labels: Sequence[str], series: Sequence[Series]) -> SafeString:
    """Return the figures as a folded table, so that nobody needs to read a drawing."""
    head = format_html_join("", '<th scope="col" class="r">{}</th>', ((one.name,) for one in series))
    shown = list(enumerate(labels))[:TABLE_ROWS]
    rows = format_html_join(
        "", '<tr><th scope="row">{}</th>{}</tr>', ((name, _cells(at, series)) for at, name in shown)
    )
    cut = format_html('<p class="muted small">The first {} rows.</p>', TABLE_ROWS) if len(labels) > TABLE_ROWS else ""
    return format_html(
        '<details class="mt-8"><summary class="small">Show as a table</summary><div class="s-scroll" tabindex="0" '
        'role="region" aria-label="{0}, table"><table class="s-table"><caption class="visually-hidden">{0}</caption>'
        '<thead><tr><th scope="col">Time</th>{1}</tr></thead><tbody>{2}</tbody></table></div>{3}</details>',
        title,
        head,
        rows,
        cut,
    )


def days(kinds: Sequence[str], label: str) -> SafeString:
    """Return a row of small blocks, one a day, each `c1` to `c6`, `ok`, `warn` or `bad`."""
    blocks = format_html_join("", '<i class="f-{}"></i>', ((kind,) for kind in kinds))
    return format_html('<div class="s-days" role="img" aria-label="{}">{}</div>', label, blocks)


def _figure(value: float) -> str:
    """Return a number without a useless fraction."""
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,.2f}".rstrip("0")


def _cells(place: int, series: Sequence[Series]) -> SafeString:
    shown = ((_figure(one.values[place]) if place < len(one.values) else "",) for one in series)
    return format_html_join("", '<td class="r">{}</td>', shown)


def _key(series: Sequence[Series]) -> SafeString:
    if len(series) < 2:
        return mark_safe("")
    keys = format_html_join("", '<li><i class="f-{}"></i>{}</li>', ((one.fill, one.name) for one in series))
    return format_html('<ul class="s-key mb-8">{}</ul>', keys)


def _value_axis(top: float) -> SafeString:
    steps = ((100 - 100 * step // TICKS, _figure(top * step / TICKS)) for step in range(TICKS + 1))
    return format_html(
        '<div class="y" aria-hidden="true">{}</div>', format_html_join("", '<span class="t-{}">{}</span>', steps)
    )


def _time_axis(labels: Sequence[str]) -> SafeString:
    last = len(labels) - 1
    wanted = sorted({round(last * part / (INNER_LABELS + 1)) for part in range(INNER_LABELS + 2)})
    spans = ((_place_class(at, last, turn), labels[at]) for turn, at in enumerate(wanted))
    return format_html(
        '<div class="x" aria-hidden="true">{}</div>', format_html_join("", '<span class="{}">{}</span>', spans)
    )


def _place_class(at: int, last: int, turn: int) -> str:
    """Return the place of a time label; every second inner one hides on a phone (class o)."""
    if at == 0:
        return "a l-0"
    if at == last:
        return "z l-100"
    return f"{'o ' if turn % 2 else ''}l-{round(100 * at / last)}"


def _points(values: Sequence[float], top: float) -> str:
    last = len(values) - 1
    spread = ((100 * place / last if last else 0, 100 - 100 * value / top) for place, value in enumerate(values))
    dots = [f"{x:.2f},{y:.2f}" for x, y in spread]
    # One value is a level line, not a dot that nobody sees.
    return " ".join(dots if last else [dots[0], dots[0].replace("0.00,", "100.00,", 1)])


def _drawing(title: str, desc: str, series: Sequence[Series], top: float) -> SafeString:
    grid = "".join(f'<line class="grid" x1="0" x2="100" y1="{y}" y2="{y}"/>' for y in range(100, -1, -100 // TICKS))
    drawn = [(_line(one, place, top),) for place, one in enumerate(series) if one.values]
    return format_html(
        '<svg class="s-chart" role="img" viewBox="0 0 100 100" preserveAspectRatio="none"><title>{}</title>'
        "<desc>{}</desc>{}{}</svg>",
        title,
        desc,
        mark_safe(grid),
        format_html_join("", "{}", drawn),
    )


def _line(one: Series, place: int, top: float) -> SafeString:
    points = _points(one.values, top)
    filled = format_html('<polygon points="0,100 {} 100,100" fill="var(--ss-{})" opacity=".13"/>', points, one.fill)
    return format_html(
        '{}<polyline points="{}" fill="none" stroke="var(--ss-{})" stroke-width="2.5" stroke-linejoin="round"{}/>',
        filled if place == 0 else "",
        points,
        one.fill,
        mark_safe(' stroke-dasharray="6 4"') if place else "",
    )


def _mark(mark: Mark, series: Sequence[Series], top: float) -> SafeString:
    values = series[mark.series].values
    x = words.fill(mark.point, len(values) - 1) if len(values) > 1 else 0
    y = round(100 - 100 * values[mark.point] / top)
    side = " below" if 20 < x < 80 else ""
    return format_html('<span class="m{} l-{} t-{}">{}</span>', side, x, y, mark.text)
