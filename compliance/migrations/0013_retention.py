"""What retention did."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("compliance", "0012_evidence_files")]

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
    ]
