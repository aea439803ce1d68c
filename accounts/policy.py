"""Numbers of accounts, each once, with its rule id. Pages and letters print them from here."""

from __future__ import annotations

from typing import Final

# --- SEND-RAMP: grow slowly (Gmail keeps a sender's bulk status for good after about 5,000 a day)
FIRST_ALLOWANCE: Final = 500  # messages a day, on approval
RAMP_STEPS: Final = (200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)  # messages a day
WARNED_DIVISOR: Final = 2  # a warned organization sends this part of its allowance
ALLOWANCE_CHOICES: Final = (200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)

# --- AV: verification
REVIEW_BUSINESS_DAYS: Final = 1  # promised answer after submitting
REFUSAL_APPEAL_MONTHS: Final = 6  # APPEAL_OPEN_MONTHS
PROFILE_RECHECK_MONTHS: Final = 12  # ID-LEGAL-ENTITY
DENYLIST_MONTHS: Final = 24

# --- DV: domains (rules section 6)
DOMAIN_AUTH_MAX_AGE_H: Final = 24  # a silent resolver keeps the last good answer this long
DOMAIN_CHECK_MINUTES: Final = 5  # while something is missing
DOMAIN_RECHECK_HOURS: Final = 6  # once everything is right; well inside DOMAIN_AUTH_MAX_AGE_H
DOMAIN_CHECK_MIN_SECONDS: Final = 20  # between two presses of "Check now"
DNS_TIMEOUT_S: Final = 3.0  # of one question to one resolver
DNS_CNAME_MAX: Final = 8  # names followed at most
DOMAINS_MAX: Final = 20  # of one organization
FROM_ADDRESSES_MAX: Final = 50
DKIM_BITS: Final = 2048  # DKIM_MIN_BITS
REPLY_CONFIRM_DAYS: Final = 180  # ID-REPLY-TO
CHALLENGE_BITS: Final = 128

# --- Limits; reliability section 4. (acts, seconds)
SIGNUP_PER_NETWORK: Final = (20, 3600)
SIGNUP_PER_ADDRESS: Final = (3, 86_400)
CODES_PER_ADDRESS: Final = (10, 86_400)  # codes and answers about accounts to one mailbox, whoever asks
LETTERS_PER_ORGANIZATION: Final = (20, 86_400)  # invitations, records, confirmations together
LETTERS_PER_ADDRESS: Final = (3, 86_400)  # across all organizations: nobody is bombed through us
ORGANIZATIONS_PER_PERSON: Final = (10, 86_400)
INVITATION_DAYS: Final = 7
MEMBERS_MAX: Final = 100
CODE_MINUTES: Final = 15  # life of an e-mail code
CODE_TRIES: Final = 3

# --- Documents that are accepted by version
TERMS_VERSION: Final = "1"
DPA_VERSION: Final = "1"

# How people can come to be on a list; codes are stored in CollectionPractice.sources.
COLLECTION_SOURCES: Final = (
    ("own_form", "A form on our own website"),
    ("checkout", "A box, not ticked beforehand, at our checkout"),
    ("paper", "On paper, in our shop or at our own event"),
    ("spoken", "Spoken, in person or by phone, written down by us"),
    ("provider", "Moved from our previous mail provider, with their proof"),
)
