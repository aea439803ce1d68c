"""From a customer's Markdown or HTML to the document that is sent: inlined styles, our footer, counted links.

The footer is added after the customer's styles are inlined, so nothing the customer writes reaches it; the checks look
at the result all the same. Nothing is fetched from the network.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Final

import css_inline
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser, LexborNode

from campaigns.content import text as text_part
from campaigns.content.marks import Marks, protect
from campaigns.errors import ContentError
from compliance.gate import LinkFacts

MARKDOWN: Final = "markdown"
BASE_STYLE: Final = (
    "body{margin:0;padding:24px;background:#ffffff;color:#1c2430;font:16px/1.5 Arial,Helvetica,sans-serif}"
    "h1{font-size:26px;line-height:1.25;margin:0 0 16px}h2{font-size:20px;margin:24px 0 12px}"
    "p,ul,ol{margin:0 0 16px}a{color:#0b5bd3}img{max-width:100%;height:auto;border:0}"
    "a.button{display:inline-block;padding:12px 20px;background:#0b5bd3;color:#ffffff;"
    "text-decoration:none;border-radius:6px}"
    "blockquote{margin:0 0 16px;padding-left:16px;border-left:3px solid #c7ced8}"
    "table{border-collapse:collapse}td,th{padding:4px 10px;text-align:left}"
)
LONELY_LINK: Final = re.compile(r"<p><strong><a (href=\"[^\"]*\")>(.*?)</a></strong></p>")
LINKS: Final = "a[href], area[href]"
HIDDEN: Final = "display:none;max-height:0;overflow:hidden;mso-hide:all"
FOOTER: Final = (
    "margin:32px 0 0;padding:16px 0 0;border-top:1px solid #c7ced8;background:#ffffff;color:#4a5567;"
    "font:13px/1.5 Arial,Helvetica,sans-serif"
)
FOOTER_LINK: Final = "color:#0b4fb5;text-decoration:underline"
BODY_ATTRIBUTES: Final = ("style", "bgcolor", "dir", "lang")


@dataclass(frozen=True)
class Frame:
    """What the portal adds below every message (rules ID-FOOTER-BLOCK)."""

    legal_name: str
    postal_line: str
    register: str
    contact: str
    website: str
    reason: str  # begins "You get this because"


@dataclass(frozen=True)
class Built:
    """A finished message, merge tags inside. `counted` are the URLs behind the numbers 1, 2, ... of counted links."""

    html: str
    text: str
    source_html: str
    links: tuple[LinkFacts, ...]
    counted: tuple[str, ...]


ClickUrl = Callable[[int], str]


def build(source: str, *, form: str, preheader: str, frame: Frame, click_url: ClickUrl | None) -> Built:
    """Return the document and its text part; `click_url` None leaves links as written (previews, tests).

    Raises ContentError for a merge field where none may stand.
    """
    marked, marks = protect(source)
    fragment = _markdown(marked) if form == MARKDOWN else marked
    tree = LexborHTMLParser(css_inline.CSSInliner(load_remote_stylesheets=False).inline(_whole(fragment, marks)))
    body = tree.body
    if body is None:
        raise ContentError("The message is empty.")
    _refuse_misplaced(body, marks)
    links = tuple(LinkFacts(marks.restore(_label(a)), marks.restore(_href(a))) for a in body.css(LINKS))
    counted = _rewrite(body, marks, click_url)
    inner = _inner(body)
    if not marks.all_in_order(inner):
        raise ContentError("A field or a condition stands where it cannot: in a style sheet, a title or a comment.")
    return Built(
        html=_document(marks.restore(marks.comments_to_words(inner)), body, preheader, frame),
        text=_text(inner, marks, frame),
        source_html=marks.restore(fragment),
        links=links,
        counted=counted,
    )


def _markdown(marked: str) -> str:
    renderer = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    return LONELY_LINK.sub(r'<p><a class="button" \1>\2</a></p>', renderer.render(marked))


def _whole(fragment: str, marks: Marks) -> str:
    """Return a document with our base style in front of the customer's own, conditions hidden in comments."""
    commented = marks.blocks_to_comments(fragment)
    tree = LexborHTMLParser(commented)
    styles = "".join(node.text() or "" for node in tree.css("style"))
    for node in tree.css("style, script, title, meta, link, base"):
        node.decompose()
    body = tree.body
    inner, attributes = (_inner(body), _attributes(body)) if body is not None else ("", "")
    return (
        f"<!doctype html><html><head><style>{BASE_STYLE}{styles}</style></head><body{attributes}>{inner}</body></html>"
    )


def _inner(body: LexborNode) -> str:
    html = body.html or ""
    return html[html.index(">") + 1 : html.rindex("</body>")]


def _attributes(body: LexborNode) -> str:
    kept = ((name, body.attributes.get(name)) for name in BODY_ATTRIBUTES)
    return "".join(f' {name}="{escape(value)}"' for name, value in kept if value)


def _refuse_misplaced(body: LexborNode, marks: Marks) -> None:
    """Let values stand in text, in a link's address and in words about a picture, and nowhere else."""
    for node in [body, *body.css("*")]:
        for name, value in node.attributes.items():
            for found in marks.word.finditer(f"{name} {value or ''}"):
                if marks.is_block(found):
                    raise ContentError("A condition stands inside a tag. Put it around the whole paragraph or link.")
                if name == "src":
                    raise ContentError("A field stands in a picture's address, which would tell who looked. Remove it.")
                if name not in ("href", "alt", "title"):
                    raise ContentError("A field stands inside a tag. Fields may stand in text and in links.")


def _href(link: LexborNode) -> str:
    return (link.attributes.get("href") or "").strip()


def _label(link: LexborNode) -> str:
    return " ".join((link.text() or "").split())


def _rewrite(body: LexborNode, marks: Marks, click_url: ClickUrl | None) -> tuple[str, ...]:
    """Point web links at our counter, the same for everybody, and return the numbered addresses.

    A link with a merge field differs for each person, so it is left alone and not counted (rules TRK-LINK).
    """
    numbers: dict[str, int] = {}
    for link in body.css(LINKS):
        url = _href(link)
        if click_url and url.lower().startswith(("http://", "https://")) and not marks.word.search(url):
            link.attrs["href"] = click_url(numbers.setdefault(url, len(numbers) + 1))
    return tuple(numbers)


def _document(inner: str, body: LexborNode, preheader: str, frame: Frame) -> str:
    marked, marks = protect(preheader)
    hidden = f'<div style="{HIDDEN}">{marks.restore(escape(marked))}</div>' if preheader else ""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>{_literal(frame.legal_name)}</title></head>'
        f"<body{_attributes(body)}>{hidden}\n{inner.strip()}\n{_footer(frame)}\n</body></html>\n"
    )


def _literal(text: str) -> str:
    """Return our own words for HTML; a brace in them is no merge tag."""
    return escape(text).replace("{", "&#123;").replace("}", "&#125;")


def _footer(frame: Frame) -> str:
    who = ", ".join(_literal(part) for part in (frame.legal_name, frame.register) if part)
    site = f' &middot; <a href="{_literal(frame.website)}" style="{FOOTER_LINK}">Imprint</a>' if frame.website else ""
    links = " &middot; ".join(
        f'<a href="{{{{ {name} }}}}" style="{FOOTER_LINK}">{words}</a>' for name, words in text_part.FOOTER_LINKS
    )
    return (
        f'<div style="{FOOTER}"><p style="margin:0 0 8px">{_literal(frame.reason)}</p>'
        f'<p style="margin:0 0 8px">{links}</p>'
        f'<p style="margin:0 0 8px">{who}<br><span>{_literal(frame.postal_line)}</span><br>'
        f"<span>{_literal(frame.contact)}</span>{site}</p></div>"
    )


def _text(inner: str, marks: Marks, frame: Frame) -> str:
    lines = (frame.reason, frame.legal_name, frame.register, frame.postal_line, frame.contact)
    written = text_part.from_html(marks.comments_to_words(inner))
    footer = text_part.footer(tuple(line.replace("{", "(").replace("}", ")") for line in lines))
    return f"{marks.restore(written)}\n\n{footer}"
