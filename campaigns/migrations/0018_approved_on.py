"""What the approval of a campaign to a long list rested on, and why the planner gave one back."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0017_segment")]

    operations = [
        migrations.AddField(model_name="campaign", name="approved_on", field=models.JSONField(null=True)),
        migrations.AddField(
            model_name="campaign", name="look_again", field=models.TextField(blank=True, db_default="", default="")
        ),
    ]
