"""What retention did."""

from django.db import migrations, models

from sendserver.lib.appendonly import protect


class Migration(migrations.Migration):
    dependencies = [("compliance", "0006_provenance")]

    operations = [
        migrations.CreateModel(
            name="RetentionRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField()),
                ("results", models.JSONField(default=list)),
            ],
        ),
        migrations.CreateModel(
            name="DeletedPart",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("record_table", models.CharField(max_length=63)),
                ("record_uid", models.UUIDField()),
                ("rule", models.CharField(max_length=32)),
                ("deleted_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["record_table", "record_uid"], name="deleted_part_once")
                ]
            },
        ),
        protect("compliance_deletedpart"),
    ]
