"""Is the SPF record of a host sound: one record, few look-ups, no open door (RFC 7208). Evaluates no sender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from accounts.resolving import Ask, Status

LOOKUPS_MAX: Final = 10  # RFC 7208 section 4.6.4
DEPTH_MAX: Final = 10


@dataclass(frozen=True)
class Fault:
    """What is wrong with a record, as code and sentence of rules section 6."""

    code: str
    message: str


SILENT: Final = Fault("DNS-SILENT", "")


def fault(host: str, ask: Ask) -> Fault | None:
    """Return what is wrong with the SPF of `host`, SILENT when nothing is known, None when it is sound."""
    answer = ask(host, "TXT")
    if answer.status is Status.SILENT:
        return SILENT
    records = _spf_of(answer.values)
    if not records:
        return Fault("SPF-MISSING", f"{host} leads to no SPF record.")
    if len(records) > 1:
        text = f"{host} has {len(records)} SPF records; exactly one is allowed (RFC 7208 3.2, result permerror)."
        return Fault("SPF-MULTI", text)
    if records[0].split()[-1].lower() in ("+all", "all", "?all"):
        return Fault("SPF-OPEN", f"SPF ends in {records[0].split()[-1]}; use -all or ~all.")
    needed = _lookups(records[0], ask, 0)
    if needed > LOOKUPS_MAX:
        text = f"SPF at {host} needs {needed} DNS lookups; the limit is {LOOKUPS_MAX} (RFC 7208 4.6.4)."
        return Fault("SPF-LOOKUPS", text)
    return None


def _spf_of(values: tuple[str, ...]) -> list[str]:
    return [value for value in values if value.lower() == "v=spf1" or value.lower().startswith("v=spf1 ")]


def _lookups(record: str, ask: Ask, depth: int) -> int:
    """Count the terms that cost a look-up, inside included records too; stops counting well above the limit."""
    total = 0
    for term in record.split()[1:]:
        name, _, argument = term.lstrip("+-~?").replace("=", ":", 1).partition(":")
        if name.lower() in ("a", "mx", "ptr", "exists", "include", "redirect") or name.lower().startswith(
            ("a/", "mx/")
        ):
            total += 1
        if name.lower() in ("include", "redirect") and depth < DEPTH_MAX and total <= LOOKUPS_MAX:
            total += sum(_lookups(inner, ask, depth + 1) for inner in _spf_of(ask(argument, "TXT").values)[:1])
    return total
