"""The sample that goes first where a list is new or risky."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from campaigns.models.composing import Campaign
from campaigns.models.sending import Brake


class Canary(models.Model):
    """The first `size` people of a campaign (seq 1 to size), `waits` others wait for them; campaigns.canary.

    The others have the last numbers and go in parts: `steps` says how many of them have gone when a part is through.
    `waits` 0 is an upload too small for a sample: all go at once, and are watched like one.
    """

    class State(models.TextChoices):
        SENDING = "sending", "The first people are mailed"
        WAITING = "waiting", "We wait for what comes back"
        CLEAN = "clean", "Nothing bad came back"
        FAILED = "failed", "Too much came back"
        RELEASED = "released", "Released by our staff"

    campaign = models.OneToOneField(Campaign, models.CASCADE, related_name="canary")
    state = models.CharField(max_length=8, choices=State.choices, default=State.SENDING)
    size = models.PositiveIntegerField()
    waits = models.PositiveIntegerField()
    reason = models.CharField(max_length=200)
    import_ids = ArrayField(models.BigIntegerField())  # uploads that the sample speaks for
    steps = ArrayField(models.PositiveIntegerField(), default=list, db_default=[])
    step = models.PositiveSmallIntegerField(default=0, db_default=0)  # parts of the others that were let go
    until = models.DateTimeField(null=True)
    brake = models.ForeignKey(Brake, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"first {self.size} of campaign {self.campaign_id}: {self.state}"
