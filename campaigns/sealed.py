"""A message as somebody who is not its recipient may look at it: nothing of it acts, nothing is asked of the web.

A picture on the web tells its keeper who looked, from where and when. So a look shows where pictures stand, in words,
and loads none; only the sender's own people may ask for them, each time. Two walls, each enough alone: the addresses
are taken out of the markup, and the content policy forbids the request. Nothing is fetched here, there is no proxy.
"""

from __future__ import annotations

import re
from html import escape
from typing import Final

from django.http import HttpResponse
from selectolax.lexbor import LexborHTMLParser, LexborNode

_WALL: Final = (
    "default-src 'none'; img-src {pictures}; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox; "
    "base-uri 'none'; form-action 'none'"
)
POLICY: Final = _WALL.format(pictures="data:")
POLICY_WITH_PICTURES: Final = _WALL.format(pictures="https: data:")
ASKED: Final = "web"  # what ?pictures= says when somebody pressed the button
# Elements that ask or lead away by themselves. A policy does not reach the look-up of a host's name (dns-prefetch).
LEADING: Final = "link, base, meta[http-equiv]"
LOADING: Final = ("src", "srcset", "poster", "background", "lowsrc", "dynsrc", "data", "imagesrcset")
WAYS: Final = ("a", "area")  # whose href is followed by a press only; in drawings it loads
CSS_URL: Final = re.compile(r"url\(\s*(?P<quote>['\"]?)(?!\s*data:)(?P<url>[^)'\"]*)(?P=quote)\s*\)", re.IGNORECASE)
SHOWN_ADDRESS: Final = 300  # characters of an address
_BOX: Final = (
    "display:inline-block;box-sizing:border-box;max-width:100%;padding:6px 10px;margin:2px 0;border:1px dashed #5b6675;"
    "background:#f2f4f7;color:#1c2430;font:13px/1.4 Arial,Helvetica,sans-serif;text-align:left;overflow-wrap:anywhere"
)


def respond(html: str, *, pictures: bool = False) -> HttpResponse:
    """Return a message behind both walls, for a frame of ours; `pictures` leaves those at https: addresses in."""
    policy = POLICY_WITH_PICTURES if pictures else POLICY
    return _walled(html if pictures else seal(html), kind="text/html", policy=policy)


def plain(text: str) -> HttpResponse:
    """Return a text part as text, behind the same wall."""
    return _walled(text, kind="text/plain", policy=POLICY)


def _walled(content: str, *, kind: str, policy: str) -> HttpResponse:
    """Answer with the policy; no referrer and no early look-up of names goes out, no browser keeps it."""
    headers = {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "SAMEORIGIN",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-DNS-Prefetch-Control": "off",
        "Cache-Control": "no-store",
    }
    return HttpResponse(content, content_type=f"{kind}; charset=utf-8", headers=headers)


def seal(html: str) -> str:
    """Return the markup with a box of words for each picture and no address that a browser would ask by itself."""
    tree = LexborHTMLParser(html)
    for node in tree.css(LEADING):
        node.decompose()
    behind: list[str] = []
    for node in tree.css("*"):
        _seal_node(node, behind)
    for node in tree.css("style"):
        text = node.text() or ""
        if CSS_URL.search(text):
            behind += [found["url"] for found in CSS_URL.finditer(text)]
            node.decompose()
    if behind and tree.body is not None:
        tree.body.insert_child(_fragment(_box("Pictures in the background, not loaded:", "", " ".join(behind))))
    return tree.html or ""


def _seal_node(node: LexborNode, behind: list[str]) -> None:
    """Take one element's addresses away; those of backgrounds are added to `behind`."""
    values = node.attributes
    if node.tag == "img" and not _brings_itself(values.get("src")):
        node.replace_with(_fragment(_placeholder(values)))
        return
    for name in LOADING if node.tag in WAYS else (*LOADING, "href", "xlink:href"):
        value = values.get(name) or ""
        if name in values and not (name == "src" and _brings_itself(value)):
            behind += [value] if name == "background" else []
            del node.attrs[name]
    style = values.get("style") or ""
    if CSS_URL.search(style):
        behind += [found["url"] for found in CSS_URL.finditer(style)]
        node.attrs["style"] = CSS_URL.sub("none", style)


def _brings_itself(address: str | None) -> bool:
    return (address or "").strip().lower().startswith("data:")


def _placeholder(values: dict[str, str | None]) -> str:
    alt, size = (values.get("alt") or "").strip(), [values.get(name) or "" for name in ("width", "height")]
    measure = f" of {size[0]} by {size[1]}" if all(one.isascii() and one.isdigit() for one in size) else ""
    words = f"“{alt}”" if alt else "without words for people who do not see it"
    address = values.get("src") or values.get("srcset") or ""
    return _box(f"Picture{measure}, not loaded:", words, address.strip())


def _box(what: str, words: str, address: str) -> str:
    cut = address if len(address) <= SHOWN_ADDRESS else f"{address[:SHOWN_ADDRESS]}..."
    return f'<span style="{_BOX}">{escape(what)} {escape(words)} <br>{escape(cut or "no address")}</span>'


def _fragment(html: str) -> LexborNode:
    node = LexborHTMLParser(html).css_first("span")
    assert node is not None
    return node
