"""Letters that a customer makes us send to somebody: counted by the customer and by the mailbox, whoever asks.

Invitations, DNS records for a colleague and confirmations of a mailbox share one count, so that nobody bombs a
stranger through us, with one organization or with a hundred (reliability, section 3.3).
"""

from __future__ import annotations

from accounts import policy
from accounts.errors import TooManyError
from accounts.models import Organization, Standing
from sendserver.lib import ratelimit


def count_letter(organization: Organization, address: str) -> None:
    """Count one letter to `address`; raises TooManyError when it must not go.

    The words do not say which count is full, since one of them is other people's.
    """
    if organization.standing in (Standing.SUSPENDED, Standing.BLOCKED):
        raise TooManyError("No letters go out while sending is stopped.")
    ours, theirs = policy.LETTERS_PER_ORGANIZATION, policy.LETTERS_PER_ADDRESS
    within = ratelimit.allow("letters-org", str(organization.uid), limit=ours[0], seconds=ours[1])
    if not within or not ratelimit.allow("letters-to", address.lower(), limit=theirs[0], seconds=theirs[1]):
        raise TooManyError("Too many letters to this address today, or from you. Try again tomorrow.")
