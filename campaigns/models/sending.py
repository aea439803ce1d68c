"""The tables of sending (architecture rule 3): delivery, chunk, outcome, retry; brakes; the queue of our own mail.

`delivery_state`, the view that gives each recipient's one state, is made in a migration.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models import Organization
from campaigns.models.composing import Campaign
from sendserver.lib import clock


class Delivery(models.Model):
    """One recipient of one campaign, written at planning, changed only by retention.

    Left-out people have a row too, with `skip_reason` and no `seq`, so that planned = sum of outcomes.
    """

    # Both unique constraints begin with it; nobody asks by organization.
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="deliveries", db_index=False)
    organization = models.ForeignKey(
        Organization, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    seq = models.PositiveIntegerField(null=True)  # 1..mailable_count; chunks are ranges of it
    contact_id = models.BigIntegerField()
    address = models.CharField(max_length=254)
    address_hash = models.BinaryField(max_length=32)
    domain = models.CharField(max_length=253)
    merge = models.JSONField(default=dict)  # values of the merge fields, frozen at planning
    membership_id = models.BigIntegerField(null=True)  # the list membership whose basis permits this message
    skip_reason = models.CharField(max_length=32, blank=True)  # "suppressed", "no_basis", ...

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "contact_id"], name="delivery_once"),
            models.UniqueConstraint(fields=["campaign", "seq"], name="delivery_seq_once"),
        ]
        # A person's history, repeated bounces and data rights ask by contact.
        indexes: ClassVar = [models.Index(fields=["contact_id"], name="delivery_by_contact")]

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class Chunk(models.Model):
    """A range of a campaign's deliveries: what is claimed, with lease and fence (rule 4)."""

    class State(models.TextChoices):
        READY = "ready", "Ready"
        LEASED = "leased", "Leased"
        DONE = "done", "Done"
        LATER = "later", "Waits for the first people"  # campaigns.canary

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="chunks")
    organization = models.ForeignKey(Organization, models.DO_NOTHING, db_constraint=False, related_name="+")
    first_seq = models.PositiveIntegerField()
    last_seq = models.PositiveIntegerField()
    relay = models.CharField(max_length=8)  # relay-1 or relay-2: the lane that takes it first
    state = models.CharField(max_length=6, choices=State.choices, default=State.READY)
    fence = models.PositiveIntegerField(default=0)  # rises with each claim; a late writer's fence is old
    lease_until = models.DateTimeField(null=True)
    owner_host = models.CharField(max_length=120, blank=True)
    owner_boot = models.CharField(max_length=40, blank=True)
    owner_pid = models.PositiveIntegerField(null=True)
    owner_started = models.CharField(max_length=32, blank=True)  # process start time, against reused pids
    claims = models.PositiveSmallIntegerField(default=0)
    reserved = models.PositiveIntegerField(default=0)  # of the day's allowance, while leased
    deaths = models.PositiveSmallIntegerField(
        default=0, db_default=0
    )  # processes that died holding it (campaigns.sending.aside)
    died_at = models.DateTimeField(null=True)
    trial_seq = models.PositiveIntegerField(null=True)  # the one delivery that is tried alone, while leased

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["campaign", "first_seq"], name="chunk_once")]
        indexes: ClassVar = [
            models.Index(fields=["relay", "state", "id"], condition=~models.Q(state="done"), name="chunk_open"),
            models.Index(
                fields=["relay", "campaign", "first_seq"],
                condition=models.Q(state="ready", deaths=0),
                name="chunk_ready",
            ),
            models.Index(
                fields=["relay", "campaign", "first_seq"],
                condition=models.Q(state="ready", deaths__gt=0),
                name="chunk_alone",
            ),
            models.Index(fields=["organization"], condition=models.Q(state="leased"), name="chunk_leased"),
        ]

    def __str__(self) -> str:
        return f"{self.first_seq} to {self.last_seq} of campaign {self.campaign_id}"


class Outcome(models.Model):
    """What happened to one attempt, append-only, written by COPY together with the chunk's state."""

    class State(models.TextChoices):
        ACCEPTED = "accepted", "Accepted by our server"
        REJECTED = "rejected", "Refused"
        DEFERRED = "deferred", "Waiting"
        IN_DOUBT = "in_doubt", "In doubt"
        SUPPRESSED = "suppressed", "On the do-not-mail list"
        SKIPPED = "skipped", "Left out"
        CANCELLED = "cancelled", "Stopped before sending"
        RENDER_FAILED = "render_failed", "Could not be written"

    delivery_id = models.BigIntegerField()
    campaign_id = models.BigIntegerField()
    attempt = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=14, choices=State.choices)
    relay = models.CharField(max_length=8, blank=True)
    at = models.DateTimeField()
    code = models.PositiveSmallIntegerField(null=True)  # RFC 5321 reply code
    enhanced = models.CharField(max_length=12, blank=True)  # RFC 3463
    reply = models.CharField(max_length=300, blank=True)
    queue_id = models.CharField(max_length=40, blank=True)
    bounce_class = models.CharField(max_length=20, blank=True)  # rules section 4
    host = models.CharField(max_length=120, blank=True)
    wire_bytes = models.PositiveIntegerField(default=0)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["delivery_id", "-id"], name="outcome_by_delivery"),
            models.Index(fields=["campaign_id", "id"], name="outcome_by_campaign"),
            models.Index(
                fields=["campaign_id", "id"], condition=~models.Q(state="accepted"), name="outcome_not_accepted"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} of delivery {self.delivery_id}"


class Retry(models.Model):
    """A delivery that is due again; the row goes when its attempt has an outcome that ends it."""

    delivery = models.OneToOneField(Delivery, models.CASCADE, related_name="retry")
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="retries")
    organization = models.ForeignKey(Organization, models.DO_NOTHING, db_constraint=False, related_name="+")
    relay = models.CharField(max_length=8)
    attempt = models.PositiveSmallIntegerField()  # the number the next attempt will have
    first_at = models.DateTimeField()
    due_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    lease_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)
    owner = models.CharField(max_length=200, blank=True)
    deaths = models.PositiveSmallIntegerField(default=0, db_default=0)  # as of a chunk

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["relay", "due_at"], name="retry_due"),
            models.Index(fields=["campaign", "due_at"], name="retry_by_campaign"),
            models.Index(
                fields=["relay", "campaign", "due_at"], condition=models.Q(lease_until=None), name="retry_waiting"
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.attempt} at {self.due_at:%H:%M:%S}"


class SetAside(models.Model):
    """A delivery whose message ended its process again and again: it waits for a person, nothing waits for it."""

    delivery = models.OneToOneField(Delivery, models.CASCADE, related_name="aside")
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="asides")
    organization = models.ForeignKey(Organization, models.DO_NOTHING, db_constraint=False, related_name="+")
    relay = models.CharField(max_length=8)
    deaths = models.PositiveSmallIntegerField()
    set_at = models.DateTimeField()
    ordered_at = models.DateTimeField(null=True)  # a person wants it tried once more
    ordered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["campaign"], condition=models.Q(ordered_at=None), name="aside_waiting")
        ]

    def __str__(self) -> str:
        return f"delivery {self.delivery_id} set aside"


class Brake(models.Model):
    """An automatic or ordered stop of a campaign, an organization or everything; it never changes standing."""

    class Kind(models.TextChoices):
        CUSTOMER = "customer", "Paused by the customer"
        STAFF = "staff", "Paused by staff"
        RENDER = "render", "Too many messages could not be written"
        BLOCKED = "blocked", "Receivers refuse this mail"
        BOUNCES = "bounces", "Too many bounces"
        COMPLAINTS = "complaints", "Too many complaints"
        RELAY = "relay", "A relay has a fault"
        EPOCH = "epoch", "The database was restored"
        LATE = "late", "The planned time has passed"
        DOMAIN = "domain", "The sending domain is not in order"

    organization = models.ForeignKey(Organization, models.CASCADE, null=True, related_name="brakes")
    campaign = models.ForeignKey(Campaign, models.CASCADE, null=True, related_name="brakes")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    reason = models.TextField()
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    set_at = models.DateTimeField()
    lifted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    lifted_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["campaign", "organization"], condition=models.Q(lifted_at=None), name="brake_live")
        ]

    def __str__(self) -> str:
        return f"{self.kind} since {self.set_at:%Y-%m-%d %H:%M}"


class RelayState(models.Model):
    """What is known of one relay: health, pause by staff, last good conversation. Two rows, ever."""

    key = models.CharField(max_length=8, unique=True)
    healthy = models.BooleanField(default=True)
    checked_at = models.DateTimeField(null=True)
    last_ok_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)
    open_until = models.DateTimeField(null=True)  # breaker: no attempt before
    paused_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    paused_at = models.DateTimeField(null=True)
    paused_reason = models.CharField(max_length=200, blank=True)
    drains = models.BooleanField(default=False)  # while paused: the other relay takes its work
    probe_ok = models.BooleanField(null=True)  # the last self-test; None before the first came home
    probe_at = models.DateTimeField(null=True)
    probe_detail = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return self.key


class RelayProbe(models.Model):
    """A message that went through a relay to come home: what was sent, and what was wrong with what came."""

    relay = models.CharField(max_length=8)
    message = models.BinaryField()
    sent_at = models.DateTimeField()
    judged_at = models.DateTimeField(null=True)
    fault = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["relay", "-id"], name="probe_by_relay")]

    def __str__(self) -> str:
        return f"probe of {self.relay} at {self.sent_at:%Y-%m-%d %H:%M:%S}"


class SystemMail(models.Model):
    """Our own mail (codes, letters, notices) waiting for a relay; passes before campaigns."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        SENT = "sent", "Accepted by our server"
        FAILED = "failed", "Refused"

    state = models.CharField(max_length=7, choices=State.choices, default=State.QUEUED)
    recipient = models.CharField(max_length=254)
    sender = models.CharField(max_length=254)
    message = models.BinaryField()  # final bytes without signature
    relay = models.CharField(max_length=8)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    reply = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["relay", "due_at"], condition=models.Q(state__in=["queued", "sending"]), name="system_mail_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.pk}"


class Tally(models.Model):
    """How many deliveries of a campaign are in a state, per relay; written in the transaction that writes outcomes.

    Pages read this instead of counting a million rows; a test holds it against `delivery_state`.
    """

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="tallies")
    relay = models.CharField(max_length=8, blank=True)
    state = models.CharField(max_length=14)
    count = models.IntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["campaign", "relay", "state"], name="tally_once")]

    def __str__(self) -> str:
        return f"{self.count} {self.state}"


class Turn(models.Model):
    """How many people of an organization a lane has served, for taking turns (campaigns.sending.turns)."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    relay = models.CharField(max_length=8)  # the lane that served
    began = models.BigIntegerField()  # its count when its last turn began
    served = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization", "relay"], name="turn_once")]
        indexes: ClassVar = [models.Index(fields=["relay", "began"], name="turn_level")]

    def __str__(self) -> str:
        return f"{self.served} by {self.relay}"


class Pace(models.Model):
    """A bucket that lanes share, or an organization's queue for a provider (campaigns.sending.tokens)."""

    key = models.CharField(max_length=300, unique=True)
    tokens = models.FloatField()
    at = models.DateTimeField()  # when `tokens` was right
    free_at = models.DateTimeField(null=True)  # of a queue: behind its last place
    paused_until = models.DateTimeField(null=True)  # the provider asked for it
    step = models.PositiveSmallIntegerField(default=0)
    said = models.CharField(max_length=200, blank=True)  # the provider's words

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["paused_until"], condition=~models.Q(paused_until=None), name="pace_paused")
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def is_paused(self) -> bool:
        """Tell whether the provider is left alone now."""
        return self.paused_until is not None and self.paused_until > clock.now()


class Usage(models.Model):
    """Messages that an organization used of its allowance on one day (UTC)."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="usage")
    day = models.DateField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["organization", "day"], name="usage_once")]

    def __str__(self) -> str:
        return f"{self.count} on {self.day}"
