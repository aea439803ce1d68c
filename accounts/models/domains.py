"""Sending domains, what DNS answered, signing keys and From addresses."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models.functions import Cast, Substr

from accounts.models.organizations import Organization
from accounts.tenancy import OrgQuerySet


class SendingDomain(models.Model):
    """A domain an organization proves to be its own; rules section 6."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="domains")
    name = models.CharField(max_length=253)  # A-labels, lower case
    challenge = models.CharField(max_length=40)  # value behind portal-verify=
    created_at = models.DateTimeField(auto_now_add=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)  # first time all records were right
    last_good_at = models.DateTimeField(null=True, blank=True)  # a silent resolver keeps it good for 24 h
    removed_at = models.DateTimeField(null=True, blank=True)
    # The registered label with look-alike signs written alike (accounts.lookalikes), and what the name resembles.
    skeleton = models.CharField(max_length=253, blank=True, default="", db_default="")
    resembles = models.CharField(max_length=253, blank=True, default="", db_default="")  # for staff only
    cleared_at = models.DateTimeField(null=True, blank=True)  # staff read the resemblance and let it pass

    objects = OrgQuerySet["SendingDomain"].as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["skeleton"], name="domain_by_skeleton")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                condition=models.Q(removed_at=None),
                name="domain_once_per_organization",
            ),
            # A name proven by one organization is not proven by a second.
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(removed_at=None, verified_at__isnull=False),
                name="domain_proven_once",
            ),
            # The first eight digits of the uid name the domain's keys in our own zone.
            models.UniqueConstraint(Substr(Cast("uid", models.TextField()), 1, 8), name="domain_key_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def waits_for_staff(self) -> bool:
        """Tell whether the name resembles another one and nobody of staff has read that yet."""
        return bool(self.resembles) and self.cleared_at is None

    @property
    def key8(self) -> str:
        """Return the label under which our zone publishes this domain's keys."""
        return self.uid.hex[:8]


class DomainRecord(models.Model):
    """The latest answer for one wanted record."""

    class Kind(models.TextChoices):
        OWNERSHIP = "ownership", "Ownership"
        DKIM1 = "dkim1", "Signature, first key"
        DKIM2 = "dkim2", "Signature, second key"
        RETURN_PATH = "return_path", "Return path"
        DMARC = "dmarc", "DMARC"
        MX = "mx", "Receives mail"

    domain = models.ForeignKey(SendingDomain, models.CASCADE, related_name="records")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    host = models.CharField(max_length=300)
    record_type = models.CharField(max_length=8)
    wanted = models.TextField()
    found = models.JSONField(default=list)  # list of strings as answered
    ok = models.BooleanField(default=False)
    temporary = models.BooleanField(default=False)  # resolver silent: neither right nor wrong
    code = models.CharField(max_length=24, blank=True)  # rules section 6, such as DKIM-MISSING
    message = models.CharField(max_length=400, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["domain", "kind"], name="domain_record_once")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.domain}"


class DkimKey(models.Model):
    """A signing key of a domain; the private half is sealed with FIELD_KEYS and read once per campaign."""

    domain = models.ForeignKey(SendingDomain, models.CASCADE, related_name="keys")
    selector = models.CharField(max_length=20)  # p1 or p2
    private_sealed = models.TextField()
    public_b64 = models.TextField()  # DER SubjectPublicKeyInfo, the p= value
    active = models.BooleanField(default=False)  # signs now
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["domain", "selector"], name="dkim_selector_once"),
            models.UniqueConstraint(fields=["domain"], condition=models.Q(active=True), name="dkim_one_active"),
        ]

    def __str__(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


class PlatformKey(models.Model):
    """A key the platform itself signs with; private half sealed, one active at a time."""

    selector = models.CharField(max_length=20, unique=True)
    private_sealed = models.TextField()
    public_b64 = models.TextField()
    active = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["active"], condition=models.Q(active=True), name="platform_key_one_active")
        ]

    def __str__(self) -> str:
        return f"{self.selector}._domainkey"


class FromAddress(models.Model):
    """A sender address at a proven domain; also the mailbox that answers (rules ID-FROM-TRUTH, ID-REPLY-TO)."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="from_addresses")
    domain = models.ForeignKey(SendingDomain, models.CASCADE, related_name="from_addresses")
    display_name = models.CharField(max_length=78)
    local_part = models.CharField(max_length=64)
    reply_to = models.EmailField(max_length=254, blank=True)  # empty: answers go to the address itself
    confirmed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True, blank=True)

    objects = OrgQuerySet["FromAddress"].as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["domain", "local_part"], condition=models.Q(removed_at=None), name="from_address_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.display_name} <{self.address}>"

    @property
    def address(self) -> str:
        """Return local part and domain."""
        return f"{self.local_part}@{self.domain.name}"
