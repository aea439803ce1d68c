"""Invitations: offered to one address, redeemed by that address only, with limits across all organizations."""

from __future__ import annotations

from datetime import timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse

from accounts import audit, limits, notices, policy
from accounts.errors import InvitationRefusedError
from accounts.models import Invitation, Membership, Organization, Role, User
from sendserver.lib import clock, tokens
from sendserver.lib.addresses import BadAddress, parse

INVITABLE = (Role.MANAGER, Role.EDITOR, Role.VIEWER)


def invite(organization: Organization, *, email: str, role: str, actor: User) -> Invitation:
    """Return a new invitation after mailing it; one that is open for the same address is replaced.

    The letter carries no words of the inviter, so that nobody can send a message of their own through us.
    """
    address = parse(email)
    if isinstance(address, BadAddress):
        raise InvitationRefusedError("Enter an e-mail address like name@example.com")
    if role not in INVITABLE:
        raise InvitationRefusedError("Choose one of the roles.")
    key = str(address.key)
    _refuse_members(organization, key)
    limits.count_letter(organization, key)
    with transaction.atomic():
        open_ones(organization).filter(email__iexact=key).update(revoked_at=clock.now())
        invitation = _create(organization, key, role, actor)
        audit.record(
            "invitation.sent",
            actor=actor,
            organization=organization,
            subject=f"invitation:{invitation.uid}",
            detail={"role": role},
        )
        transaction.on_commit(lambda: _mail(invitation))
    return invitation


def _create(organization: Organization, email: str, role: str, actor: User) -> Invitation:
    return Invitation.objects.create(
        organization=organization,
        email=email,
        role=role,
        invited_by=actor,
        expires_at=clock.now() + timedelta(days=policy.INVITATION_DAYS),
    )


def _refuse_members(organization: Organization, email: str) -> None:
    members = Membership.objects.for_org(organization)
    if members.filter(user__email__iexact=email).exists():
        raise InvitationRefusedError("This person is in the team already.")
    if members.count() >= policy.MEMBERS_MAX:
        raise InvitationRefusedError(f"A team has at most {policy.MEMBERS_MAX} people.")


def _mail(invitation: Invitation) -> None:
    context = {
        "invitation": invitation,
        "organization": invitation.organization,
        "days": policy.INVITATION_DAYS,
        "url": settings.BASE_URL + reverse("invite_accept", args=[token_of(invitation)]),
    }
    subject = f"Invitation to join {invitation.organization.name}"
    notices.send_notice([invitation.email], subject=subject, template="emails/invitation.txt", context=context)


def token_of(invitation: Invitation) -> str:
    """Return the signed token of the link."""
    return tokens.seal(tokens.Purpose.INVITATION, invitation.pk)


def from_token(token: str) -> Invitation | None:
    """Return the open invitation behind a link, or None: unknown, used, withdrawn, ended, or closed."""
    number = tokens.open_token(tokens.Purpose.INVITATION, token)
    if number is None:
        return None
    rows = Invitation.objects.filter(accepted_at=None, revoked_at=None, expires_at__gt=clock.now())
    return rows.filter(pk=number, organization__closed_at=None).select_related("organization", "invited_by").first()


def is_for(invitation: Invitation, user: User) -> bool:
    """Tell whether the person has confirmed the invited address."""
    return EmailAddress.objects.filter(user=user, verified=True, email__iexact=invitation.email).exists()


def accept(invitation: Invitation, user: User) -> Membership:
    """Return the new membership; raises InvitationRefusedError for anyone but the invited address."""
    if not is_for(invitation, user):
        raise InvitationRefusedError("This invitation is for another e-mail address.")
    with transaction.atomic():
        taken = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
        if not taken.filter(expires_at__gt=clock.now()).update(accepted_at=clock.now()):
            raise InvitationRefusedError("This invitation was used or withdrawn.")
        member, _ = Membership.objects.get_or_create(
            organization=invitation.organization, user=user, defaults={"role": invitation.role}
        )
        audit.record(
            "invitation.accepted",
            actor=user,
            organization=invitation.organization,
            subject=f"invitation:{invitation.uid}",
            detail={"role": member.role},
        )
    return member


def withdraw(invitation: Invitation, *, actor: User) -> None:
    """End an open invitation."""
    with transaction.atomic():
        rows = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
        if rows.update(revoked_at=clock.now()):
            audit.record(
                "invitation.withdrawn",
                actor=actor,
                organization=invitation.organization,
                subject=f"invitation:{invitation.uid}",
            )


def open_ones(organization: Organization) -> QuerySet[Invitation]:
    """Return the invitations that can still be accepted or have only run out."""
    rows = Invitation.objects.for_org(organization).filter(accepted_at=None, revoked_at=None)
    return rows.select_related("invited_by").order_by("-created_at")
