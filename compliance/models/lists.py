"""Lists, the people on them, and what permits mailing each."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from accounts.models import Organization
from accounts.tenancy import OrgQuerySet


class ConsentBasis(models.TextChoices):
    """What permits mailing one person; rules section 1.3. Which of them may be mailed is settings.ALLOWED_BASES."""

    EXPRESS_DOI = "express_doi", "Signed up and confirmed by link"
    EXPRESS_SOI = "express_soi", "Signed up on a form"
    EXPRESS_WRITTEN = "express_written", "Agreed in writing"
    EXPRESS_ORAL = "express_oral", "Agreed in person"
    SOFT_OPTIN_EU = "soft_optin_eu", "Customer, own similar goods (EU)"
    SOFT_OPTIN_UK_CHARITY = "soft_optin_uk_charity", "Supporter of a charity (UK)"
    CASL_EBR_PURCHASE = "casl_ebr_purchase", "Purchase within two years (Canada)"
    CASL_EBR_CONTRACT = "casl_ebr_contract", "Contract within two years (Canada)"
    CASL_EBR_INQUIRY = "casl_ebr_inquiry", "Inquiry within six months (Canada)"
    CASL_ENBR = "casl_enbr", "Member, volunteer or donor (Canada)"
    B2B_OPTOUT_FR = "b2b_optout_fr", "Professional address (France)"
    B2B_CORPORATE_UK = "b2b_corporate_uk", "Company address (UK)"
    US_CUSTOMER = "us_customer", "Customer (United States)"
    AU_INFERRED = "au_inferred", "Inferred (Australia)"


# A yes of the person's own. Only these are mailable unless the operator allows more, and only they beat a register.
EXPRESS_BASES = (
    ConsentBasis.EXPRESS_DOI,
    ConsentBasis.EXPRESS_SOI,
    ConsentBasis.EXPRESS_ORAL,
    ConsentBasis.EXPRESS_WRITTEN,
)


class ContactList(models.Model):
    """A list. Nobody on it is mailable without an attestation behind the membership."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="lists")
    name = models.CharField(max_length=120)
    topics = models.CharField(max_length=300, blank=True)
    frequency = models.CharField(max_length=60, blank=True)
    people_count = models.PositiveIntegerField(default=0)  # kept by compliance.lists after each change
    held_at = models.DateTimeField(null=True, blank=True)  # waits for staff; not mailable meanwhile
    held_reason = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = OrgQuerySet["ContactList"].as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "-created_at"], name="list_by_organization")]

    def __str__(self) -> str:
        return self.name


class Contact(models.Model):
    """A person of one organization. `address` is mailed, `address_key` compared, `address_hash` joins suppression."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # The unique constraint begins with it, so no index of its own; the same with a membership's list.
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="contacts", db_index=False)
    address = models.CharField(max_length=254)
    address_key = models.CharField(max_length=254)
    address_hash = models.BinaryField(max_length=32)
    domain = models.CharField(max_length=253)
    first_name = models.CharField(max_length=120, blank=True)
    last_name = models.CharField(max_length=120, blank=True)
    country = models.CharField(max_length=2, blank=True)  # ISO 3166-1; empty counts as the strictest
    fields = models.JSONField(default=dict)  # further columns, name -> text
    tracking_consent_at = models.DateTimeField(null=True, blank=True)  # compliance.tracking_consent
    tracking_import = models.BigIntegerField(null=True)  # the upload that brought it; no foreign key: a hot table
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OrgQuerySet["Contact"].as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "address_key"], name="contact_once_per_organization")
        ]
        indexes: ClassVar = [models.Index(fields=["address_hash"], name="contact_address_hash")]

    def __str__(self) -> str:
        return self.address


class ContactBounce(models.Model):
    """When a mail to a person last came back; beside the contact, so that no lane waits for an upload's locks.

    The database deletes the row with the person (the constraint is made in the migration).
    """

    contact = models.OneToOneField(Contact, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.contact_id} at {self.at:%Y-%m-%d}"


class ListMembership(models.Model):
    """One person on one list, with what permits mailing it."""

    contact_list = models.ForeignKey(ContactList, models.CASCADE, related_name="memberships", db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="memberships")
    basis = models.CharField(max_length=24, choices=ConsentBasis.choices, blank=True)  # blank: not mailable
    consent_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)  # second step of a double opt-in
    country = models.CharField(max_length=2, blank=True)  # as the upload declared it; the contact's own country wins
    last_contact_at = models.DateTimeField(null=True, blank=True)  # last mail they got from this sender, where known
    source = models.CharField(max_length=200, blank=True)
    attestation = models.ForeignKey(
        "compliance.Attestation", models.DO_NOTHING, null=True, db_constraint=False, related_name="memberships"
    )
    # The double opt-in on a form of ours; proof of its own, so no statement is needed beside it.
    signup = models.ForeignKey("compliance.Signup", models.SET_NULL, null=True, related_name="memberships")
    # Uploads are never deleted, and a piece locks the row of its own before it writes anybody: what the database would
    # check again for each person (a tenth of an import's time) cannot be wrong.
    import_job = models.ForeignKey(
        "compliance.ImportJob",
        models.DO_NOTHING,
        null=True,
        related_name="memberships",
        db_index=False,
        db_constraint=False,
    )
    # The upload that put them on the list; `import_job` is the one whose permission counts now.
    first_import = models.ForeignKey(
        "compliance.ImportJob", models.DO_NOTHING, null=True, related_name="+", db_index=False, db_constraint=False
    )
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["contact_list", "contact"], name="membership_once_per_list")
        ]
        indexes: ClassVar = [models.Index(fields=["import_job", "id"], name="membership_by_import")]

    def __str__(self) -> str:
        return f"{self.contact_id} on {self.contact_list_id}"


class ListExit(models.Model):
    """A list that a person left on their own page, as a keyed hash that outlives the contact; a row for each key."""

    contact_list = models.ForeignKey(ContactList, models.CASCADE, related_name="exits")
    address_hash = models.BinaryField(max_length=32)
    left_at = models.DateTimeField()
    returned_at = models.DateTimeField(null=True)  # the person ticked the list again

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["contact_list", "address_hash"], name="list_exit_once")
        ]
        indexes: ClassVar = [models.Index(fields=["address_hash"], name="list_exit_by_address")]

    def __str__(self) -> str:
        return f"left {self.contact_list_id}"
