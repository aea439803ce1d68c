"""Append-only rows of accounts: who did what, who accepted which terms, how standing moved."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models.organizations import Organization, Standing


class AuditEntry(models.Model):
    """One act, hash-chained over the whole platform; written by accounts.audit.record only.

    Holds no address and no IP: `actor_uid` and `subject` are ids. The visitor's network stands in the request log.
    """

    at = models.DateTimeField()
    actor_uid = models.UUIDField(null=True)  # null: the system
    organization = models.ForeignKey(Organization, models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
    action = models.CharField(max_length=60)  # "standing.moved", "list.attested"
    subject = models.CharField(max_length=120)  # "campaign:<uuid>"
    reason = models.TextField(blank=True)
    detail = models.JSONField(default=dict)  # before and after, ids and counts only
    previous_hash = models.BinaryField(max_length=32)
    record_hash = models.BinaryField(max_length=32, unique=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "-id"], name="audit_by_organization")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.action} {self.subject}"

    @property
    def in_words(self) -> str:
        """The action as people read it: "campaign.moved" becomes "Campaign moved to sent"."""
        words = self.action.replace(".", " ").replace("_", " ").capitalize()
        to = self.detail.get("to", "")
        return f"{words} to {to}" if isinstance(to, str) and to else words


class TermsAcceptance(models.Model):
    """A person accepted one version of a document, append-only."""

    class Document(models.TextChoices):
        TERMS = "terms", "Terms"
        PROCESSING = "dpa", "Data-processing agreement"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, related_name="+")
    organization = models.ForeignKey(Organization, models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
    document = models.CharField(max_length=8, choices=Document.choices)
    version = models.CharField(max_length=20)
    accepted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.document} {self.version}"


class StandingChange(models.Model):
    """One move of an organization's standing, append-only; the current value is a column of Organization."""

    organization = models.ForeignKey(
        Organization, models.DO_NOTHING, db_constraint=False, related_name="standing_changes"
    )
    source = models.CharField(max_length=12, choices=Standing.choices)
    target = models.CharField(max_length=12, choices=Standing.choices)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
    )
    reason = models.TextField()
    decision_ref = models.CharField(max_length=40, blank=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.organization}: {self.source} to {self.target}"


class DenyEntry(models.Model):
    """What a blocked customer may not bring back: owner address, domain or company number, as a keyed hash."""

    class Kind(models.TextChoices):
        ADDRESS = "address", "Owner address"
        DOMAIN = "domain", "Domain"
        REGISTER = "register", "Register number"

    kind = models.CharField(max_length=8, choices=Kind.choices)
    value_hash = models.BinaryField(max_length=32)
    reason = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    until = models.DateTimeField()
    # Whose block made the entry; a lifted block takes its own entries back and no other's.
    organization = models.ForeignKey(Organization, models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["kind", "value_hash"], name="deny_lookup")]

    def __str__(self) -> str:
        return f"{self.kind} until {self.until:%Y-%m-%d}"
