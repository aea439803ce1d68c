"""The ledger over all evidence: one entry a record, and the heads of the chain as they were signed.

Entries are written by a trigger of the database when a record is inserted (sendserver.lib.appendonly.ledgered), never
by the application, whose role may only read them.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class LedgerEntry(models.Model):
    """The place of one record: behind the entry before it, and behind its organization's entry before it."""

    position = models.BigIntegerField(primary_key=True)  # 1, 2, 3 without a gap
    table_name = models.CharField(max_length=63)
    record_id = models.BigIntegerField()
    organization_id = models.BigIntegerField(null=True)  # null: the platform's own chain
    record_hash = models.BinaryField(max_length=32)
    previous_hash = models.BinaryField(max_length=32)  # of position - 1; zeros at the start
    organization_previous = models.BinaryField(max_length=32)  # of the organization's entry before; zeros at its start
    entry_hash = models.BinaryField(max_length=32, unique=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["table_name", "record_id"], name="ledger_once")]
        indexes: ClassVar = [models.Index(fields=["organization_id", "-position"], name="ledger_by_organization")]

    def __str__(self) -> str:
        return f"{self.position}: {self.table_name} {self.record_id}"


class LedgerHead(models.Model):
    """The newest entry at one moment, signed with a key that is not in the database (rules 2.4)."""

    position = models.BigIntegerField(primary_key=True)
    entry_hash = models.BinaryField(max_length=32)
    at = models.DateTimeField()
    key_id = models.CharField(max_length=20)
    signature = models.BinaryField(max_length=64)  # Ed25519, RFC 8032, over sendserver.lib.heads.signed_text

    def __str__(self) -> str:
        return f"head at {self.position}"
