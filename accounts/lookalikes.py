"""Names that a reader takes for another one: pure look, no judgement. Staff read what resembles; nothing is refused.

A skeleton is what is left of a name once signs that look alike are written alike, in the manner of Unicode UTS 39
section 4; the table is a short one of our own, of what domain registries let into names. How long ago a domain was
registered is not looked up.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from publicsuffixlist import PublicSuffixList

# Names that mail is forged in most; also what no From name may speak of (compliance.rules.from_truth).
_BRANDS: Final = "paypal amazon microsoft google apple netflix dhl fedex facebook visa mastercard"
WELL_KNOWN: Final = tuple(_BRANDS.split())
# Only where they look the same: "email" is one letter away from one of them.
MAILBOXES: Final = ("gmail", "outlook", "hotmail", "icloud", "yahoo")
NEAR_FROM: Final = 5  # letters; of shorter names one letter more or less makes another word
# Letters that look like the Latin ones behind them; Cyrillic, Greek, Armenian and Latin extensions.
_ALIKE: Final = {
    "a": "аαɑ@4", "b": "ьƅ", "c": "сϲ", "d": "ԁɗ", "e": "еєɛ3", "g": "ɡց9", "h": "һհ", "j": "јϳ", "k": "кκ",
    "l": "iıіι1ӏ|ɩ", "m": "м", "n": "ոη", "o": "оοօ0ө", "p": "рρ", "q": "ԛզ", "r": "гᴦ", "s": "ѕꜱ5", "t": "тτ",
    "u": "υսц", "v": "ѵν", "w": "ԝωшա", "x": "хχ", "y": "уγүʏ", "z": "ᴢ2",
}  # fmt: skip
_FOLD: Final = str.maketrans({sign: letter for letter, signs in _ALIKE.items() for sign in signs})
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("nn", "m"))
_PARTS: Final = re.compile(r"[-_.]")


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def label_of(name: str) -> str:
    """Return the label that somebody registered, in Unicode: mail.acme.co.uk gives acme."""
    registered = _suffixes().privatesuffix(name.lower().rstrip(".")) or name.lower()
    return _decoded(registered.split(".")[0])


def registered(name: str) -> str:
    """Return the domain that somebody registered: mail.acme.co.uk gives acme.co.uk."""
    return _suffixes().privatesuffix(name.lower().rstrip(".")) or name.lower()


def _decoded(label: str) -> str:
    try:
        return label.encode("ascii").decode("idna") if label.startswith("xn--") else label
    except UnicodeError:
        return label


def skeleton(label: str) -> str:
    """Return a label with look-alike signs written alike and hyphens left out."""
    bare = unicodedata.normalize("NFKD", label.casefold())
    folded = "".join(sign for sign in bare if not unicodedata.combining(sign)).translate(_FOLD)
    for pair, one in _PAIRS:
        folded = folded.replace(pair, one)
    return folded.replace("-", "")


def resembled(name: str) -> str:
    """Return the well-known name that a domain resembles, or an empty string."""
    own = skeleton(label_of(name))
    parts = {skeleton(part) for label in name.lower().split(".") for part in _PARTS.split(_decoded(label))}
    for brand in WELL_KNOWN:
        if skeleton(brand) in parts:
            return brand
    for brand in WELL_KNOWN:
        if len(brand) >= NEAR_FROM and is_near(own, skeleton(brand)):
            return brand
    return next((mailbox for mailbox in MAILBOXES if own == skeleton(mailbox)), "")


def is_near(one: str, other: str) -> bool:
    """Tell whether one letter more, fewer, changed or two swapped make the one the other (Damerau, distance 1)."""
    if abs(len(one) - len(other)) > 1:
        return False
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rests = {
        (one[at + 1 :], other[at + 1 :]),  # changed
        (one[at + 1 :], other[at:]),  # one has a letter more
        (one[at:], other[at + 1 :]),
    }
    swapped = one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :]
    return swapped or any(a == b for a, b in rests)
