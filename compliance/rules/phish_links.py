"""Links lead where they say."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from accounts.lookalikes import registered
from compliance.gate import BLOCK, LinkFacts, Proposal
from compliance.rules import Finding, fine, rule
from compliance.rules.from_truth import scripts

_SHORTENERS = """
bit.ly tinyurl.com t.co goo.gl ow.ly is.gd buff.ly rebrand.ly cutt.ly shorturl.at tiny.cc rb.gy t.ly bl.ink lnkd.in
s.id v.gd trib.al soo.gd clck.ru shorte.st adf.ly
"""
SHORTENERS = frozenset(_SHORTENERS.split())
HOST_IN_TEXT = re.compile(r"(?:https?://|www\.)?((?:[a-z0-9-]+\.)+[a-z]{2,})(?=[/\s:?#]|$)", re.IGNORECASE)
ALLOWED = ("http", "https", "mailto", "tel")


@rule(
    "CONTENT-PHISH",
    version=1,
    label="Links lead where they say",
    source="Anti-Spam Policy 4.5; OURS",
    duty="No link that shows one address and opens another, no shorteners, no bare numbers, no scripts.",
    policy_rule="4.5",
    order=30,
)
def judge(proposal: Proposal) -> Finding:
    """Judge each link of the customer's own text; OURS, Anti-Spam Policy 4.5."""
    problems = [problem for link in proposal.links for problem in _problems(link)]
    if problems:
        first, _ = problems[0]
        more = f" {len(problems) - 1} more links need a look." if len(problems) > 1 else ""
        return Finding(BLOCK, first + more, {"codes": sorted({c for _, c in problems}), "links": len(problems)})
    return fine("No link hides where it goes." if proposal.links else "The message has no links.")


def _problems(link: LinkFacts) -> Iterator[tuple[str, str]]:
    if "{{" in link.url or link.url.startswith("#"):
        return  # filled in for each person, where the compiler lets only web addresses through; or a place in the text
    try:
        parts = urlsplit(link.url)
        host = (parts.hostname or "").lower()
    except ValueError:
        yield f"“{link.url[:60]}” is not a web address.", "unreadable"
        return
    if parts.scheme.lower() not in ALLOWED:
        yield f"“{link.url[:60]}” is not a web address. Begin it with https://", "scheme"
    elif parts.scheme.lower() in ("http", "https"):
        yield from _host_problems(link, host, has_login=bool(parts.username or parts.password))


def _host_problems(link: LinkFacts, host: str, *, has_login: bool) -> Iterator[tuple[str, str]]:
    if has_login:
        yield f"The link to {host} carries a name before @, which misleads. Remove it.", "credentials"
    if _is_number(host):
        yield f"A link goes to the number {host}. Use the name of the website.", "number"
    if host in SHORTENERS or host.removeprefix("www.") in SHORTENERS:
        yield f"{host} is a shortener and hides where the link goes. Use the full address.", "shortener"
    if _looks_alike(host):
        yield f"The address {host} mixes alphabets and may pass for another one.", "lookalike"
    shown = HOST_IN_TEXT.search(link.text.strip())
    if shown and host and registered(shown[1]) != registered(host):
        yield f"A link shows {shown[1].lower()} and opens {host}. Let both be the same.", "mismatch"


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.replace(".", "").isdigit() or host.startswith("0x")
    return True


def _looks_alike(host: str) -> bool:
    try:
        decoded = [label.encode().decode("idna") if label.startswith("xn--") else label for label in host.split(".")]
    except UnicodeError:
        return True
    return any(len(scripts(label)) > 1 for label in decoded)
