"""The demo story: told once, through the functions that the pages call, so that every figure in it is earned.

A chapter that was told is not told again, so an interrupted story goes on where it stopped. People who react to the
mail do so later, when the portal runs.
"""

from __future__ import annotations

from collections.abc import Callable

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction

from accounts import documents, domains, organizations, senders, verification, watching
from accounts.models import (
    BusinessProfile,
    CollectionPractice,
    FromAddress,
    Membership,
    Organization,
    Role,
    SendingDomain,
    User,
    Verification,
    VerificationState,
)
from accounts.verification import Answer, Ruling
from sendserver.local import demo_people as cast
from sendserver.local import demo_sending, publishing
from sendserver.local.demo_people import Actor
from sendserver.local.demo_secrets import Credentials, credentials

LARKFIELD, HOLLIN, FERNSIDE, SALTMARSH = (
    "Larkfield Garden Co.",
    "Hollin Hill Pottery",
    "Fernside Choir",
    "Saltmarsh Cycles",
)
ALLOWANCE = 500  # messages a day: the first one, as every customer gets it


def everybody() -> dict[str, Credentials]:
    """Return the credentials of all demo people."""
    return credentials(settings.VAR_DIR, [actor.key for actor in (*cast.CUSTOMERS, *cast.STAFF)])


def tell(say: Callable[[str], None] = print) -> None:
    """Tell every chapter that was not told yet; `say` gets one line a chapter."""
    for title, chapter in CHAPTERS:
        say(title)
        chapter()


# --- People


def staff() -> None:
    """Let two people work at the desk, each with an authenticator app."""
    for actor, group, is_admin in ((cast.MONA, "Moderators", False), (cast.IDA, "Administrators", True)):
        user = person(actor, is_staff=True, is_superuser=is_admin)
        found = Group.objects.filter(name=group).first()
        if found:
            user.groups.add(found)


def person(actor: Actor, **fields: bool) -> User:
    """Return a person with a confirmed address, made once."""
    user = User.objects.filter(email=actor.email).first()
    return user or _make_person(actor, **fields)


@transaction.atomic
def _make_person(actor: Actor, **fields: bool) -> User:
    own = everybody()[actor.key]
    user = User.objects.create_user(actor.email, own.password, name=actor.name, **fields)
    EmailAddress.objects.create(user=user, email=actor.email, verified=True, primary=True)
    if actor.has_app and not Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists():
        TOTP.activate(user, own.totp_secret)
    return user


# --- Organizations


def found(name: str, actor: Actor) -> Organization:
    """Return an organization with its owner, founded once, documents accepted."""
    known = Organization.objects.filter(name=name, memberships__user__email=actor.email).first()
    if known:
        return known
    owner = person(actor)
    with transaction.atomic():
        made = organizations.found(name, owner, time_zone="Europe/London")
        documents.accept(owner, made)
    return made


def fill_in(organization: Organization, actor: Actor, form: str, register: str, town: str) -> None:
    """Fill in the business profile and how addresses are collected."""
    host = actor.email.partition("@")[2]
    BusinessProfile.objects.get_or_create(
        organization=organization,
        defaults={
            "legal_name": f"{organization.name.removesuffix(' Co.')} Ltd"
            if form.startswith("Private")
            else organization.name,
            "legal_form": form,
            "register_name": "Companies House" if register else "",
            "register_number": register,
            "country": "GB",
            "street": "4 Mill Lane",
            "postal_code": "EX4 4PL",
            "city": town,
            "responsible_person": actor.name,
            "contact_email": f"hello@{host}",
            "website": f"https://{host}/",
        },
    )
    CollectionPractice.objects.get_or_create(
        organization=organization,
        defaults={
            "sources": ["own_form"],
            "page_url": f"https://{host}/newsletter",
            "wording": f"Yes, send me the {organization.name} newsletter about once a week. I can stop it at any time.",
            "topics": "News and offers of our own",
            "monthly_volume": 2000,
            "no_bought_lists": True,
        },
    )


def prove(organization: Organization, name: str, actor: Actor) -> SendingDomain:
    """Add a sending domain, publish its records and let the portal check them."""
    domain = SendingDomain.objects.for_org(organization).filter(name=name, removed_at=None).first()
    if domain is None:
        domain = domains.add(organization, name, actor=person(actor))
    if domain.verified_at is None:
        publishing.publish(name)
        watching.watch(domain)
        domain.refresh_from_db()
    return domain


def write_from(domain: SendingDomain, name: str, actor: Actor) -> FromAddress:
    """Return the From address news@, confirmed."""
    sender = domain.from_addresses.filter(local_part="news", removed_at=None).first()
    if sender is None:
        reply_to = f"hello@{actor.email.partition('@')[2]}"
        sender = senders.add(domain, display_name=name, local_part="news", reply_to=reply_to, actor=person(actor))
    if sender.confirmed_at is None:
        senders.confirm(sender)
    return sender


def larkfield() -> None:
    """A customer in good standing: every task done, approved by staff."""
    organization = found(LARKFIELD, cast.NINA)
    verification.begin(organization)
    Membership.objects.get_or_create(organization=organization, user=person(cast.TOM), defaults={"role": Role.EDITOR})
    fill_in(organization, cast.NINA, "Private limited company", "00000001", "Exampleton")
    domain = prove(organization, "mail.larkfield.example", cast.NINA)
    write_from(domain, LARKFIELD, cast.NINA)
    _approve(organization, "Register entry, website and sign-up page agree. Welcome.")


def fernside() -> None:
    """A second customer, where Nina may look and not write."""
    organization = found(FERNSIDE, cast.EDDA)
    verification.begin(organization)
    Membership.objects.get_or_create(organization=organization, user=person(cast.NINA), defaults={"role": Role.VIEWER})
    fill_in(organization, cast.EDDA, "Association", "", "Fernside")
    domain = prove(organization, "fernside.example", cast.EDDA)
    write_from(domain, FERNSIDE, cast.EDDA)
    _approve(organization, "A choir with its own members. Welcome.")


def _approve(organization: Organization, reason: str) -> None:
    review = Verification.objects.for_org(organization).filter(state=VerificationState.SUBMITTED).first()
    if review:
        verification.decide(review, Ruling(Answer.APPROVE, reason, ALLOWANCE), actor=person(cast.MONA))


def hollin() -> None:
    """Somebody who has just signed up: everything is still to do."""
    verification.begin(found(HOLLIN, cast.MARA))


def saltmarsh() -> None:
    """Somebody who has done his part and waits for staff."""
    organization = found(SALTMARSH, cast.JOE)
    verification.begin(organization)
    fill_in(organization, cast.JOE, "Private limited company", "00000002", "Saltmarsh")
    domain = prove(organization, "saltmarsh.example", cast.JOE)
    write_from(domain, SALTMARSH, cast.JOE)


def sending() -> None:
    """Larkfield uploads, signs, sends, schedules and drafts; somebody reports the mail."""
    organization = Organization.objects.get(name=LARKFIELD, memberships__user__email=cast.NINA.email)
    demo_sending.tell(organization, person(cast.NINA))


CHAPTERS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("Two people work at the desk", staff),
    (f"{LARKFIELD} proves who it is and is approved", larkfield),
    (f"{FERNSIDE} too; Nina is a viewer there", fernside),
    (f"{HOLLIN} signs up", hollin),
    (f"{SALTMARSH} waits for staff", saltmarsh),
    (f"{LARKFIELD} uploads a list and sends", sending),
)
