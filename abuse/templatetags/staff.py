"""Template tags of the staff pages: what the stock admin's tables and filters need to look like ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
_FACET = re.compile(r"(?P<label>.*) \((?P<count>\d+|-)\)", re.DOTALL)
_YES_NO = re.compile(r'<img src="[^"]*" alt="(True|False|None)">')
_WORDS = {"True": "Yes", "False": "No", "None": "Not said"}
_CELL = re.compile(r"<(?P<tag>td|th)(?P<attrs>[^>]*)>")


@register.filter
def facet(choice: Mapping[str, Any]) -> dict[str, str]:
    """Part a filter choice such as "Open (7)" into label and count."""
    text = str(choice["display"])
    match = _FACET.fullmatch(text)
    return {"label": match["label"], "count": match["count"]} if match else {"label": text, "count": ""}


@register.filter
def all_readonly(fieldset: Any) -> bool:
    """Tell whether every field of a fieldset is only shown."""
    return all(getattr(field, "is_readonly", False) for line in fieldset for field in line)


@register.simple_tag
def labelled_cells(cells: Iterable[Any], headers: Iterable[Mapping[str, Any]]) -> SafeString:
    """Write a row's cells with their column's name, which phones show beside the value.

    The cells come from Django's admin, which has escaped them already.
    """
    rows = (_labelled(str(cell), str(header["text"])) for cell, header in zip(cells, headers, strict=False))
    return mark_safe("".join(rows))


@register.filter
def worded(contents: Any) -> Any:
    """Write Django's green tick and red cross as words; red is kept for what is stopped or broken."""
    if not isinstance(contents, SafeString):
        return contents
    return mark_safe(_YES_NO.sub(lambda match: _WORDS[match[1]], contents))  # escaped already; words replace a picture


def _labelled(cell: str, name: str) -> str:
    def opening(match: re.Match[str]) -> str:
        if "action-checkbox" in match["attrs"]:
            return '<td class="s-tick">'
        extra = ' scope="row"' if match["tag"] == "th" else f' data-l="{escape(name[:1].upper() + name[1:])}"'
        return f"<{match['tag']}{match['attrs']}{extra}>"

    return _CELL.sub(opening, cell, count=1)
