"""Who gets the messages of the dump: every column of every fifth person holds, one at a time, a hostile value.

What a hostile value is told from is written here by hand; what becomes of it is for the reference renderer to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from campaigns.bench.content import FIELDS, Content
from campaigns.bench.content import LARGE as PLAIN

HOSTILE: Final[Mapping[str, str]] = {
    "empty": "",
    "blank": "   ",
    "new line": "one\ntwo",
    "carriage return": "one\rtwo",
    "header": "Ada\r\nBcc: all@victims.example\r\n\r\n<b>body</b>",
    "end of message": "a\r\n.\r\nMAIL FROM:<x@y.example>\r\n",
    "tab": "a\tb",
    "bell": "a\x07b",
    "escape": "a\x1b[31mb",
    "delete": "a\x7fb",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "right to left": "evil\u202egpj.exe",
    "isolate": "a\u2066b\u2069c",
    "zero width": "a\u200bb\ufeffc",
    "combining": "a" + "\u0301\u0323" * 40,
    "emoji": "\U0001f469\u200d\U0001f33e\U0001f1ec\U0001f1e7",
    "wide": "\u6f22\u5b57 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \U00020000",
    "liquid value": "{{ x }}",
    "liquid tag": "{% if true %}{{ unsubscribe_url }}{% endif %}",
    "liquid torn": "}} {{ %} {%",
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "entity": "&lt;b&gt; &amp;amp; &#x41;",
    "comment": "<!-- --> ]]> <![CDATA[",
    "javascript": "javascript:alert(1)//http://",
    "encoded word": "=?utf-8?q?=0D=0ABcc:_x@y.example?=",
    "quoted-printable": "=0D=0A.=0D=0A a=3D=",
    "leading dot": ".hidden",
    "leading dots": "..\n..\n.",
    "From line": "From nobody\nFrom me",
    "boundary": "--=_b1_0000000000000000--",
    "percent": "100 % of %s %d %%",
    "trailing blanks": "ends in blanks   \nand more \t",
    "address": '"Evil" <evil@evil.example>, second@evil.example',
    "SQL": "'; DROP TABLE campaigns_delivery; --",
    "long": "0123456789 " * 930,
    "long word": "x" * 10_240,
    "dots": "." * 300,
}
EXTRA: Final[Mapping[str, str]] = {"profile": "https://larkfield.example/people/%d?a=1&b=two"}
COLUMNS: Final = ("first_name", "last_name", *FIELDS, *EXTRA)
NAMES: Final = ("first_name", "last_name")
NAME_MOST: Final = 120  # characters; a longer name does not come into the database
PAIRS: Final = tuple(
    (column, name)
    for name, text in HOSTILE.items()
    for column in COLUMNS
    if column not in NAMES or len(text) <= NAME_MOST
)
_ENDING: Final = (
    '<p>{% if points > 500 %}{{ first_name | upcase | default: "You" }}, gold{% elsif points > 100 %}Silver for '
    '{{ last_name | downcase | default: "you" }}{% else %}Bronze{% endif %}'
    '{% unless city contains "7" %}, not from a seven{% endunless %}'
    '{% case season %}{% when "autumn", "winter" %}, dig in{% when "spring" %}, sow{% else %}, wait{% endcase %}.</p>'
    '<p>{{ shop | capitalize }}, {{ advisor | truncate: 9, "~" }}, {{ plant | strip }}, {{ code | escape }}, since '
    '{{ member_since | date: "%d %B %Y" }}, {{ last_name | default: "no name" | upcase }}.</p>'
    '<p><a href="https://larkfield.example/show?code={{ code }}&amp;town={{ city | url_encode }}" '
    'title="{{ plant }}">Show the code</a></p>'
    '{% if profile contains "http" and points != "0" %}<p><a href="{{ profile }}">Your page</a></p>{% endif %}'
)
CONTENT: Final = Content("hostile", PLAIN.subject, PLAIN.html + _ENDING, 37)
_REFUSED_ANYWHERE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_IN_SUBJECT: Final = ("season", "first_name")
APART: Final = 250  # people between two that cannot be written: more of them would rightly brake the campaign
REFUSED_MOST: Final = 45


def is_mild(column: str, name: str) -> bool:
    """Tell what is probably written as harmless text; a guess that only decides how many get such a value."""
    text = HOSTILE[name]
    if _REFUSED_ANYWHERE.search(text) or name == "empty" or (column == "profile" and "http" in text):
        return False
    if (column, name) == ("plant", "blank"):  # its filter `strip` leaves nothing
        return False
    return column not in _IN_SUBJECT or (text.isprintable() and len(text) < 300)


MILD: Final = tuple(pair for pair in PAIRS if is_mild(*pair))
HARSH: Final = tuple(pair for pair in PAIRS if not is_mild(*pair))


@dataclass(frozen=True)
class Person:
    """The columns of one contact."""

    number: int
    columns: Mapping[str, str]
    hostile: tuple[str, str] | None = None  # column and name of the value

    @property
    def fields(self) -> dict[str, str]:
        """Return the columns beside the names."""
        return {name: self.columns[name] for name in self.columns if name not in NAMES}


def usual(number: int) -> dict[str, str]:
    """Return the columns of somebody with nothing odd."""
    texts = {**FIELDS, **EXTRA, "first_name": "Reader%d", "last_name": "O'Hara-%d" if number % 2 else "Ünal"}
    return {name: text.replace("%d", str(number)) for name, text in texts.items()}


def with_pair(number: int, pair: tuple[str, str]) -> Person:
    """Return a person one of whose columns is hostile."""
    column, name = pair
    return Person(number, {**usual(number), column: HOSTILE[name]}, pair)


def person(number: int) -> Person:
    """Return the person with this number: mostly usual, every fifth mildly hostile, a few that cannot be written."""
    turn, rest = divmod(number, APART)
    if not rest and turn <= REFUSED_MOST:
        return with_pair(number, HARSH[(turn - 1) * 7 % len(HARSH)])
    if number % 5 == 0:
        return with_pair(number, MILD[number // 5 % len(MILD)])
    return Person(number, usual(number))
