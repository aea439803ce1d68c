"""What a domain's name looks like, so that a resembling one is found by an index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_renaming_and_lifted_blocks"),
    ]

    operations = [
        migrations.AddField(
            model_name="sendingdomain",
            name="cleared_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="sendingdomain",
            name="resembles",
            field=models.CharField(blank=True, db_default="", default="", max_length=253),
        ),
        migrations.AddField(
            model_name="sendingdomain",
            name="skeleton",
            field=models.CharField(blank=True, db_default="", default="", max_length=253),
        ),
        migrations.AddIndex(
            model_name="sendingdomain",
            index=models.Index(fields=["skeleton"], name="domain_by_skeleton"),
        ),
    ]
