"""How long a list somebody brings, and what staff agree to."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_skeletons_backfill"),
    ]

    operations = [
        migrations.AddField(
            model_name="collectionpractice",
            name="longest_list",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="verification",
            name="agreed_list",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
    ]
