"""Files with an appeal, and the monthly figures of the desk for the public page."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("abuse", "0006_ledger"),
    ]

    operations = [
        migrations.CreateModel(
            name="MonthFigures",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.DateField(unique=True)),
                ("counts", models.JSONField(default=dict)),
                ("counted_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="AppealFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sha256", models.BinaryField(max_length=32)),
                ("name", models.CharField(max_length=120)),
                ("kind", models.CharField(max_length=4)),
                ("size", models.PositiveIntegerField()),
                (
                    "appeal",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="files", to="abuse.appeal"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("appeal", "sha256"), name="appeal_file_once")],
            },
        ),
    ]
