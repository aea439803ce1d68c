"""Mailbox providers by the domain of an address: who is asked to take mail slowly, and what figures are grouped by.

Own domains that a provider hosts (by MX) are not known here: such a domain stands for itself.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

# key, as in PROVIDER_RATES -> name on pages, domains
PROVIDERS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "gmail": ("Gmail", ("gmail.com", "googlemail.com")),
    "outlook": (
        "Outlook",
        ("outlook.com", "hotmail.com", "live.com", "msn.com", "outlook.de", "hotmail.co.uk", "hotmail.fr"),
    ),
    "yahoo": ("Yahoo", ("yahoo.com", "yahoo.co.uk", "yahoo.de", "yahoo.fr", "ymail.com", "aol.com")),
    "icloud": ("iCloud", ("icloud.com", "me.com", "mac.com")),
    "gmx": ("GMX and Web.de", ("gmx.de", "gmx.net", "web.de", "gmx.at")),
}
_KEYS: Final = {domain: key for key, (_, domains) in PROVIDERS.items() for domain in domains}


@lru_cache(maxsize=20_000)
def provider_of(domain: str) -> str:
    """Return the provider's key for a domain in A-label form, or the domain itself."""
    domain = domain.lower()
    return _KEYS.get(domain, domain)


def name_of(provider: str) -> str:
    """Return the name that people know."""
    return PROVIDERS[provider][0] if provider in PROVIDERS else provider
