"""Walk every hash chain and name the first record that does not fit."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.ledger import chained_models, first_broken


class Command(BaseCommand):
    """`manage.py verify_ledger`; exit code 1 when a chain is broken."""

    help = "Check the hash chains of all append-only tables."

    def handle(self, *args: Any, **options: Any) -> None:
        """Walk the chains, one line each."""
        broken = 0
        for model in chained_models():
            fault = first_broken(model)
            count = model._default_manager.count()
            broken += fault is not None
            verdict = f"BROKEN at {fault.pk} ({fault.why})" if fault else "sound"
            self.stdout.write(f"{model._meta.db_table}: {count:,} records, {verdict}")
        if broken:
            raise CommandError(f"{broken} chain{'s' if broken > 1 else ''} broken.")
