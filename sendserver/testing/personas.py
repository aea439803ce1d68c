"""People that tests act as: Alice owns Larkfield, Bob manages, Eve edits, Victor views; Mallory owns another tenant."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.test import Client
from django.utils import timezone

from accounts import documents
from accounts.models import Membership, Organization, Role, Standing, TermsAcceptance, User


@dataclass
class Persona:
    """A person with a signed-in client."""

    user: User
    client: Client


def make_user(name: str, email: str, *, staff: bool = False, superuser: bool = False) -> User:
    """Return a person with a confirmed address."""
    from allauth.account.models import EmailAddress

    user = User.objects.create_user(email, "correct horse battery", name=name, is_staff=staff, is_superuser=superuser)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user


def sign_in(user: User) -> Client:
    """Return a client signed in as `user`, as after a password and, for staff, a second factor."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session["account_authentication_methods"] = [
        {"method": "password", "at": timezone.now().timestamp(), "email": user.email, "reauthenticated": True}
    ]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return client


def use_second_factor(client: Client, *, seconds_ago: float = 0) -> None:
    """Write into the session what a TOTP code entered `seconds_ago` leaves behind."""
    session = client.session
    record = {"method": "mfa", "type": "totp", "id": 1, "at": timezone.now().timestamp() - seconds_ago}
    session["account_authentication_methods"] = [*session["account_authentication_methods"], record]
    session.save()


def make_organization(name: str, *, standing: str = Standing.GOOD, allowance: int = 500) -> Organization:
    """Return an organization with that standing."""
    return Organization.objects.create(name=name, standing=standing, daily_allowance=allowance)


def accept_documents(user: User, organization: Organization) -> None:
    """Leave what sign-up leaves: the documents in force, accepted for the organization."""
    TermsAcceptance.objects.bulk_create(
        TermsAcceptance(
            user=user, organization=organization, document=document, version=version, accepted_at=timezone.now()
        )
        for document, version in documents.current().items()
    )


def join(organization: Organization, name: str, role: str) -> Persona:
    """Return a new member of `organization`."""
    host = organization.name.split()[0].lower()
    user = make_user(name, f"{name.lower()}@{host}.example")
    Membership.objects.create(organization=organization, user=user, role=role)
    accept_documents(user, organization)
    return Persona(user, sign_in(user))


@pytest.fixture
def larkfield(db: None) -> Organization:
    """Return a verified organization in good standing."""
    return make_organization("Larkfield Garden Co.")


@pytest.fixture
def alice(larkfield: Organization) -> Persona:
    """Return the owner of Larkfield."""
    return join(larkfield, "Alice", Role.OWNER)


@pytest.fixture
def bob(larkfield: Organization) -> Persona:
    """Return a manager of Larkfield."""
    return join(larkfield, "Bob", Role.MANAGER)


@pytest.fixture
def eve(larkfield: Organization) -> Persona:
    """Return an editor of Larkfield."""
    return join(larkfield, "Eve", Role.EDITOR)


@pytest.fixture
def victor(larkfield: Organization) -> Persona:
    """Return a viewer of Larkfield."""
    return join(larkfield, "Victor", Role.VIEWER)


@pytest.fixture
def hollin(db: None) -> Organization:
    """Return another tenant."""
    return make_organization("Hollin Hill Pottery")


@pytest.fixture
def mallory(hollin: Organization) -> Persona:
    """Return the owner of the other tenant."""
    return join(hollin, "Mallory", Role.OWNER)


def _staff(name: str, *, superuser: bool) -> Persona:
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    user = make_user(name, f"{name.lower()}@staff.example", staff=True, superuser=superuser)
    TOTP.activate(user, generate_totp_secret())
    return Persona(user, sign_in(user))


@pytest.fixture
def moderator(db: None) -> Persona:
    """Return a staff member of the moderators' group, with a second factor."""
    from django.contrib.auth.models import Group

    persona = _staff("Mona", superuser=False)
    group = Group.objects.filter(name="Moderators").first()
    if group:
        persona.user.groups.add(group)
    return persona


@pytest.fixture
def administrator(db: None) -> Persona:
    """Return an administrator with a second factor."""
    return _staff("Admin", superuser=True)
