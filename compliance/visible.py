"""Can a reader see it: words and links in final HTML, judged by inline styles as a mail client would draw them.

Style sheets are gone by then (campaigns.content.body inlines them), so inline styles and ancestors are the whole story.
What cannot be judged (an unknown colour) counts as seen only when it differs from the background as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from compliance.policy import FOOTER_MIN_CONTRAST, FOOTER_MIN_PX

WHITE: Final = (255, 255, 255)
BLACK: Final = (0, 0, 0)
NAMED: Final = {
    "white": WHITE,
    "black": BLACK,
    "silver": (192, 192, 192),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "navy": (0, 0, 128),
    "yellow": (255, 255, 0),
}
UNITS: Final = {"px": 1.0, "pt": 4 / 3, "em": 16.0, "rem": 16.0, "%": 0.16, "": 1.0}
SIZE: Final = re.compile(r"([\d.]+)\s*(px|pt|em|rem|%|)")
Colour = tuple[int, int, int]


def words(text: str) -> str:
    """Return text with every run of blanks as one."""
    return " ".join(text.split())


def shows(html: str, phrase: str) -> bool:
    """Tell whether a reader sees `phrase` somewhere in the document."""
    return any(is_visible(node) for node in _holding(html, words(phrase)))


def shows_link(html: str, url: str) -> bool:
    """Tell whether a reader sees a link with words that leads to `url`."""
    links = LexborHTMLParser(html).css("a[href]")
    return any((node.attributes.get("href") or "") == url and words(node.text()) and is_visible(node) for node in links)


def hidden_characters(html: str) -> int:
    """Return how many characters of the document nobody sees."""
    tree = LexborHTMLParser(html)
    leaves = [node for node in tree.css("body *") if words(node.text(deep=False))]
    return sum(len(words(node.text(deep=False))) for node in leaves if not is_visible(node))


def is_visible(node: LexborNode) -> bool:
    """Tell whether a node is drawn, big enough and in a colour that differs from what is behind it."""
    styles = [_style(one) for one in _upwards(node)]
    if any(_is_hidden(style) for style in styles):
        return False
    size = next((_pixels(style["font-size"]) for style in styles if "font-size" in style), 16.0)
    colour = next((c for style in styles if (c := _colour(style.get("color", "")))), BLACK)
    behind = next((c for style in styles if (c := _colour(_background(style)))), WHITE)
    return size >= FOOTER_MIN_PX and contrast(colour, behind) >= FOOTER_MIN_CONTRAST


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _holding(html: str, phrase: str) -> Iterator[LexborNode]:
    """Yield the deepest elements whose text holds the phrase."""
    for node in LexborHTMLParser(html).css("body, body *"):
        if phrase in words(node.text()) and not any(phrase in words(child.text()) for child in node.iter()):
            yield node


def _upwards(node: LexborNode) -> Iterator[LexborNode]:
    current: LexborNode | None = node
    while current is not None and current.tag not in ("-undef", "-document"):
        yield current
        current = current.parent


def _style(node: LexborNode) -> dict[str, str]:
    declared = (part.partition(":") for part in (node.attributes.get("style") or "").lower().split(";"))
    style = {name.strip(): value.replace("!important", "").strip() for name, _, value in declared if value}
    if "bgcolor" in node.attributes:
        style.setdefault("background-color", node.attributes["bgcolor"] or "")
    if "hidden" in node.attributes:
        style["display"] = "none"
    return style


def _is_hidden(style: dict[str, str]) -> bool:
    return (
        style.get("display") == "none"
        or style.get("visibility") in ("hidden", "collapse")
        or style.get("mso-hide") == "all"
        or _is_nothing(style.get("opacity", "1"))
        or (
            "hidden" in style.get("overflow", "")
            and any(_is_nothing(style.get(n, "1")) for n in ("height", "max-height", "width"))
        )
        or re.search(r"-\d{3,}", style.get("text-indent", "") + style.get("left", "") + style.get("top", ""))
        is not None
    )


def _is_nothing(value: str) -> bool:
    found = re.match(r"[\d.]+", value)
    return found is not None and float(found[0]) == 0


def _pixels(value: str) -> float:
    found = SIZE.fullmatch(value)
    return float(found[1]) * UNITS[found[2]] if found else 16.0


def _background(style: dict[str, str]) -> str:
    shorthand = style.get("background", "").split(" ")[0]
    return style.get("background-color", shorthand)


def _colour(text: str) -> Colour | None:
    text = text.strip().lower()
    if text in NAMED:
        return NAMED[text]
    digits = text.removeprefix("#")
    if text.startswith("#") and re.fullmatch(r"[0-9a-f]{3}|[0-9a-f]{6}", digits):
        full = digits if len(digits) == 6 else "".join(d * 2 for d in digits)
        return int(full[:2], 16), int(full[2:4], 16), int(full[4:], 16)
    parts = re.findall(r"\d+", text) if text.startswith("rgb") else []
    return (int(parts[0]), int(parts[1]), int(parts[2])) if len(parts) >= 3 else None


def _luminance(colour: Colour) -> float:
    shares = [part / 255 for part in colour]
    red, green, blue = (s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
