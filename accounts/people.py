"""Who in an organization hears of something."""

from __future__ import annotations

from accounts.models import Organization, Role, User


def members_to_notify(organization: Organization, *, urgent: bool) -> list[User]:
    """Return the people who want notices of this kind, owners first; an urgent one always reaches an owner.

    Urgent: pauses, suspension, broken DNS, decisions. The rest is for the digest.
    """
    wish = "notify_urgent" if urgent else "notify_digest"
    members = organization.memberships.filter(user__is_active=True).select_related("user").order_by("created_at", "pk")
    wanted = [member for member in members if getattr(member, wish)]
    if urgent and not any(member.role == Role.OWNER for member in wanted):
        wanted += [member for member in members if member.role == Role.OWNER]
    wanted.sort(key=lambda member: member.role != Role.OWNER)
    return [member.user for member in wanted]


def owners(organization: Organization) -> list[User]:
    """Return the owners, the longest-standing first."""
    found = organization.memberships.filter(role=Role.OWNER).select_related("user").order_by("created_at", "pk")
    return [member.user for member in found]
