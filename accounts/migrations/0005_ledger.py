"""The ledger over all evidence; what was recorded before is entered now, oldest first."""

from django.db import migrations, models

from sendserver.lib.appendonly import ledger, ledgered, protect


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_staff_groups"),
    ]

    operations = [
        migrations.CreateModel(
            name="LedgerHead",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("entry_hash", models.BinaryField(max_length=32)),
                ("at", models.DateTimeField()),
                ("key_id", models.CharField(max_length=20)),
                ("signature", models.BinaryField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name="LedgerEntry",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("table_name", models.CharField(max_length=63)),
                ("record_id", models.BigIntegerField()),
                ("organization_id", models.BigIntegerField(null=True)),
                ("record_hash", models.BinaryField(max_length=32)),
                ("previous_hash", models.BinaryField(max_length=32)),
                ("organization_previous", models.BinaryField(max_length=32)),
                ("entry_hash", models.BinaryField(max_length=32, unique=True)),
            ],
            options={
                "indexes": [models.Index(fields=["organization_id", "-position"], name="ledger_by_organization")],
                "constraints": [models.UniqueConstraint(fields=("table_name", "record_id"), name="ledger_once")],
            },
        ),
        protect("accounts_ledgerentry"),
        protect("accounts_ledgerhead"),
        ledger(),
        ledgered("accounts_auditentry"),
    ]
