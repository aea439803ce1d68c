"""Where a person lives, as far as a file tells: own column, declared for the whole list, or the address's ending.

Pure. Unknown is the rule in real files and means the strictest law (rules section 9.2, CONSENT-UNKNOWN-COUNTRY).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

STRICT: Final = frozenset({"DE", "AT", ""})  # double opt-in has to be shown: rules CONSENT-DOI
# Country endings that the whole world registers; they tell nothing about a person.
_GENERIC: Final = frozenset(
    (  # noqa: SIM905 (one word a line would be no reading)
        "ac ad ag ai am as bz cc cd cm co dj fm ga gd gg gl gq gs hn io is la lc li ly me ml ms mu nu pw re sc sh so "
        "st su sx tf tk tl to tv vc vg vu ws"
    ).split()
)
NAMES: Final[dict[str, str]] = {
    "AR": "Argentina", "AT": "Austria", "AU": "Australia", "BE": "Belgium", "BG": "Bulgaria", "BR": "Brazil",
    "CA": "Canada", "CH": "Switzerland", "CL": "Chile", "CN": "China", "CY": "Cyprus", "CZ": "Czechia",
    "DE": "Germany", "DK": "Denmark", "EE": "Estonia", "ES": "Spain", "FI": "Finland", "FR": "France",
    "GB": "United Kingdom", "GR": "Greece", "HR": "Croatia", "HU": "Hungary", "IE": "Ireland", "IL": "Israel",
    "IN": "India", "IS": "Iceland", "IT": "Italy", "JP": "Japan", "KE": "Kenya", "KR": "South Korea",
    "LI": "Liechtenstein", "LT": "Lithuania", "LU": "Luxembourg", "LV": "Latvia", "MT": "Malta", "MX": "Mexico",
    "MY": "Malaysia", "NG": "Nigeria", "NL": "Netherlands", "NO": "Norway", "NZ": "New Zealand", "PH": "Philippines",
    "PL": "Poland", "PT": "Portugal", "RO": "Romania", "RS": "Serbia", "SE": "Sweden", "SG": "Singapore",
    "SI": "Slovenia", "SK": "Slovakia", "TH": "Thailand", "TR": "Turkey", "UA": "Ukraine", "US": "United States",
    "ZA": "South Africa",
}  # fmt: skip
_ALIASES: Final[dict[str, str]] = {
    "uk": "GB", "england": "GB", "scotland": "GB", "wales": "GB", "great britain": "GB", "gbr": "GB", "usa": "US",
    "united states of america": "US", "deutschland": "DE", "deu": "DE", "ger": "DE", "österreich": "AT",
    "oesterreich": "AT", "aut": "AT", "schweiz": "CH", "suisse": "CH", "svizzera": "CH", "españa": "ES", "esp": "ES",
    "italia": "IT", "ita": "IT", "fra": "FR", "irl": "IE", "éire": "IE", "can": "CA", "aus": "AU", "holland": "NL",
    "nederland": "NL", "the netherlands": "NL", "nld": "NL", "belgique": "BE", "belgië": "BE", "czech republic": "CZ",
    "türkiye": "TR", "polska": "PL", "sverige": "SE", "danmark": "DK", "norge": "NO", "suomi": "FI",
}  # fmt: skip
EEA: Final = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK".split()  # noqa: SIM905
)


@lru_cache(maxsize=4096)
def parse(text: str) -> str:
    """Return the ISO 3166-1 alpha-2 code that a cell names, or "" when it names none we know."""
    word = text.strip().strip(".").casefold()
    if word in _ALIASES:
        return _ALIASES[word]
    if len(word) == 2 and word.isascii() and word.isalpha():
        return word.upper() if word != "xx" else ""
    return _by_name().get(word, "")


@lru_cache(maxsize=1)
def _by_name() -> dict[str, str]:
    return {name.casefold(): code for code, name in NAMES.items()}


def name(code: str) -> str:
    """Return the English name of a country, "Unknown" for the empty code."""
    return NAMES.get(code, code) if code else "Unknown"


def from_domain(domain: str) -> str:
    """Return the country that an address's domain (A-labels) points to, or "" when its ending tells nothing."""
    ending = domain.rpartition(".")[2].lower()
    if ending == "uk":
        return "GB"
    return ending.upper() if len(ending) == 2 and ending not in _GENERIC and ending.upper() in NAMES else ""


@lru_cache(maxsize=8192)
def assumed(domain: str, declared: str) -> str:
    """Return the country of a person without an own column: what the sender declared, unless the address is stricter.

    An address in a country that asks for double opt-in keeps that country, whatever was declared for the list.
    """
    own = from_domain(domain)
    if own in STRICT and own:
        return own
    return declared or own


def choices() -> list[tuple[str, str]]:
    """Return (code, name) for a form, by name."""
    return sorted(NAMES.items(), key=lambda item: item[1])
