"""Organizations: founded, renamed, closed; members' roles; always an owner."""

from __future__ import annotations

from django.db import transaction

from accounts import audit
from accounts.errors import AccountsError, LastOwnerError
from accounts.models import Membership, Organization, Role, User
from sendserver.lib import clock


def found(name: str, owner: User, *, time_zone: str = "UTC") -> Organization:
    """Return a new, unverified organization with its owner."""
    with transaction.atomic():
        organization = Organization.objects.create(name=name.strip(), time_zone=time_zone)
        Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
        _log("organization.founded", organization, owner)
    return organization


def close(organization: Organization, *, actor: User, reason: str) -> None:
    """Close the organization: its pages shut and nothing leaves any more.

    Unsubscribe links, reports and evidence stay (rules UNSUB-LINK-LIFE), so nothing is deleted here.
    """
    with transaction.atomic():
        at = clock.now()
        closed = Organization.objects.filter(pk=organization.pk, closed_at=None).update(closed_at=at)
        if not closed:
            return
        organization.invitations.filter(accepted_at=None, revoked_at=None).update(revoked_at=at)
        _log("organization.closed", organization, actor, reason=reason)
    organization.closed_at = at


def change_role(member: Membership, role: str, *, actor: User) -> None:
    """Give a member another role; raises LastOwnerError for the last owner."""
    if role not in Role.values:
        raise AccountsError("Choose one of the roles.")
    with transaction.atomic():
        _lock(member.organization)
        before = Membership.objects.values_list("role", flat=True).get(pk=member.pk)
        if before == Role.OWNER and role != Role.OWNER:
            _keep_an_owner(member)
        Membership.objects.filter(pk=member.pk).update(role=role)
        _log("member.role", member.organization, actor, member.user, detail={"from": before, "to": role})
    member.role = role


def transfer(organization: Organization, *, giver: Membership, taker: Membership) -> None:
    """Make `taker` the owner and `giver` a manager, both or neither."""
    if giver.role != Role.OWNER or taker.organization_id != giver.organization_id or taker.pk == giver.pk:
        raise AccountsError("Choose another member of this organization.")
    with transaction.atomic():
        change_role(taker, Role.OWNER, actor=giver.user)
        change_role(giver, Role.MANAGER, actor=giver.user)
        _log("organization.transferred", organization, giver.user, taker.user)


def remove(member: Membership, *, actor: User) -> None:
    """End a membership, by leaving or by being removed; raises LastOwnerError for the last owner."""
    with transaction.atomic():
        _lock(member.organization)
        if member.role == Role.OWNER:
            _keep_an_owner(member)
        action = "member.left" if actor.pk == member.user_id else "member.removed"
        _log(action, member.organization, actor, member.user)
        member.delete()


def _lock(organization: Organization) -> None:
    """Let two owners who leave at the same moment leave one after the other."""
    Organization.objects.select_for_update().get(pk=organization.pk)


def _keep_an_owner(member: Membership) -> None:
    others = Membership.objects.filter(organization=member.organization, role=Role.OWNER, user__is_active=True)
    if not others.exclude(pk=member.pk).exists():
        raise LastOwnerError("This is the last owner. Name another owner first.")


def _log(  # noqa: PLR0913 (one row)
    action: str,
    organization: Organization,
    actor: User,
    person: User | None = None,
    *,
    reason: str = "",
    detail: dict[str, str] | None = None,
) -> None:
    subject = f"user:{person.uid}" if person else f"organization:{organization.uid}"
    audit.record(action, actor=actor, organization=organization, subject=subject, reason=reason, detail=detail)
