"""Sign-up forms: a request, a mail, a confirmation (double opt-in). Both steps, the words and the mail are kept.

Nothing here says whether an address is known: an accepted request gets the same answer always. Against list bombing:
one mail an address and list in SIGNUP_AGAIN_D days, SIGNUP_MAILS_PER_ADDRESS a day over all customers, proof of work
or a lower limit for each network, and no mail to who stands on the platform's do-not-mail list.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import standing
from compliance import consent_events, list_exits, lists, policy, suppression, tracking_consent
from compliance.consent_events import Kind
from compliance.countries import assumed
from compliance.errors import ComplianceError
from compliance.models import ConsentEvent, Contact, ContactList, ListMembership, Signup, SignupForm
from compliance.models.lists import ConsentBasis
from compliance.people import Person, accepted, get_or_create
from sendserver.lib import clock
from sendserver.lib.addresses import Address, parse, suppression_hash, suppression_hashes
from sendserver.lib.ratelimit import allow
from sendserver.lib.tokens import Purpose, open_token, seal

HOUR, DAY = 3600, 86_400  # seconds
FRESH: Final = 3600  # seconds that a challenge is good for
_SALT: Final = "compliance.signups"


class TooManySignupsError(ComplianceError):
    """Too many from one network or for one form; says nothing about any address."""


@dataclass(frozen=True)
class Asked:
    """What a visitor sent: the address, the network it came from, a solved challenge ("" for the slower path).

    Names and the tick for counting are taken only where the form asks for them.
    """

    address: str
    network: str
    challenge: str = ""
    nonce: str = ""
    first_name: str = ""
    last_name: str = ""
    may_count: bool = False


def takes_signups(form: SignupForm) -> bool:
    """Tell whether the form is open, its list too, and its sender in good standing."""
    return form.is_open and form.contact_list.closed_at is None and standing.may_send(form.organization)


def challenge(form: SignupForm) -> str:
    """Return a task for the visitor's browser: find a nonce so that SHA-256(task + nonce) begins with zero bits."""
    return signing.dumps([str(form.uid), secrets.token_hex(8)], salt=_SALT)  # each visitor gets another one


def is_solved(form: SignupForm, task: str, nonce: str) -> bool:
    """Tell whether the work was done for this form, of late, and not used before."""
    try:
        if signing.loads(task, salt=_SALT, max_age=FRESH)[0] != str(form.uid):
            return False
    except signing.BadSignature:
        return False
    digest = hashlib.sha256(f"{task}{nonce[:32]}".encode()).digest()
    zeros = int.from_bytes(digest) >> (256 - policy.SIGNUP_WORK_BITS) == 0
    return zeros and allow("signup-task", task, limit=1, seconds=FRESH)


def ask(form: SignupForm, asked: Asked) -> None:
    """Take a request; mail goes out where it may, and the caller answers the same either way.

    PersonRefusedError for what is no address, TooManySignupsError for a full limit of the network or the form.
    """
    address = accepted(asked.address, ConsentBasis.EXPRESS_DOI)
    worked = bool(asked.challenge) and is_solved(form, asked.challenge, asked.nonce)
    _limit(form, asked.network, worked=worked)
    if _may_mail(form, address):
        _write(form, address, asked, worked=worked)


def _limit(form: SignupForm, network: str, *, worked: bool) -> None:
    most = policy.SIGNUPS_PER_NETWORK if worked else policy.SIGNUPS_PER_NETWORK_SLOW
    within = allow(f"signup-net-{'work' if worked else 'slow'}", network, limit=most, seconds=HOUR)
    if within and not worked:
        within = allow("signup-form-slow", str(form.uid), limit=policy.SIGNUPS_PER_FORM_SLOW, seconds=HOUR)
    if not within:
        raise TooManySignupsError("Too many sign-ups came from here just now. Try again in an hour.")


def _may_mail(form: SignupForm, address: Address) -> bool:
    """Tell whether a confirmation may go to the address; every reason against it stays unsaid."""
    if suppression.live(None).filter(address_hash__in=suppression_hashes(address.key)).exists():
        return False
    since = clock.now() - timedelta(days=policy.SIGNUP_AGAIN_D)
    before = Signup.objects.filter(form=form, address_hash__in=suppression_hashes(address.key), asked_at__gt=since)
    if before.exists():
        return False
    key = f"{form.pk}:{address.key}"
    return allow("signup-list", key, limit=1, seconds=policy.SIGNUP_AGAIN_D * DAY) and allow(
        "signup-to", address.key, limit=policy.SIGNUP_MAILS_PER_ADDRESS, seconds=DAY
    )


@transaction.atomic
def _write(form: SignupForm, address: Address, asked: Asked, *, worked: bool) -> None:
    ticked = form.asks_tracking and asked.may_count
    row = Signup.objects.create(
        form=form,
        organization=form.organization,
        address=address.original,
        address_hash=suppression_hash(address.key),
        wording=form.wording,
        asked_at=clock.now(),
        asked_from=asked.network,
        first_name=asked.first_name[:120] if form.asks_names else "",
        last_name=asked.last_name[:120] if form.asks_names else "",
        tracking_wording=tracking_consent.recorded(form.organization.name)[:600] if ticked else "",
        worked=worked,
        mail="",
    )
    subject = f"Please confirm: {form.title}"
    url = settings.BASE_URL + reverse("signup_confirm", args=[seal(Purpose.SIGNUP, row.pk)])
    context = {
        "form": form,
        "days": policy.SIGNUP_CONFIRM_D,
        "asked_at": row.asked_at,
        "counting": tracking_consent.plain(row.tracking_wording),
    }
    text = render_to_string("emails/signup_confirm.txt", {**context, "url": url})
    Signup.objects.filter(pk=row.pk).update(mail=f"{subject}\n\n{text.replace(url, '[link]')}")
    EmailMessage(subject, text, to=[address.original]).send()


def pending(token: str) -> Signup | None:
    """Return the sign-up behind a link, confirmed or not; None when it is not ours, too old, or closed by now."""
    pk = open_token(Purpose.SIGNUP, token)
    row = Signup.objects.select_related("form__contact_list", "form__organization").filter(pk=pk or 0).first()
    if row is None or (row.confirmed_at is None and not takes_signups(row.form)):
        return None
    oldest = clock.now() - timedelta(days=policy.SIGNUP_CONFIRM_D)
    return row if row.confirmed_at is not None or row.asked_at > oldest else None


@transaction.atomic
def confirm(row: Signup, *, network: str, without_counting: bool = False) -> bool:
    """Put the person on the list with both steps on record; tell whether this call did (twice is the same as once).

    The tick for counting counts only with the mail's link too, and `without_counting` leaves it out.
    """
    now = clock.now()
    if not Signup.objects.filter(pk=row.pk, confirmed_at=None).update(confirmed_at=now, confirmed_from=network):
        return False
    row.confirmed_at, row.confirmed_from = now, network
    address = parse(row.address)
    assert isinstance(address, Address)  # (it was accepted when they asked)
    contact = get_or_create(row.organization, address, Person(row.address, row.first_name, row.last_name))
    yes = {
        "basis": ConsentBasis.EXPRESS_DOI,
        "consent_at": row.asked_at,
        "confirmed_at": now,
        "source": f"Sign-up form: {row.form.title}"[:200],
        "signup": row,
    }
    country = {"country": assumed(address.domain, "")}
    _, is_new = ListMembership.objects.update_or_create(
        contact_list=row.form.contact_list, contact=contact, defaults=yes, create_defaults={**yes, **country}
    )
    if is_new:
        lists.step(row.form.contact_list, 1)
    list_exits.come_back(row.form.contact_list, address.key)
    suppression.lift_by_optin(_record(row, contact, now))
    if row.tracking_wording and not without_counting:
        place = f"Sign-up form: {row.form.title}"
        around = consent_events.Circumstances(source=place, wording=row.tracking_wording, network=network)
        tracking_consent.give(contact, at=now, around=around)
    return True


def _record(row: Signup, contact: Contact, now: datetime) -> ConsentEvent:
    """Chain both steps and return the second. Before it nobody has agreed to anything, so the first waits for it."""
    found = row.form.contact_list
    place = f"Sign-up form: {row.form.title}"
    asked = consent_events.record(
        contact,
        consent_events.Step(Kind.REQUESTED, row.asked_at, found, ConsentBasis.EXPRESS_DOI),
        consent_events.Circumstances(source=place, wording=row.wording, mail=row.mail, network=row.asked_from),
    )
    return consent_events.record(
        contact,
        consent_events.Step(Kind.CONFIRMED, now, found, ConsentBasis.EXPRESS_DOI, request_uid=asked.uid),
        consent_events.Circumstances(source=place, wording=row.wording, network=row.confirmed_from),
    )


def form_of(contact_list: ContactList) -> SignupForm | None:
    """Return the list's form, or None."""
    return SignupForm.objects.filter(contact_list=contact_list).first()
