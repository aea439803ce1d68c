"""Cases, what was said in them, decisions (append-only) and appeals."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models import Organization
from accounts.tenancy import OrgQuerySet


class CaseState(models.TextChoices):
    """Life cycle of a case; abuse.cases holds the transition table."""

    OPEN = "open", "Open"
    ASKED = "asked", "Waiting for the sender"
    ANSWERED = "answered", "Sender answered"
    CONFIRM = "confirm", "Waiting for a second person"
    DECIDED = "decided", "Decided"


class Case(models.Model):
    """Complaints about one organization and campaign, gathered for a moderator."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    reference = models.CharField(max_length=16, unique=True)
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="cases")
    campaign_id = models.BigIntegerField(null=True, blank=True)
    state = models.CharField(max_length=8, choices=CaseState.choices, default=CaseState.OPEN)
    urgent = models.BooleanField(default=False)
    opened_at = models.DateTimeField()
    promised_until = models.DateTimeField()
    answer_until = models.DateTimeField(null=True, blank=True)
    claimed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    claimed_at = models.DateTimeField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = OrgQuerySet["Case"].as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["organization", "campaign_id"],
                condition=~models.Q(state="decided"),
                nulls_distinct=False,
                name="case_open_once",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["promised_until"], condition=~models.Q(state="decided"), name="case_queue")
        ]

    def __str__(self) -> str:
        return self.reference


class CaseEntry(models.Model):
    """One line of a case's timeline: what was done, asked, answered or noted. Append-only."""

    class Kind(models.TextChoices):
        COMPLAINT = "complaint", "Report received"
        STOPPED = "stopped", "Stopped for the reporter"
        QUESTION = "question", "Question to the sender"
        ANSWER = "answer", "Sender answered"
        NOTE = "note", "Staff note"
        REPORTER = "reporter", "Reporter added"
        CLAIMED = "claimed", "Taken by staff"
        DECISION = "decision", "Decided"
        LETTER = "letter", "Letter sent"

    case = models.ForeignKey(Case, models.DO_NOTHING, db_constraint=False, related_name="entries")
    kind = models.CharField(max_length=9, choices=Kind.choices)
    text = models.TextField(blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
    )
    visible_to_customer = models.BooleanField(default=False)
    visible_to_reporter = models.BooleanField(default=False)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M}"


class DecisionKind(models.TextChoices):
    """What staff can decide; abuse.moderation holds what each does to standing."""

    NO_ACTION = "no_action", "No action"
    ASK = "ask", "Ask the sender"
    WARN = "warn", "Warn"
    SUSPEND_CAMPAIGN = "suspend_campaign", "Suspend the campaign"
    SUSPEND = "suspend", "Suspend sending"
    BLOCK = "block", "Block the organization"
    RESTORE = "restore", "Restore"


class Decision(models.Model):
    """A named person's decision with rule, reason and evidence; append-only, hash-chained."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    reference = models.CharField(max_length=16, unique=True)
    case = models.ForeignKey(Case, models.DO_NOTHING, null=True, db_constraint=False, related_name="decisions")
    organization = models.ForeignKey(Organization, models.DO_NOTHING, db_constraint=False, related_name="decisions")
    kind = models.CharField(max_length=16, choices=DecisionKind.choices)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, related_name="+")
    confirms = models.ForeignKey("self", models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
    rule = models.CharField(max_length=12)  # a number of the anti-spam policy, "2.3"
    reason = models.TextField()
    customer_must = models.TextField(blank=True)
    evidence = models.JSONField(default=dict)  # figures and ids at that moment, no reporter
    statement = models.JSONField(default=dict)  # statement of reasons, rules 5.5
    reporter_letter = models.TextField(blank=True)
    at = models.DateTimeField()
    previous_hash = models.BinaryField(max_length=32)
    record_hash = models.BinaryField(max_length=32, unique=True)

    objects = OrgQuerySet["Decision"].as_manager()

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.reference}"


class Appeal(models.Model):
    """A customer's appeal; decided by a person other than the one who decided before."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        UPHELD = "upheld", "Decision stands"
        REVERSED = "reversed", "Decision reversed"

    class Ground(models.TextChoices):
        FACTS = "facts", "The facts are different"
        RULE = "rule", "The rule does not fit"
        MEASURE = "measure", "The measure is too hard"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    decision = models.OneToOneField(Decision, models.PROTECT, related_name="appeal")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="appeals")
    ground = models.CharField(max_length=8, choices=Ground.choices, default=Ground.FACTS)
    text = models.TextField(max_length=8000)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    promised_until = models.DateTimeField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(max_length=8000, blank=True)

    objects = OrgQuerySet["Appeal"].as_manager()

    def __str__(self) -> str:
        return f"appeal against {self.decision.reference}"


class AppealFile(models.Model):
    """A file that a customer added to an appeal; its bytes lie sealed under their fingerprint (compliance)."""

    appeal = models.ForeignKey(Appeal, models.CASCADE, related_name="files")
    sha256 = models.BinaryField(max_length=32)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=4)  # png, jpeg, pdf, text
    size = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["appeal", "sha256"], name="appeal_file_once")]

    def __str__(self) -> str:
        return self.name


class MonthFigures(models.Model):
    """What the desk did in one month, counted on a beat for the public page (abuse.transparency)."""

    month = models.DateField(unique=True)  # its first day, UTC
    counts = models.JSONField(default=dict)
    counted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
