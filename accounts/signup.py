"""What sign-up leaves behind: the person's name, an organization, and the documents accepted by version."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest

from accounts import documents, invitations, organizations, policy
from accounts.models import User
from sendserver.lib import ratelimit
from sendserver.lib.clientip import client_ip, prefix

INVITATION_KEY = "invitation"  # in the session, while somebody signs up to follow one


def network_has_room(request: HttpRequest) -> bool:
    """Count a sign-up from the visitor's network and tell whether it is within the limit."""
    limit, seconds = policy.SIGNUP_PER_NETWORK
    return ratelimit.allow("signup-net", prefix(client_ip(request)), limit=limit, seconds=seconds)


def address_has_room(email: str) -> bool:
    """Count a code that sign-up or a changed address sends to a mailbox, whoever asked for it."""
    limit, seconds = policy.SIGNUP_PER_ADDRESS
    return ratelimit.allow("signup-to", email.lower(), limit=limit, seconds=seconds)


def is_invited(request: HttpRequest) -> bool:
    """Tell whether the visitor came by an invitation that can still be accepted."""
    token = request.session.get(INVITATION_KEY, "")
    return bool(token) and invitations.from_token(token) is not None


def complete(request: HttpRequest, user: User, *, name: str, organization: str | None) -> None:
    """Keep the name, found the organization unless the person was invited to one, and record what was accepted."""
    with transaction.atomic():
        user.name = name
        user.save(update_fields=["name"])
        founded = organizations.found(organization, user) if organization else None
        documents.accept(user, founded)
