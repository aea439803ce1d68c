"""The sample that goes first. Existing uploads count as proven: they were mailed before there was a sample."""

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.models import F


def all_proven(apps, schema_editor):
    """Mark the uploads of before."""
    jobs = apps.get_model("compliance", "ImportJob").objects.using(schema_editor.connection.alias)
    jobs.filter(state="done", canary_at=None).update(canary_at=F("finished_at"))


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0013_people_of_a_campaign"), ("compliance", "0009_provenance")]

    operations = [
        # Only the names of the states change, not the column.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "chunk",
                    "state",
                    models.CharField(
                        choices=[
                            ("ready", "Ready"),
                            ("leased", "Leased"),
                            ("done", "Done"),
                            ("later", "Waits for the first people"),
                        ],
                        default="ready",
                        max_length=6,
                    ),
                )
            ]
        ),
        migrations.CreateModel(
            name="Canary",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("sending", "The first people are mailed"),
                            ("waiting", "We wait for what comes back"),
                            ("clean", "Nothing bad came back"),
                            ("failed", "Too much came back"),
                            ("released", "Released by our staff"),
                        ],
                        default="sending",
                        max_length=8,
                    ),
                ),
                ("size", models.PositiveIntegerField()),
                ("waits", models.PositiveIntegerField()),
                ("reason", models.CharField(max_length=200)),
                (
                    "import_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                ("until", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "brake",
                    models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to="campaigns.brake"),
                ),
                (
                    "campaign",
                    models.OneToOneField(on_delete=models.CASCADE, related_name="canary", to="campaigns.campaign"),
                ),
            ],
        ),
        migrations.RunPython(all_proven, migrations.RunPython.noop),
    ]
