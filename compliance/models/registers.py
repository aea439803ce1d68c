"""National opt-out registers: the file that was loaded, its hashes, and which contacts were compared with it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from compliance.models.lists import Contact


class RegisterFile(models.Model):
    """One loaded file of a register (compliance.registers.REGISTERS); the current one counts while it is young."""

    register = models.CharField(max_length=12)
    sha256 = models.BinaryField(max_length=32)
    entry_count = models.PositiveIntegerField()
    fetched_at = models.DateTimeField()  # when the authority's copy was taken, not when it was loaded
    loaded_at = models.DateTimeField()
    is_current = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["register"], condition=models.Q(is_current=True), name="register_one_current"
            )
        ]

    def __str__(self) -> str:
        return f"{self.register} of {self.fetched_at:%Y-%m-%d}"


class RegisterEntry(models.Model):
    """One checksum of an address or a whole domain, as the authority gives it out."""

    file = models.ForeignKey(RegisterFile, models.CASCADE, related_name="entries")
    checksum = models.BinaryField(max_length=32)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["file", "checksum"], name="register_entry_once")]

    def __str__(self) -> str:
        return bytes(self.checksum).hex()


class RegisterCheck(models.Model):
    """A contact was compared with a file; without this row its register counts as not consulted."""

    file = models.ForeignKey(RegisterFile, models.CASCADE, related_name="checks")
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="+")
    is_listed = models.BooleanField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["contact", "file"], name="register_check_once")]

    def __str__(self) -> str:
        return f"{self.contact_id} {'listed' if self.is_listed else 'not listed'}"
