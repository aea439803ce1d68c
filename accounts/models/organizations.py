"""Organizations (the tenants), their members and invitations."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from accounts.tenancy import OrgQuerySet


class Standing(models.TextChoices):
    """May it send: lifted once by verification, moved afterwards only by a named person's decision."""

    UNVERIFIED = "unverified", "not verified"
    GOOD = "good", "good"
    WARNED = "warned", "warned"
    SUSPENDED = "suspended", "suspended"
    BLOCKED = "blocked", "blocked"


class Role(models.TextChoices):
    """What a member may do; the rights behind each stand in accounts.access."""

    OWNER = "owner", "Owner"
    MANAGER = "manager", "Manager"
    EDITOR = "editor", "Editor"
    VIEWER = "viewer", "Viewer"


class Organization(models.Model):
    """A tenant. `standing` and `daily_allowance` are moved by accounts.standing and accounts.allowance only."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120)
    # What a verified sender wants to be called; staff read it first.
    wanted_name = models.CharField(max_length=120, blank=True, default="", db_default="")
    time_zone = models.CharField(max_length=64, default="UTC")
    standing = models.CharField(max_length=12, choices=Standing.choices, default=Standing.UNVERIFIED)
    standing_since = models.DateTimeField(auto_now_add=True)
    daily_allowance = models.PositiveIntegerField(default=0)  # messages a day, UTC
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(standing__in=Standing.values), name="organization_standing_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def initials(self) -> str:
        """Return up to two letters for the badge."""
        return "".join(word[0] for word in self.name.split()[:2]).upper() or "?"


class Membership(models.Model):
    """A person in an organization."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role.choices)
    notify_digest = models.BooleanField(default=True)
    notify_urgent = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OrgQuerySet["Membership"].as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization} as {self.role}"


class Invitation(models.Model):
    """An offer to join, redeemed by the token of its id and by the invited address only."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="invitations")
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=8, choices=Role.choices)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = OrgQuerySet["Invitation"].as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "organization",
                Lower("email"),
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_open_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.organization}"
