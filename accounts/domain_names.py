"""Names nobody can send from: free mailboxes, registry suffixes, our own hosts (rules section 6, FROM-*).

A short list on purpose: ownership and MX checks stop what it does not know, since nobody can publish records there.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings

FREEMAIL: Final = frozenset(
    [
        "aol.com",
        "bluewin.ch",
        "btinternet.com",
        "email.com",
        "fastmail.com",
        "free.fr",
        "freenet.de",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hotmail.co.uk",
        "hotmail.com",
        "hotmail.de",
        "hotmail.fr",
        "hotmail.it",
        "hushmail.com",
        "icloud.com",
        "laposte.net",
        "libero.it",
        "live.com",
        "live.co.uk",
        "mac.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "naver.com",
        "orange.fr",
        "outlook.com",
        "outlook.de",
        "posteo.de",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rediffmail.com",
        "seznam.cz",
        "sfr.fr",
        "t-online.de",
        "tuta.com",
        "tutanota.com",
        "virgilio.it",
        "wanadoo.fr",
        "web.de",
        "wp.pl",
        "yahoo.co.jp",
        "yahoo.co.uk",
        "yahoo.com",
        "yahoo.de",
        "yahoo.fr",
        "yahoo.it",
        "yandex.com",
        "yandex.ru",
        "zoho.com",
        "126.com",
        "163.com",
    ]
)
SUFFIXES: Final = frozenset(
    [
        "ac.at",
        "ac.uk",
        "asso.fr",
        "co.at",
        "co.il",
        "co.in",
        "co.jp",
        "co.kr",
        "co.nz",
        "co.uk",
        "co.za",
        "com.ar",
        "com.au",
        "com.br",
        "com.cn",
        "com.hk",
        "com.mx",
        "com.pl",
        "com.sg",
        "com.tr",
        "com.tw",
        "com.ua",
        "com.vn",
        "gen.nz",
        "gob.mx",
        "gov.au",
        "gov.uk",
        "ltd.uk",
        "me.uk",
        "ne.jp",
        "net.au",
        "net.br",
        "net.cn",
        "net.nz",
        "or.at",
        "or.jp",
        "org.au",
        "org.br",
        "org.cn",
        "org.nz",
        "org.uk",
        "org.za",
        "plc.uk",
        "github.io",
        "gitlab.io",
        "herokuapp.com",
        "netlify.app",
        "pages.dev",
        "vercel.app",
        "web.app",
        "blogspot.com",
        "wordpress.com",
        "myshopify.com",
    ]
)


def refusal(name: str) -> tuple[str, str] | None:
    """Return (code, sentence) for a name that cannot be a sending domain, else None."""
    if name in FREEMAIL:
        return "FROM-FREEMAIL", f"You cannot send as {name}: it is a free mailbox. Use a domain of your own."
    if name in SUFFIXES or "." not in name:
        return "FROM-PUBLIC-SUFFIX", f"You cannot send as {name}: it belongs to a registry, not to one sender."
    own = settings.PLATFORM.domain
    if name == own or name.endswith(f".{own}"):
        return "FROM-OURS", f"You cannot send as {name}: it is ours."
    return None
