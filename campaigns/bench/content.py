"""The two messages that are measured: about 20 kB with 37 places for values, and a small one with 15 and more.

Sizes and counts are of the finished message on the wire, both parts and the portal's own footer together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIELDS: Final = {  # columns of every contact beside the name; `%d` is the contact's number
    "city": "Exampleton %d",
    "plant": "Höchst apple tree no. %d",
    "shop": "Mill Lane",
    "advisor": "Dana Whitlock",
    "points": "%d",
    "season": "autumn",
    "member_since": "2019-04-01",
    "code": "BULB-%d",
}
_PARAGRAPH: Final = (
    "The beds behind the glasshouse were dug over last week, and the compost that has been turning since March is "
    "ready to be carried out. Whoever brings boots may help; whoever brings cake is welcome all the same. We begin "
    "at ten, stop for soup at one and end when the light goes, which in this month is sooner than anybody thinks."
)


@dataclass(frozen=True)
class Content:
    """One message to measure."""

    key: str  # "20k" or "3k", the ending of its figures' names
    subject: str
    html: str
    slots: int  # at least this many in the finished message


def _section(number: int) -> str:
    words = _PARAGRAPH[number * 13 % 90 :]
    return (
        f'<h2 style="font-size:20px;margin:24px 0 12px">{number}. In {{{{ city }}}}</h2>'
        f'<p style="margin:0 0 16px">{{{{ first_name | default: "Reader" }}}}, {_PARAGRAPH}</p>'
        f'<p style="margin:0 0 16px">{words} {_PARAGRAPH}</p>'
        f'<p style="margin:0 0 16px">{_PARAGRAPH} {words}</p>'
        f'<p style="margin:0 0 16px"><a href="https://larkfield.example/autumn/{number}">Part {number}</a></p>'
    )


_OPENING: Final = '<h1>{{ season }} at {{ shop }}</h1><p>Hello {{ first_name | default: "there" }},</p>'
_ENDING: Final = (
    "<p>{% if points %}You have {{ points }} points since {{ member_since }}.{% endif %} Your {{ plant }} is ready; "
    "show {{ code }} to {{ advisor }}.</p>"
)
LARGE: Final = Content(
    "20k",
    "{{ season }} bulbs for {{ first_name }}",
    _OPENING + f"<p>{_PARAGRAPH}</p>" + "".join(map(_section, range(1, 5))) + _ENDING,
    37,
)
SMALL: Final = Content(
    "3k",
    "{{ season }} bulbs for {{ first_name }}",
    '<p>Hello {{ first_name | default: "there" }}, {{ season }} at {{ shop }}: {{ plant }}, {{ code }}.</p>',
    15,
)
CONTENTS: Final = (LARGE, SMALL)
