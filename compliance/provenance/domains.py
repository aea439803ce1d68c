"""Does a domain take mail? Some domains of an upload are asked for, side by side, within a bounded time.

Dead is only what a resolver says is not there, or a null MX (RFC 7505). Silence says nothing: missing data is no
sign, and a list is not held because our resolver is away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final

from django.conf import settings

from accounts.resolving import Ask, Status, asker

AT_ONCE: Final = 16
SECONDS: Final = 20.0  # for all domains of an upload


def is_dead(domain: str, ask: Ask) -> bool | None:
    """Tell whether a domain takes no mail; None when that cannot be known now. RFC 5321 section 5.1."""
    mx = ask(domain, "MX")
    if mx.status is Status.FOUND:
        return all(value.split()[1:] in ([], ["."]) for value in mx.values)
    if mx.status is Status.SILENT:
        return None
    answers = [ask(domain, kind).status for kind in ("A", "AAAA")]
    if Status.FOUND in answers:
        return False
    return None if Status.SILENT in answers else True


def dead_among(domains: Iterable[str], *, asking: Callable[[str], Ask] = asker) -> dict[str, bool]:
    """Return which of the domains are dead and which are not; those that nobody could tell in time are left out."""
    if not settings.LIST_LOOKUPS:
        return {}
    ask = asking(settings.DNS_SERVERS[0])
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="list-domains")
    asked = {pool.submit(is_dead, domain, ask): domain for domain in dict.fromkeys(domains)}
    done, _ = wait(asked, timeout=SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    found = {asked[future]: future.result() for future in done if future.exception() is None}
    return {domain: dead for domain, dead in found.items() if dead is not None}
