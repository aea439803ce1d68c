"""Uploads: one job a file, one row for each line that was not taken."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models import Organization
from accounts.tenancy import OrgQuerySet
from compliance.models.lists import Contact, ContactList


class ImportState(models.TextChoices):
    """Life cycle of an upload; compliance.imports holds the transition table."""

    UPLOADED = "uploaded", "File received"
    MAPPED = "mapped", "Columns chosen"
    ANSWERED = "answered", "Statement answered"
    QUEUED = "queued", "Waiting to be read"
    READING = "reading", "Reading rows"
    HELD = "held", "With our staff"
    DONE = "done", "Done"
    FAILED = "failed", "Could not be read"
    REFUSED = "refused", "Refused"
    UNDOING = "undoing", "Being taken back"
    CANCELLED = "cancelled", "Cancelled"


class ImportJob(models.Model):
    """One uploaded file on its way into a list."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="imports")
    contact_list = models.ForeignKey(ContactList, models.CASCADE, related_name="imports")
    state = models.CharField(max_length=10, choices=ImportState.choices, default=ImportState.UPLOADED)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    file_name = models.CharField(max_length=200)  # as the person called it
    stored_name = models.CharField(max_length=80)  # random, below MEDIA_ROOT
    file_bytes = models.PositiveBigIntegerField()
    file_sha256 = models.BinaryField(max_length=32)
    kind = models.CharField(max_length=4)  # csv or xlsx
    encoding = models.CharField(max_length=40, blank=True)
    delimiter = models.CharField(max_length=4, blank=True)
    header = models.JSONField(default=list)  # column names as found
    columns = models.JSONField(default=dict)  # compliance.imports.columns.Plan.to_json()
    scan = models.JSONField(default=dict)  # what a first reading counted: compliance.imports.scan.Counts
    answers = models.JSONField(default=dict)  # consent step, as answered; signed into the attestation
    declared_country = models.CharField(max_length=2, blank=True)
    attestation = models.ForeignKey(
        "compliance.Attestation", models.DO_NOTHING, null=True, db_constraint=False, related_name="imports"
    )
    row_count = models.PositiveIntegerField(default=0)
    rows_read = models.PositiveIntegerField(default=0)
    # People of it looked at after the last row, or taken back.
    settled_count = models.PositiveIntegerField(default=0, db_default=0)
    added_count = models.PositiveIntegerField(default=0)
    updated_count = models.PositiveIntegerField(default=0)
    duplicate_count = models.PositiveIntegerField(default=0)
    rejected_count = models.PositiveIntegerField(default=0)
    suppressed_count = models.PositiveIntegerField(default=0)  # left out on purpose: on a do-not-mail list
    suppressed_reasons = models.JSONField(default=dict)  # reason -> how many of them
    unmailable_count = models.PositiveIntegerField(default=0)  # taken, but no basis that permits mailing
    canary_at = models.DateTimeField(null=True)  # a sample of these people was mailed and stayed clean
    proof_at = models.DateTimeField(null=True)  # the sample of proof is complete
    marked_up_to = models.BigIntegerField(null=True)  # last membership that compliance.provenance.marks remembered
    marked_at = models.DateTimeField(null=True)  # all are remembered
    held_reasons = models.JSONField(default=list)  # rule ids with figures, for staff and customer
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)  # plain words for the customer
    is_refused = models.BooleanField(default=False, db_default=False)  # by our staff: UNDOING ends in REFUSED
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.TextField(blank=True)

    objects = OrgQuerySet["ImportJob"].as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "-created_at"], name="import_by_organization")]

    def __str__(self) -> str:
        return f"{self.file_name} ({self.state})"

    @property
    def skipped_count(self) -> int:
        """Return how many rows were left out on purpose: said no before, or twice in the file."""
        return self.suppressed_count + self.duplicate_count


class ImportRow(models.Model):
    """A line that was not taken: where, what, why, and where possible how to mend it in place."""

    class State(models.TextChoices):
        OPEN = "open", "Needs a look"
        FIXED = "fixed", "Added"
        LEFT = "left", "Left out"

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="rows")
    line = models.PositiveIntegerField()
    value = models.CharField(max_length=400)
    reason = models.CharField(max_length=32)
    suggestion = models.CharField(max_length=254, blank=True)
    cells = models.JSONField(default=list)
    state = models.CharField(max_length=5, choices=State.choices, default=State.OPEN)
    contact = models.ForeignKey(Contact, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["job", "line"], name="import_row_once")]
        indexes: ClassVar = [models.Index(fields=["job", "reason", "line"], name="import_row_by_reason")]

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class ProofRow(models.Model):
    """One person of a sample of proof, and what the customer says of their sign-up."""

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="proof")
    contact = models.ForeignKey(Contact, models.SET_NULL, null=True, related_name="+")  # null: taken back
    place = models.PositiveSmallIntegerField()  # 1 to PROOF_ROWS
    answer = models.CharField(max_length=500, blank=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["job", "place"], name="proof_place_once")]

    def __str__(self) -> str:
        return f"{self.place} of upload {self.job_id}"


class ImportBefore(models.Model):
    """A person whom the organization had already, as they were before one upload; kept while it can be undone."""

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="before")
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="+")
    first_name = models.CharField(max_length=120)
    last_name = models.CharField(max_length=120)
    country = models.CharField(max_length=2)
    fields = models.JSONField()
    updated_at = models.DateTimeField()
    touched_at = models.DateTimeField()  # when the upload last wrote them; later changes are not ours to undo
    # Of the row that counts so far; the same person further down the file must outrank it.
    row_consent_at = models.DateTimeField(null=True)
    row_confirmed_at = models.DateTimeField(null=True)
    membership = models.JSONField(null=True)  # the row of compliance_listmembership; null: was not on the list

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["job", "contact"], name="import_before_once")]

    def __str__(self) -> str:
        return f"{self.contact_id} before {self.job_id}"
