"""The ladder that leads to a first allowance: profile, practice, and the staff's review."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models.organizations import Organization
from accounts.tenancy import OrgQuerySet


class BusinessProfile(models.Model):
    """Who the sender is: rules ID-LEGAL-ENTITY and ID-POSTAL-VALID."""

    class AddressKind(models.TextChoices):
        STREET = "street", "Street address"
        PO_BOX = "po_box", "PO box"
        PRIVATE_MAILBOX = "private_mailbox", "Registered private mailbox"

    organization = models.OneToOneField(Organization, models.CASCADE, related_name="profile")
    legal_name = models.CharField(max_length=160)
    trade_name = models.CharField(max_length=160, blank=True)
    legal_form = models.CharField(max_length=60)
    register_name = models.CharField(max_length=120, blank=True)
    register_number = models.CharField(max_length=60, blank=True)
    vat_number = models.CharField(max_length=40, blank=True)
    country = models.CharField(max_length=2)
    address_kind = models.CharField(max_length=16, choices=AddressKind.choices, default=AddressKind.STREET)
    street = models.CharField(max_length=160)
    postal_code = models.CharField(max_length=20, blank=True)
    city = models.CharField(max_length=80)
    region = models.CharField(max_length=80, blank=True)
    responsible_person = models.CharField(max_length=120)
    contact_email = models.EmailField(max_length=254)
    contact_phone = models.CharField(max_length=40, blank=True)
    website = models.URLField(max_length=200)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.legal_name

    @property
    def postal_line(self) -> str:
        """Return the address as one line, as it must stand in every message (CANSPAM-POSTAL-ADDRESS)."""
        town = " ".join(part for part in (self.postal_code, self.city) if part)
        return ", ".join(part for part in (self.street, town, self.region, self.country) if part)


class CollectionPractice(models.Model):
    """How the sender collects addresses, in its own words, asked once before the first review."""

    organization = models.OneToOneField(Organization, models.CASCADE, related_name="practice")
    sources = models.JSONField(default=list)  # list of source codes, accounts.policy.COLLECTION_SOURCES
    page_url = models.URLField(max_length=300, blank=True)
    wording = models.TextField(max_length=2000)
    double_opt_in = models.BooleanField(default=False)
    topics = models.CharField(max_length=300)
    monthly_volume = models.PositiveIntegerField()  # messages a month the sender expects
    longest_list = models.PositiveIntegerField(null=True, blank=True)  # people on the longest list they bring
    previous_provider = models.CharField(max_length=120, blank=True)
    no_bought_lists = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"practice of {self.organization}"


class VerificationState(models.TextChoices):
    """Life cycle of one review; accounts.verification holds the transition table."""

    COLLECTING = "collecting", "Collecting"
    SUBMITTED = "submitted", "Waiting for staff"
    QUESTIONS = "questions", "Staff asked for more"
    APPROVED = "approved", "Approved"
    REFUSED = "refused", "Refused"


class Verification(models.Model):
    """One application for an allowance; the first one also lifts standing to good."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="verifications")
    state = models.CharField(max_length=12, choices=VerificationState.choices, default=VerificationState.COLLECTING)
    created_at = models.DateTimeField(auto_now_add=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    promised_until = models.DateTimeField(null=True, blank=True)
    requested_allowance = models.PositiveIntegerField(default=0)
    granted_allowance = models.PositiveIntegerField(default=0)
    agreed_list = models.PositiveIntegerField(null=True, blank=True)  # people; rules SRC-SIZE-JUMP
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(max_length=4000, blank=True)
    conditions = models.TextField(max_length=4000, blank=True)

    objects = OrgQuerySet["Verification"].as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization"],
                condition=models.Q(state__in=["collecting", "submitted", "questions"]),
                name="verification_open_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization}: {self.state}"

    @property
    def reference(self) -> str:
        """Return the short name that letters and decisions cite."""
        return f"VF-{self.uid.hex[:8].upper()}"
