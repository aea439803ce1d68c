"""Counts that a worker makes for pages, of any kind; segments' own table is left for the next release to drop."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_ledger"),
        ("compliance", "0019_kinds_of_columns"),
    ]

    operations = [
        migrations.CreateModel(
            name="KeptCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.BinaryField(max_length=32)),
                ("kind", models.CharField(max_length=20)),
                ("asked", models.JSONField()),
                ("lists", models.JSONField(default=list)),
                ("asked_at", models.DateTimeField()),
                ("begun_at", models.DateTimeField(null=True)),
                ("counted_at", models.DateTimeField(null=True)),
                ("took", models.FloatField(null=True)),
                ("state", models.TextField(blank=True)),
                ("answer", models.JSONField(null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("organization", "digest"), name="kept_count_once")],
            },
        ),
    ]
