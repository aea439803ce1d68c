"""Template tags and filters of the shared components, built in to every template (no `{% load %}`).

The list with one line of use each is `templates/components/README.txt`. Values are escaped here; nothing takes HTML
except the inside of a block tag. No style attributes: widths and colours are classes of `static/css/fit.css`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from zlib import crc32

from django import template
from django.core.paginator import Page
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from sendserver.lib import clock, words
from sendserver.lib.fields import render_errors, render_field, render_fields
from sendserver.lib.icons import PATHS

register = template.Library()
NOTICE_ICONS = {"info": "info", "ok": "ok", "warn": "warn", "bad": "bad"}
DOT_ICONS = {"ok": "check", "done": "check", "warn": "warn"}

register.simple_tag(render_field, name="field")
register.simple_tag(render_fields, name="fields")
register.simple_tag(render_errors, name="errors")


# ---------- small parts


@register.simple_tag
def icon(name: str, size: int = 20) -> SafeString:
    """Draw an icon; decorative, so hidden from screen readers. KeyError for a name that does not exist."""
    return format_html(
        '<svg aria-hidden="true" width="{0}" height="{0}" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
        'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"><path d="{1}"/></svg>',
        size,
        PATHS[name],
    )


@register.simple_tag
def tag(text: str, kind: str = "", icon_name: str = "") -> SafeString:
    """Draw a small label; `kind` is ok, info, warn, bad, brand or empty."""
    mark = format_html("{} ", icon(icon_name)) if icon_name else ""
    return format_html('<span class="s-tag{}">{}{}</span>', f" is-{kind}" if kind else "", mark, text)


@register.simple_tag
def standing_tag(standing: str) -> SafeString:
    """Draw an organization's standing."""
    word, colour = words.STANDINGS.get(str(standing), (str(standing), ""))
    return tag(word, colour.removeprefix("is-"), "check" if standing == "good" else "")


@register.simple_tag
def campaign_tag(state: str) -> SafeString:
    """Draw a campaign's state."""
    word, colour = words.CAMPAIGN_STATES.get(str(state), (str(state).replace("_", " ").capitalize(), ""))
    return tag(word, colour.removeprefix("is-"))


@register.simple_tag
def dot(kind: str = "", text: object = "") -> SafeString:
    """Draw the round mark of a task or time line; `kind` ok, done, now, warn or empty; `text` a number or icon."""
    name = str(text) if str(text) in PATHS else DOT_ICONS.get(kind, "")
    inside = icon(name, 16) if name else text
    return format_html('<span class="s-dot{}">{}</span>', f" is-{kind}" if kind else "", inside)


@register.simple_tag
def rule(number: str, text: str = "") -> SafeString:
    """Link a rule of the Anti-Spam Policy: `{% rule "2.3" %}` reads "rule 2.3"."""
    return format_html('<a href="{}#{}">{}</a>', reverse("anti_spam"), anchor(number), text or f"rule {number}")


@register.simple_tag
def copy_code(value: str, ident: str = "", label: str = "") -> SafeString:
    """Show a value in monospace with a copy button; `label` completes "Copy the ..." for screen readers."""
    ident = ident or f"code-{crc32(value.encode())}"
    hidden = format_html('<span class="visually-hidden"> {}</span>', label) if label else ""
    button = format_html(
        '<button class="btn btn-sm" type="button" data-copy="{}" hidden>{} <span>Copy</span>{}</button>',
        ident,
        icon("copy"),
        hidden,
    )
    return format_html('<div class="s-code"><code id="{}">{}</code>{}</div>', ident, value, button)


# ---------- blocks


@register.simple_block_tag
def notice(content: str, kind: str = "info", title: str = "", icon_name: str = "", role: str = "") -> SafeString:
    """Wrap text in a notice; `kind` info, ok, warn or bad; `role` status or alert when it appears by itself."""
    head = format_html("<strong>{}</strong>", title) if title else ""
    return format_html(
        '<div class="s-notice is-{}"{}>{}<div>{}{}</div></div>',
        kind,
        format_html(' role="{}"', role) if role else "",
        icon(icon_name or NOTICE_ICONS.get(kind, "info")),
        head,
        content,
    )


@register.simple_block_tag
def empty(content: str, title: str = "", art: str = "lanes") -> SafeString:
    """Say what a place is for while nothing is in it; `art` lanes, bars or empty for no picture."""
    picture = render_to_string(f"components/art_{art}.html") if art else ""
    return format_html('<div class="s-empty">{}<h2>{}</h2>{}</div>', picture, title, content)


# ---------- figures


@register.simple_tag
def stat(label: str, value: object, detail: str = "") -> SafeString:
    """Draw one figure of an `<dl class="s-stats">`; integers get thousands separators."""
    shown = words.number(value) if isinstance(value, int) else value
    small = format_html('<span class="d">{}</span>', detail) if detail else ""
    return format_html(
        '<div class="s-stat"><dt>{}</dt><dd class="m-0"><span class="v">{}</span>{}</dd></div>', label, shown, small
    )


@register.simple_tag
def meter(value: float, total: float, label: str, fill: str = "", classes: str = "") -> SafeString:
    """Draw a bar that is `value` of `total` full; `label` says it in words; `fill` c1 to c6, ok, warn, bad."""
    width = words.fill(value, total)
    return format_html(
        '<div class="s-meter{}" role="img" aria-label="{}"><i class="w-{}{}"></i></div>',
        f" {classes}" if classes else "",
        label,
        width,
        f" f-{fill}" if fill else "",
    )


@register.simple_tag
def meter_parts(parts: Sequence[tuple[float, str]], label: str, classes: str = "h-px16") -> SafeString:
    """Draw a bar of several parts, each `(value, fill)`; the parts share the whole width."""
    total = sum(value for value, _ in parts)
    bars = format_html_join("", '<i class="w-{} f-{}"></i>', ((words.fill(v, total), f) for v, f in parts if v))
    return format_html('<div class="s-meter {}" role="img" aria-label="{}">{}</div>', classes, label, bars)


@register.simple_tag
def limit(  # noqa: PLR0913 (a tag's arguments are its markup)
    name: str, value: float, mark: float, mark_text: str, *, shown: str = "", reached: bool | None = None
) -> SafeString:
    """Draw a figure against the limit where action starts, which stands in the middle of the bar.

    `value` and `mark` share a unit; `shown` is the value as text; `mark_text` reads "warned at 0.10%". `reached` False
    keeps the bar calm beyond the mark: few messages prove nothing.
    """
    share = words.fill(value, 2 * mark)
    colour = "c4" if (value >= mark if reached is None else reached) else "c1"
    text = shown or words.number(value)
    return format_html(
        '<div class="s-row s-row--between"><b>{0}</b><span class="num">{1}</span></div><div class="s-limit">'
        '<span class="m l-50">{2}</span><div class="s-meter" role="img" aria-label="{0} {1}, {2}">'
        '<i class="w-{3} f-{4}"></i></div></div>',
        name,
        text,
        mark_text,
        share,
        colour,
    )


@register.simple_tag
def lane(name: str, done: int, total: int, which: int = 1, *, live: bool = False) -> SafeString:
    """Draw one mail server's progress; `which` is 1 or 2."""
    return format_html(
        '<div class="s-lane"><span>{}</span><span class="t{}"><i class="w-{} f-c{}"></i></span>'
        '<span class="n">{} of {}</span></div>',
        name,
        " is-live" if live else "",
        words.fill(done, total),
        which,
        words.number(done),
        words.number(total),
    )


# ---------- lists


@register.simple_tag
def steps(names: str, current: int, label: str = "Steps") -> SafeString:
    """Draw the steps of a path: names parted by "|", `current` counts from 1."""
    items = []
    for place, name in enumerate(names.split("|"), start=1):
        state = ' class="is-done"' if place < current else ' aria-current="step"' if place == current else ""
        items.append((mark_safe(state), name))
    return format_html(
        '<ol class="s-steps" aria-label="{}">{}</ol>', label, format_html_join("", "<li{}>{}</li>", items)
    )


@register.simple_tag
def facts(pairs: Iterable[tuple[object, object]], classes: str = "") -> SafeString:
    """Draw a summary list of `(name, value)`."""
    rows = format_html_join("", "<dt>{}</dt><dd>{}</dd>", pairs)
    return format_html('<dl class="s-facts{}">{}</dl>', f" {classes}" if classes else "", rows)


@register.inclusion_tag("components/answers.html")
def answers(rows: Iterable[Sequence[object]], classes: str = "") -> dict[str, object]:
    """Draw "check answers": rows of `(name, value)` or `(name, value, change URL)`."""
    return {"rows": rows, "classes": classes}


@register.inclusion_tag("components/timeline.html")
def timeline(items: Iterable[dict[str, object]]) -> dict[str, object]:
    """Draw a time line; items have `title` and, as wanted, `text`, `at`, `kind`, `mark`."""
    return {"items": items}


@register.inclusion_tag("components/pager.html", takes_context=True)
def pager(context: template.Context, page: Page[Any]) -> dict[str, object]:
    """Draw links to the pages of a paginated list, keeping the other query parameters."""
    query = context["request"].GET.copy()
    query.pop("page", None)
    return {"page": page, "query": query.urlencode()}


# ---------- filters


@register.filter(name="number")
def number(value: float | None) -> str:
    """Write a number with thousands separators."""
    return words.number(value)


@register.filter(name="percent")
def percent(part: float, base: float) -> str:
    """Write a part of a base: `{{ 2|percent:9980 }}`."""
    return words.percent(part or 0, base or 0)


@register.simple_tag
def rate(part: int, base: int, many: str = "people", one: str = "person") -> str:
    """Write a rate with its count: "0.02%, 2 people"."""
    return words.rate(part, base, many, one)


@register.filter(name="counted")
def counted(value: int, noun: str = "people,person") -> str:
    """Write a number with its noun: `{{ n|counted:"rows,row" }}`."""
    many, _, one = noun.partition(",")
    return words.count(value or 0, many, one)


@register.filter(name="size")
def size(octets: int) -> str:
    """Write a file size."""
    return words.file_size(octets)


@register.filter(name="browser")
def browser(agent: str) -> str:
    """Write a browser's long name short."""
    return words.browser(agent)


@register.filter(name="duration")
def duration(seconds: float) -> str:
    """Write a length of time given in seconds."""
    return words.duration(seconds)


@register.filter(name="when")
def when(moment: datetime | None) -> SafeString | str:
    """Write a time with its zone, and how long ago when under a day."""
    if moment is None:
        return "not yet"
    now = clock.now()
    local = timezone.localtime(moment)
    near = words.relative(local, now)
    return format_html(
        '<time datetime="{}">{}</time>{}',
        local.isoformat(timespec="seconds"),
        words.stamp(local, now),
        format_html(' <span class="muted text-nowrap">({})</span>', near) if near else "",
    )


@register.filter(name="day")
def day(moment: datetime | None) -> SafeString | str:
    """Write a date: "3 Nov 2026"."""
    if moment is None:
        return "not yet"
    local = timezone.localtime(moment) if isinstance(moment, datetime) else moment
    return format_html('<time datetime="{}">{} {}</time>', f"{local:%Y-%m-%d}", local.day, f"{local:%b %Y}")


@register.filter(name="anchor")
def anchor(number: str) -> str:
    """Write the anchor of a rule of the Anti-Spam Policy: "r2-3" for 2.3."""
    return "r" + str(number).replace(".", "-")


@register.filter(name="initials")
def initials(name: str) -> str:
    """Write an organization's initials."""
    return words.initials(name)


@register.filter(name="as_json")
def as_json(value: object) -> str:
    """Write a value for an `hx-vals` or `data-` attribute; the template escapes it."""
    return json.dumps(value)
