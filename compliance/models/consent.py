"""Evidence, append-only and hash-chained: attestations and verdicts. Personal parts stand in side rows."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models import Organization
from accounts.tenancy import OrgQuerySet


class Attestation(models.Model):
    """A signed, versioned statement of where one uploaded file comes from; rules section 2."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.DO_NOTHING, db_constraint=False, related_name="attestations")
    list_uid = models.UUIDField()
    import_uid = models.UUIDField()
    wording_version = models.CharField(max_length=16)  # ATT-EN-1.0
    text_sha256 = models.BinaryField(max_length=32)  # of the statement as shown, names filled in
    answers = models.JSONField()  # how collected, prohibited sources, clauses ticked
    legal_name = models.CharField(max_length=160)
    signer_uid = models.UUIDField()
    factor = models.CharField(max_length=16)  # totp or webauthn
    factor_at = models.DateTimeField()
    file_sha256 = models.BinaryField(max_length=32)
    row_count = models.PositiveIntegerField()
    signed_at = models.DateTimeField()
    person_commitment = models.BinaryField(max_length=32)  # salted hash of the side row
    previous_hash = models.BinaryField(max_length=32)
    record_hash = models.BinaryField(max_length=32, unique=True)

    objects = OrgQuerySet["Attestation"].as_manager()

    def __str__(self) -> str:
        return f"{self.wording_version} for list {self.list_uid}"


class AttestationPerson(models.Model):
    """Name, role and network of the signer: retention may delete it, the chain stays sound."""

    attestation_uid = models.UUIDField(unique=True)
    salt = models.BinaryField(max_length=16)
    signer_name = models.CharField(max_length=120)
    signer_role = models.CharField(max_length=120)
    ip = models.CharField(max_length=45)
    user_agent = models.CharField(max_length=300)
    statement = models.TextField()  # exactly what was shown and signed

    def __str__(self) -> str:
        return f"signer of {self.attestation_uid}"


class Verdict(models.Model):
    """What the gate answered for one proposal, bound to the content by its hash (rules CONTENT-SNAPSHOT)."""

    class Decision(models.TextChoices):
        PASS = "pass", "May be sent"
        HOLD = "hold", "Waits for staff"
        BLOCK = "block", "May not be sent"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.DO_NOTHING, db_constraint=False, related_name="verdicts")
    subject_uid = models.UUIDField()  # the campaign
    content_sha256 = models.BinaryField(max_length=32)
    decision = models.CharField(max_length=5, choices=Decision.choices)
    checks = models.JSONField()  # one object a rule: id, version, decision, evidence
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
    )
    at = models.DateTimeField()
    previous_hash = models.BinaryField(max_length=32)
    record_hash = models.BinaryField(max_length=32, unique=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["subject_uid", "-id"], name="verdict_by_subject")]

    def __str__(self) -> str:
        return f"{self.decision} for {self.subject_uid}"
