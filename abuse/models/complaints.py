"""What people and mailbox providers report."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from accounts.models import Organization


class ComplaintSource(models.TextChoices):
    """How a report reached us."""

    FORM = "form", "Public form"
    LINK = "link", "Link in the mail"
    FEEDBACK = "feedback", "Feedback loop"
    MAIL = "mail", "Mail to the abuse desk"


class Complaint(models.Model):
    """A report. The reporter stays unknown to the customer unless it says otherwise (rules section 9.5)."""

    class Kind(models.TextChoices):
        UNWANTED = "unwanted", "I did not ask for this"
        NEVER_SIGNED_UP = "never_signed_up", "I never signed up"
        CANNOT_STOP = "cannot_stop", "I unsubscribed and it goes on"
        PHISHING = "phishing", "It tries to deceive or to steal"
        ILLEGAL = "illegal", "It breaks a law"
        OTHER = "other", "Something else"

    class Grade(models.TextChoices):
        A = "A", "Proven ours by signature or token"
        B = "B", "Two weak signs agree"
        C = "C", "Weak signs only"
        X = "X", "Not ours"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    reference = models.CharField(max_length=16, unique=True)  # AB-7K4M-29QX
    kind = models.CharField(max_length=16, choices=Kind.choices)
    source = models.CharField(max_length=8, choices=ComplaintSource.choices)
    grade = models.CharField(max_length=1, choices=Grade.choices)
    organization = models.ForeignKey(Organization, models.PROTECT, null=True, blank=True, related_name="complaints")
    campaign_id = models.BigIntegerField(null=True, blank=True)
    delivery_id = models.BigIntegerField(null=True, blank=True)
    case = models.ForeignKey("abuse.Case", models.PROTECT, null=True, blank=True, related_name="complaints")
    text = models.TextField(max_length=8000, blank=True)
    raw = models.BinaryField(null=True, blank=True)  # pasted source, kept RET_RAW_D days
    found = models.JSONField(default=dict)  # what the matcher found, strongest first
    reporter_email = models.CharField(max_length=254, blank=True)
    reporter_name = models.CharField(max_length=120, blank=True)
    share_identity = models.BooleanField(default=False)
    never_platform = models.BooleanField(default=False)  # "never from Sendserver again"
    stopped_at = models.DateTimeField(null=True, blank=True)  # the reporter's address was suppressed
    network = models.CharField(max_length=49, blank=True)  # prefix the report came from, for limits
    received_at = models.DateTimeField()
    event_id = models.BigIntegerField(null=True, blank=True, unique=True)  # the feedback-loop event behind it
    inbound_id = models.BigIntegerField(null=True, blank=True, unique=True)  # the mail to the abuse desk behind it
    withdrawn_at = models.DateTimeField(null=True, blank=True)  # the reporter took it back; never counts then

    class Meta:
        indexes: ClassVar = [models.Index(fields=["organization", "-received_at"], name="complaint_by_organization")]

    def __str__(self) -> str:
        return self.reference
