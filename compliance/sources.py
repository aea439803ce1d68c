"""Addresses that are no person's own (rules SRC-ROLE) and slips of well-known mail domains. Pure."""

from __future__ import annotations

from typing import Final

from compliance.consent import EXPRESS
from sendserver.lib.addresses import Address, BadAddress

# RFC 2142 and machine mailboxes: never mailed.
FUNCTION_MAILBOXES: Final = frozenset(
    (  # noqa: SIM905 (one word a line would be no reading)
        "abuse postmaster noc security hostmaster webmaster mailer-daemon mailerdaemon noreply no-reply donotreply "
        "do-not-reply nobody root usenet news uucp ftp www bounce bounces"
    ).split()
)
# Shared by several people: only with an express yes of theirs.
SHARED_MAILBOXES: Final = frozenset(
    (  # noqa: SIM905 (one word a line would be no reading)
        "info sales office support contact hello admin team mail enquiries inquiries kontakt marketing billing "
        "accounts hr jobs service help"
    ).split()
)
# A mailbox host and the ways it is mistyped. Only names that are no mail hosts of their own.
_SLIPS: Final[dict[str, str]] = {
    slip: right
    for right, slips in {
        "gmail.com": "gmial.com gmai.com gmal.com gamil.com gnail.com gmaill.com gmil.com gmail.co gmail.con gmail.cm "
        "gmail.om gmail.cmo gmaul.com gmsil.com gmail.comm gmaail.com",
        "hotmail.com": "hotmial.com hotmai.com hotmal.com hotnail.com hotmail.con hotmail.co hotmil.com hotmaill.com "
        "hotmail.cm homail.com hotmsil.com",
        "outlook.com": "outlok.com outloo.com outlook.con outlook.co oulook.com outllok.com",
        "yahoo.com": "yaho.com yahooo.com yhoo.com yahoo.con yahoo.co yahho.com yahoo.cm yhaoo.com",
        "icloud.com": "iclod.com icloud.con icoud.com icloud.co",
        "gmx.de": "gmx.dd gmy.de",
        "web.de": "wbe.de",
    }.items()
    for slip in slips.split()
}


def refuse_address(address: Address, basis: str = "") -> BadAddress | None:
    """Return why a well-formed address is not taken, with a suggestion where one is likely; None when it is."""
    local, _, domain = address.key.rpartition("@")
    if local in FUNCTION_MAILBOXES or (local in SHARED_MAILBOXES and basis not in EXPRESS):
        return BadAddress(address.original, "role")
    right = _SLIPS.get(domain)
    if right:
        return BadAddress(address.original, "typo_domain", f"{address.original.rpartition('@')[0]}@{right}")
    return None
