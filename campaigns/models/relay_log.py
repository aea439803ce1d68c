"""What was read of a relay's own log: how far, without a gap since when, and what it says of our messages."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class RelayLog(models.Model):
    """How far one relay's log was read, and what of it is certain. Two rows at most."""

    key = models.CharField(max_length=8, unique=True)  # relay-1 or relay-2
    inode = models.BigIntegerField(default=0)
    head = models.CharField(max_length=64, blank=True)  # sha256 of the file's first line: knows it when it was moved
    offset = models.BigIntegerField(default=0)  # octets, of the uncompressed file
    covered_from = models.DateTimeField(null=True)  # no gap from here
    read_to = models.DateTimeField(null=True)  # the time of the last line
    started_at = models.DateTimeField(null=True)  # the relay's last start, as far as its log tells
    stopped_at = models.DateTimeField(null=True)  # and its last end
    at_end_at = models.DateTimeField(null=True)  # when we last stood at the end of the log
    checked_at = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=300, blank=True)  # why it cannot be read, or what was missed last

    def __str__(self) -> str:
        return f"log of {self.key}"


class RelayTrace(models.Model):
    """One message of ours in a relay's queue, as its log tells. A queue id may come again: `removed_at` ends a life."""

    relay = models.CharField(max_length=8)
    queue_id = models.CharField(max_length=40)
    delivery_id = models.BigIntegerField()
    seen_at = models.DateTimeField()  # its headers arrived; not yet taken
    taken_at = models.DateTimeField(null=True)  # the queue manager has it: the relay is responsible
    line = models.CharField(max_length=300, blank=True)  # the line that says so, without addresses
    status = models.CharField(max_length=10, blank=True)  # sent, deferred, bounced, expired: the last word
    status_at = models.DateTimeField(null=True)
    status_text = models.CharField(max_length=300, blank=True)  # without addresses
    removed_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["delivery_id"], name="trace_by_delivery"),
            models.Index(fields=["relay", "queue_id"], condition=models.Q(removed_at=None), name="trace_open"),
            models.Index(fields=["seen_at"], name="trace_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.queue_id} at {self.relay}"
