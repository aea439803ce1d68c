"""The plain-text part: the same words for people whose mail program shows no HTML (RFC 2046 section 5.1.4)."""

from __future__ import annotations

import re
from typing import Final

from inscriptis import get_text
from inscriptis.model.config import ParserConfig

FOOTER_LINKS: Final = (
    ("unsubscribe_url", "Unsubscribe"),
    ("why_url", "Why did I get this?"),
    ("report_url", "Report abuse"),
)
SIGNATURE: Final = "-- "  # RFC 3676 section 4.3


def from_html(html: str) -> str:
    """Return the words of an HTML fragment with link targets behind their labels."""
    config = ParserConfig(display_links=True, display_images=True)
    raw = get_text(f"<html><body>{_linear(html)}</body></html>", config)
    lines = [line.strip() for line in raw.replace("\u00a0", " ").splitlines()]
    joined = re.sub(r"\[([^\[\]]*)\]\(([^()\s]+)\)", _link, "\n".join(lines))
    return re.sub(r"\n{3,}", "\n\n", joined).strip()


def _linear(html: str) -> str:
    """Return tables as plain blocks: mail uses them for layout, and conditions may stand between their rows."""
    rows = re.sub(r"<(/?)(?:table|thead|tbody|tfoot|tr|caption)\b[^>]*>", r"<\1div>", html)
    return re.sub(r"</t[dh]>", "</span> ", re.sub(r"<t[dh]\b[^>]*>", "<span>", rows))


def _link(found: re.Match[str]) -> str:
    label, url = found[1].strip(), found[2]
    return f"<{url}>" if not label or label == url else f"{label} <{url}>"


def footer(lines: tuple[str, ...]) -> str:
    """Return the identity block as text; URL fields stand as merge tags."""
    links = [f"{words}: {{{{ {name} }}}}" for name, words in FOOTER_LINKS]
    reason, *rest = lines
    return "\n".join([SIGNATURE, reason, *links, "", *(line for line in rest if line)]) + "\n"
