"""Evidence, append-only and hash-chained: attestations and verdicts. Personal parts stand in side rows."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models import Organization
from accounts.personal import Side
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
    # Later columns, empty in older records: the root over all addresses (compliance.roots), under which key they were
    # hashed, how many they are, and the fingerprints of the evidence files.
    rows_root = models.BinaryField(max_length=32, null=True)
    rows_key = models.CharField(max_length=8, null=True)
    rows_taken = models.PositiveIntegerField(null=True)
    previous_hash = models.BinaryField(max_length=32)
    record_hash = models.BinaryField(max_length=32, unique=True)

    ledger_later: ClassVar = frozenset({"rows_root", "rows_key", "rows_taken"})
    objects = OrgQuerySet["Attestation"].as_manager()

    def __str__(self) -> str:
        return f"{self.wording_version} for list {self.list_uid}"


class EvidenceFile(models.Model):
    """A file that a sender added to an upload; its bytes lie sealed under their fingerprint (compliance.evidence)."""

    organization = models.ForeignKey(Organization, models.DO_NOTHING, db_constraint=False, related_name="+")
    import_uid = models.UUIDField()
    sha256 = models.BinaryField(max_length=32)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=4)  # png, jpeg, pdf, text
    size = models.PositiveIntegerField()
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    added_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["import_uid", "sha256"], name="evidence_once")]

    def __str__(self) -> str:
        return self.name


class SavedPage(models.Model):
    """A copy of the page where people said yes, or why there is none; its bytes lie sealed like evidence files."""

    organization = models.ForeignKey(Organization, models.DO_NOTHING, db_constraint=False, related_name="+")
    import_uid = models.UUIDField()
    url = models.CharField(max_length=300)
    at = models.DateTimeField()
    final_url = models.CharField(max_length=400, blank=True)  # behind redirects
    media_type = models.CharField(max_length=40, blank=True)
    size = models.PositiveIntegerField(default=0)
    sha256 = models.BinaryField(max_length=32, null=True)
    problem = models.CharField(max_length=200, blank=True)  # in words for the customer

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["import_uid", "url"], name="saved_page_once")]

    def __str__(self) -> str:
        return f"{self.url} at {self.at:%Y-%m-%d}"


class AddressBlock(models.Model):
    """Sorted keyed hashes of an uploaded file's addresses, one behind the other; compliance.roots says how."""

    import_uid = models.UUIDField()
    number = models.PositiveIntegerField()
    hashes = models.BinaryField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["import_uid", "number"], name="address_block_once")]

    def __str__(self) -> str:
        return f"block {self.number} of {self.import_uid}"


class AttestationPerson(models.Model):
    """Name, role and network of the signer: retention may delete it (accounts.personal), the chain stays sound."""

    ledger_side: ClassVar = Side("compliance.Attestation", "uid", "attestation_uid")

    attestation_uid = models.UUIDField(unique=True)
    salt = models.BinaryField(max_length=16)
    signer_name = models.CharField(max_length=120)
    signer_role = models.CharField(max_length=120)
    ip = models.CharField(max_length=45)
    user_agent = models.CharField(max_length=300)
    statement = models.TextField()  # exactly what was shown and signed

    def __str__(self) -> str:
        return f"signer of {self.attestation_uid}"


class ConsentEvent(models.Model):
    """One step of one person's consent: asked, confirmed, recorded, withdrawn; chained, without the person.

    Uploads have none for each row: there the statement with its root over all addresses is the record. The address is
    a keyed hash; what a person would be known by stands in the side row.
    """

    class Kind(models.TextChoices):
        REQUESTED = "requested", "Signed up"
        CONFIRMED = "confirmed", "Confirmed by link"
        RECORDED = "recorded", "Recorded by the sender"
        TRACKING_GIVEN = "track_given", "Agreed to counting opens and clicks"
        TRACKING_WITHDRAWN = "track_off", "Withdrew counting opens and clicks"
        LIST_LEFT = "list_left", "Left the list"
        LIST_BACK = "list_back", "Chose the list again"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(
        Organization, models.DO_NOTHING, db_constraint=False, related_name="consent_events"
    )
    list_uid = models.UUIDField(null=True)
    contact_uid = models.UUIDField()
    address_hash = models.BinaryField(max_length=32)
    key_id = models.CharField(max_length=8)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    basis = models.CharField(max_length=24, blank=True)  # of lists.ConsentBasis
    at = models.DateTimeField()  # when the person acted
    recorded_at = models.DateTimeField()
    actor_uid = models.UUIDField(null=True)  # null: the person
    request_uid = models.UUIDField(null=True)  # of a confirmation: what it confirms
    wording_sha256 = models.BinaryField(max_length=32)  # of the words they saw
    mail_sha256 = models.BinaryField(max_length=32, blank=True)  # of the confirmation mail as it went out
    person_commitment = models.BinaryField(max_length=32)  # salted hash of the side row
    previous_hash = models.BinaryField(max_length=32)
    record_hash = models.BinaryField(max_length=32, unique=True)

    objects = OrgQuerySet["ConsentEvent"].as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["contact_uid", "id"], name="consent_event_by_contact"),
            models.Index(fields=["address_hash", "id"], name="consent_event_by_address"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M}"


class ConsentEventPerson(models.Model):
    """Who and from where, with the words and the mail in full: retention may delete it (accounts.personal)."""

    ledger_side: ClassVar = Side("compliance.ConsentEvent", "uid", "event_uid")

    event_uid = models.UUIDField(primary_key=True)
    salt = models.BinaryField(max_length=16)
    address = models.CharField(max_length=254)
    network = models.CharField(max_length=45, blank=True)  # /24 or /48, never a single address
    user_agent = models.CharField(max_length=300, blank=True)
    source = models.CharField(max_length=400, blank=True)  # form address or place
    wording = models.TextField(blank=True)
    mail = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"person of {self.event_uid}"


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
