"""Who may be mailed: one reason for each membership, in SQL for planning and counts, and in Python for one person.

Both say the same (a test compares them on generated rows). Not judged here: the do-not-mail list
(compliance.suppression), standing and allowance (accounts). Rules: 1.3, with the decisions of section 9.
"""

from __future__ import annotations

import calendar
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings

from accounts.domain_names import FREEMAIL
from compliance import policy
from compliance.countries import STRICT
from compliance.list_exits import left_sql
from compliance.models.lists import EXPRESS_BASES, ConsentBasis, ListMembership
from compliance.registers import register_sql, state_of

# Bases that say nothing by themselves about who clicked; where the law wants proof, the second step must be on record.
NEEDS_CONFIRMATION: Final = (ConsentBasis.EXPRESS_DOI, ConsentBasis.EXPRESS_SOI, ConsentBasis.EXPRESS_ORAL)
EXPRESS: Final = EXPRESS_BASES
# Where a basis exists at all. "" (unknown) never fits: implied consent is proven for a country or not at all.
BASIS_COUNTRIES: Final[dict[str, frozenset[str]]] = {
    # Where the law was read (rules 1.11); elsewhere in Europe only after counsel has entered the country.
    ConsentBasis.SOFT_OPTIN_EU: frozenset({"DE", "AT", "FR", "IT", "GB"}),
    ConsentBasis.SOFT_OPTIN_UK_CHARITY: frozenset({"GB"}),
    ConsentBasis.CASL_EBR_PURCHASE: frozenset({"CA"}),
    ConsentBasis.CASL_EBR_CONTRACT: frozenset({"CA"}),
    ConsentBasis.CASL_EBR_INQUIRY: frozenset({"CA"}),
    ConsentBasis.CASL_ENBR: frozenset({"CA"}),
    ConsentBasis.B2B_OPTOUT_FR: frozenset({"FR"}),
    ConsentBasis.B2B_CORPORATE_UK: frozenset({"GB"}),
    ConsentBasis.US_CUSTOMER: frozenset({"US"}),
    ConsentBasis.AU_INFERRED: frozenset({"AU"}),
}
# Calendar months after which a basis ends by itself.
BASIS_MONTHS: Final[dict[str, int]] = {
    ConsentBasis.CASL_EBR_PURCHASE: policy.CASL_EBR_MONTHS,
    ConsentBasis.CASL_EBR_CONTRACT: policy.CASL_EBR_MONTHS,
    ConsentBasis.CASL_EBR_INQUIRY: policy.CASL_INQUIRY_MONTHS,
    ConsentBasis.CASL_ENBR: policy.CASL_ENBR_MONTHS,
    ConsentBasis.US_CUSTOMER: policy.US_CUSTOMER_MONTHS,
}
# Days (UTC) before which a basis did not exist in law.
BASIS_SINCE: Final[dict[str, datetime]] = {
    ConsentBasis.SOFT_OPTIN_UK_CHARITY: datetime.fromisoformat(policy.UK_CHARITY_FROM).replace(tzinfo=UTC),
}
# Bases that exist for companies only: a free mailbox is a person's own.
COMPANY_BASES: Final = (ConsentBasis.B2B_OPTOUT_FR, ConsentBasis.B2B_CORPORATE_UK)
# reason -> (short label, what it means and what helps); every page takes its words from here.
WORDS: Final[dict[str, tuple[str, str]]] = {
    "no_basis": (
        "No permission recorded",
        "We do not know how this person agreed. Record how and when, or leave them out.",
    ),
    "basis_not_allowed": (
        "No explicit permission",
        "We send only to people who said yes to marketing mail. A purchase or a business card is not a yes.",
    ),
    "no_attestation": ("No statement for the list", "Upload the list with a signed statement of where it comes from."),
    "no_date": ("No sign-up date", "Without the date of the yes nobody can show that there was one."),
    "basis_wrong_country": (
        "Permission of another country",
        "This kind of permission does not exist where the person lives.",
    ),
    "basis_too_early": (
        "Collected before the law allowed it",
        "This kind of permission counts only for people who gave their address later.",
    ),
    "private_mailbox": (
        "A private mailbox",
        "This kind of permission counts for companies only, and the address is at a free mail service.",
    ),
    "register_missing": (
        "Opt-out register not consulted",
        "The country keeps a list of people who want no advertising. We have no recent copy to compare with.",
    ),
    "on_register": (
        "On the country’s opt-out register",
        "The person asked not to get advertising. Only their own clear yes to you counts more.",
    ),
    "basis_expired": (
        "Permission ran out",
        "The law ends this kind of permission after a time. Ask for a clear yes before it does.",
    ),
    "no_double_optin": (
        "Not confirmed by link",
        "Germany, Austria and unknown countries need a second step: the person confirms by a link in a mail.",
    ),
    "stale": (
        "Too old",
        f"No mail for {policy.IDLE_SKIP_MONTHS} months: people no longer remember that they signed up.",
    ),
    "left_list": (
        "Left this list",
        "They left it on their own page. Only they can come back; an upload changes nothing.",
    ),
    "list_held": ("List waits for our staff", "Our staff looks at the list before it is mailed for the first time."),
    "suppressed": ("On the do-not-mail list", "They unsubscribed, complained, or the mailbox does not exist."),
}
REASONS: Final = tuple(reason for reason in WORDS if reason != "suppressed")


def _quoted(values: Collection[str]) -> str:
    """Return a SQL list of our own codes; they are enum values and country codes, never data."""
    return ", ".join(f"'{value}'" for value in values) or "NULL"


def country_sql(membership: str = "m", contact: str = "c") -> str:
    """Return the SQL expression of the country whose law applies: the person's own, else the upload's, else ''."""
    return f"COALESCE(NULLIF({contact}.country, ''), {membership}.country)"


def mailable_sql(membership: str = "m", contact: str = "c", contact_list: str = "l") -> str:
    """Return a SQL expression: why a membership may not be mailed now, '' when it may. Holds no percent sign.

    The arguments are aliases of compliance_listmembership, compliance_contact and compliance_contactlist.
    """
    m, country = membership, country_sql(membership, contact)
    known = f"GREATEST({m}.consent_at, {m}.confirmed_at)"
    places = "".join(
        f" OR ({m}.basis = '{basis}' AND {country} NOT IN ({_quoted(sorted(codes))}))"
        for basis, codes in BASIS_COUNTRIES.items()
        if basis in _allowed()
    )
    ends = "".join(
        f" OR ({m}.basis = '{basis}' AND {_ends_sql(m, months)} <= now() AT TIME ZONE 'UTC')"
        for basis, months in BASIS_MONTHS.items()
        if basis in _allowed()
    )
    since = "".join(
        f" OR ({m}.basis = '{basis}' AND {m}.consent_at < '{day.isoformat()}')"
        for basis, day in BASIS_SINCE.items()
        if basis in _allowed()
    )
    companies = "".join(
        f" OR ({m}.basis = '{basis}' AND {contact}.domain IN ({_quoted(sorted(FREEMAIL))}))"
        for basis in COMPANY_BASES
        if basis in _allowed()
    )
    registers = "" if set(_allowed()) <= set(EXPRESS) else _registers_sql(m, contact, country)
    return f"""CASE
  WHEN {m}.basis = '' THEN 'no_basis'
  WHEN {m}.basis NOT IN ({_quoted(_allowed())}) THEN 'basis_not_allowed'
  WHEN {m}.attestation_id IS NULL AND {m}.signup_id IS NULL THEN 'no_attestation'
  WHEN {m}.consent_at IS NULL OR {m}.consent_at > now() THEN 'no_date'
  WHEN false{places} THEN 'basis_wrong_country'
  WHEN false{since} THEN 'basis_too_early'
  WHEN false{companies} THEN 'private_mailbox'
  WHEN false{ends} THEN 'basis_expired'{registers}
  WHEN {country} IN ({_quoted(sorted(STRICT))}) AND {m}.basis IN ({_quoted(NEEDS_CONFIRMATION)})
    AND ({m}.confirmed_at IS NULL OR {m}.confirmed_at < {m}.consent_at) THEN 'no_double_optin'
  WHEN GREATEST({known}, {m}.last_contact_at) < now() - interval '{policy.IDLE_SKIP_MONTHS} months' THEN 'stale'
  WHEN {country} = 'FR' AND {known} < now() - interval '{policy.FR_LAST_CONTACT_MONTHS} months' THEN 'stale'
  WHEN {left_sql(m, contact)} THEN 'left_list'
  WHEN {contact_list}.held_at IS NOT NULL OR {contact_list}.closed_at IS NOT NULL THEN 'list_held'
  ELSE '' END"""


def _registers_sql(m: str, contact: str, country: str) -> str:
    """Return the cases of the opt-out registers: two look-ups a person, and only for bases that a register beats."""
    beaten, state = f"{m}.basis NOT IN ({_quoted(EXPRESS)})", register_sql(contact, country)
    return f"""
  WHEN {beaten} AND {state} = 'missing' THEN 'register_missing'
  WHEN {beaten} AND {state} = 'listed' THEN 'on_register'"""


def _ends_sql(m: str, months: int) -> str:
    day = f"date_trunc('day', {m}.consent_at AT TIME ZONE 'UTC')"
    return f"({day} + interval '{months} months' - interval '{policy.CASL_EARLY_H} hours')"


def _allowed() -> list[str]:
    return [basis for basis in settings.ALLOWED_BASES if basis in ConsentBasis.values]


@dataclass(frozen=True)
class Facts:
    """What decides about one membership; `country` is the one whose law applies, "" when unknown."""

    basis: str
    country: str
    consent_at: datetime | None
    confirmed_at: datetime | None = None
    last_contact_at: datetime | None = None
    has_attestation: bool = True  # or a double opt-in on a form of ours
    list_held: bool = False
    domain: str = ""  # of the address
    register: str = ""  # registers.state_of(): "", "missing" or "listed"
    has_left: bool = False  # the person left this list: list_exits


def mailable_reason(facts: Facts, *, now: datetime) -> str:
    """Return why a person may not be mailed at `now`, "" when they may: the same as mailable_sql()."""
    if not facts.basis:
        return "no_basis"
    if facts.basis not in _allowed():
        return "basis_not_allowed"
    if not facts.has_attestation:
        return "no_attestation"
    if facts.consent_at is None or facts.consent_at > now:
        return "no_date"
    if facts.country not in BASIS_COUNTRIES.get(facts.basis, {facts.country}):
        return "basis_wrong_country"
    if facts.basis in BASIS_SINCE and facts.consent_at < BASIS_SINCE[facts.basis]:
        return "basis_too_early"
    if facts.basis in COMPANY_BASES and facts.domain in FREEMAIL:
        return "private_mailbox"
    return _timely_reason(facts, facts.consent_at, now)


def _timely_reason(facts: Facts, consent_at: datetime, now: datetime) -> str:
    """Return why a permission that exists does not count now."""
    if facts.basis in BASIS_MONTHS and basis_end(consent_at, BASIS_MONTHS[facts.basis]) <= now:
        return "basis_expired"
    if facts.basis not in EXPRESS and facts.register:
        return "register_missing" if facts.register == "missing" else "on_register"
    if needs_confirmation(facts.basis, facts.country) and not _is_confirmed(facts):
        return "no_double_optin"
    if _is_stale(facts, now):
        return "stale"
    if facts.has_left:
        return "left_list"
    return "list_held" if facts.list_held else ""


def needs_confirmation(basis: str, country: str) -> bool:
    """Tell whether a yes of this kind counts there only with its second step on record (rules CONSENT-DOI)."""
    return country in STRICT and basis in NEEDS_CONFIRMATION


def _is_confirmed(facts: Facts) -> bool:
    return facts.confirmed_at is not None and facts.consent_at is not None and facts.confirmed_at >= facts.consent_at


def _is_stale(facts: Facts, now: datetime) -> bool:
    """Tell whether a permission has faded; France counts from the person's own last act, not from our mail."""
    known = [moment for moment in (facts.consent_at, facts.confirmed_at) if moment]
    latest = max(known + ([facts.last_contact_at] if facts.last_contact_at else []))
    if latest < months_before(now, policy.IDLE_SKIP_MONTHS):
        return True
    return facts.country == "FR" and max(known) < months_before(now, policy.FR_LAST_CONTACT_MONTHS)


def months_before(moment: datetime, months: int) -> datetime:
    """Return the same time `months` calendar months earlier; the day is cut to the month's last one."""
    return add_months(moment, -months)


def add_months(moment: datetime, months: int) -> datetime:
    """Return the same time `months` calendar months later: 31 August and 6 months is 28 or 29 February."""
    index = moment.year * 12 + moment.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


def basis_end(consent_at: datetime, months: int) -> datetime:
    """Return when a basis that began at `consent_at` (aware, UTC) ends: the anniversary's midnight, hours early.

    Early by CASL_EARLY_H, so that it has ended in no zone of the world before it ends here.
    """
    midnight = consent_at.replace(hour=0, minute=0, second=0, microsecond=0)
    return add_months(midnight, months) - timedelta(hours=policy.CASL_EARLY_H)


def facts_of(membership: ListMembership, *, has_left: bool) -> Facts:
    """Return what decides about a membership (its contact and list are read); `has_left` is list_exits' answer."""
    held = membership.contact_list.held_at is not None or membership.contact_list.closed_at is not None
    country = membership.contact.country or membership.country
    beaten = membership.basis in _allowed() and membership.basis not in EXPRESS
    return Facts(
        basis=membership.basis,
        country=country,
        consent_at=membership.consent_at,
        confirmed_at=membership.confirmed_at,
        last_contact_at=membership.last_contact_at,
        has_attestation=membership.attestation_id is not None or membership.signup_id is not None,
        list_held=held,
        domain=membership.contact.domain,
        register=state_of(membership.contact, country) if beaten else "",
        has_left=has_left,
    )
